"""VisNec: samples whose answers need the image, in proportional strata of questions (arXiv 2603.01195).

Reads pool/samples.parquet and features/<model>/{gains,question}/; writes
strata/visnec/seed-<s>.parquet (row, cluster, distance), scores/visnec/seed-<s>.parquet (row, score:
the visual gain) and subsets/visnec/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "visnec",
    parameters={
        "model": {
            "description": "model of the losses and of the questions' hidden states, a name from `models` (extract_gains)",
            "type": "string",
            "default": "reference",
        },
        "n_clusters": {
            "description": "clusters of questions (cluster_visnec)",
            "type": "integer",
            "minimum": 1,
            "default": 20,
        },
        "iterations": {
            "description": "iterations of the k-means (cluster_visnec)",
            "type": "integer",
            "minimum": 1,
            "default": 50,
        },
        "points_per_centroid": {
            "description": "samples that the k-means is trained on, per cluster at most (cluster_visnec)",
            "type": "integer",
            "minimum": 1,
            "default": 256,
        },
        "memory_gb": {
            "description": "GB that the samples for training may take, at two bytes a value (cluster_visnec)",
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 4,
        },
        "seed": {
            "description": "seed of the k-means; null: that of the run; a number fixes it for all runs, whose intervals then leave its randomness out (cluster_visnec)",
            "type": ["integer", "null"],
            "minimum": 0,
            "default": None,
        },
        "text_only": {
            "description": "samples without an image: ranked by their gain of 0, as in the authors' program, their proportional share drawn at random, or drop (select_visnec)",
            "enum": ["ranked", "proportional", "drop"],
            "default": "ranked",
        },
    },
)


# Clusters of the first questions, by the model's own hidden states.
use rule cluster_samples as cluster_visnec with:
    input:
        code=code("cluster_samples.py"),
        samples="<results>/pool/samples.parquet",
        features=gather.pool(
            "<results>/features/{model}/question/shard-{scatteritem}.safetensors",
            model=config["methods"]["visnec"]["model"],
        ),
    wildcard_constraints:
        method="visnec",
    params:
        parameters=parameters(
            "visnec", "n_clusters", "iterations", "points_per_centroid", "memory_gb"
        ),


# Every sample's loss without the image, less that with it.
use rule score_samples as score_visnec with:
    input:
        code=code("score_samples.py", "vlselect/methods/visnec.py"),
        samples="<results>/pool/samples.parquet",
        gains=gather.pool(
            "<results>/features/{model}/gains/shard-{scatteritem}.safetensors",
            model=config["methods"]["visnec"]["model"],
        ),
    wildcard_constraints:
        method="visnec",


# Take the largest gains of every cluster, as many as its size asks for.
use rule select_subset as select_visnec with:
    input:
        code=code("select_subset.py", "vlselect/methods/visnec.py"),
        samples="<results>/pool/samples.parquet",
        scores=of_run("visnec", "<results>/scores/visnec/seed-{seed}.parquet"),
        clusters=of_run("visnec", "<results>/strata/visnec/seed-{seed}.parquet"),
        limits=limit_files,
    wildcard_constraints:
        method="visnec",
    params:
        parameters=parameters("visnec", "text_only"),
