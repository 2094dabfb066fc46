"""SemDeDup: no two samples of a cluster that are too much alike (arXiv 2303.09540).

Reads pool/samples.parquet and features/<model>/last_token/; writes
scores/semdedup/seed-<s>.parquet (row, score: the largest epsilon at which the
sample stays) and subsets/semdedup/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "semdedup",
    parameters={
        "model": {
            "description": "reference model whose hidden states of the last token are compared, a name from `models` (extract_features)",
            "type": "string",
            "default": "reference",
        },
        "n_clusters": {
            "trial": "nearest",
            "description": "K of the k-means; null: one for every 66.5 samples, as 10,000 for 665k (score_semdedup)",
            "type": ["integer", "null"],
            "minimum": 1,
            "default": None,
        },
        "iterations": {
            "description": "iterations of the k-means (score_semdedup)",
            "type": "integer",
            "minimum": 1,
            "default": 50,
        },
        "points_per_centroid": {
            "description": "samples that the k-means is trained on, per cluster at most (score_semdedup)",
            "type": "integer",
            "minimum": 1,
            "default": 256,
        },
        "memory_gb": {
            "description": "GB that the samples for training may take, at two bytes a value (score_semdedup)",
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 4,
        },
        "seed": {
            "description": "seed of the k-means; null: that of the run; a number fixes it for all runs, whose intervals then leave its randomness out (score_semdedup)",
            "type": ["integer", "null"],
            "minimum": 0,
            "default": None,
        },
        "first": {
            "description": "whether the samples that are least (hard) or most (easy) like their centroid come first in a cluster and so stay (score_semdedup)",
            "enum": ["hard", "easy"],
            "default": "hard",
        },
    },
)


# Largest epsilon at which each sample stays: 1 - cosine to the nearest earlier one.
use rule score_samples as score_semdedup with:
    input:
        code=code("score_samples.py", "vlselect/methods/baselines/semdedup.py"),
        samples="<results>/pool/samples.parquet",
        last_token=gather.pool(
            "<results>/features/{model}/last_token/shard-{scatteritem}.safetensors",
            model=config["methods"]["semdedup"]["model"],
        ),
    wildcard_constraints:
        method="semdedup",
    resources:
        mem_mb=growing(16000),
        runtime=growing(480),
        growth=2,
    params:
        parameters=parameters(
            "semdedup",
            "n_clusters",
            "iterations",
            "points_per_centroid",
            "memory_gb",
            "first",
        ),


# Solve for the epsilon at which exactly the budget stays.
use rule select_subset as select_semdedup with:
    input:
        code=code("select_subset.py", "vlselect/methods/baselines/semdedup.py"),
        samples="<results>/pool/samples.parquet",
        scores=of_run("semdedup", "<results>/scores/semdedup/seed-{seed}.parquet"),
        limits=limit_files,
    wildcard_constraints:
        method="semdedup",
