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
        "n_clusters": {"$ref": "#/$defs/n_clusters"},
        "iterations": {"$ref": "#/$defs/kmeans_iterations"},
        "points_per_centroid": {"$ref": "#/$defs/points_per_centroid"},
        "memory_gb": {"$ref": "#/$defs/kmeans_memory_gb"},
        "seed": {"$ref": "#/$defs/kmeans_seed"},
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
