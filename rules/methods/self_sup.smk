"""Self-supervised prototypes: samples far from the centroid of their cluster (arXiv 2206.14486).

Reads pool/samples.parquet and features/<model>/last_token/; writes
scores/self_sup/seed-<s>.parquet (row, score: 1 - cosine to the prototype) and
subsets/self_sup/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "self_sup",
    parameters={
        "model": {
            "description": "reference model whose hidden states of the last token are clustered, a name from `models` (extract_features)",
            "type": "string",
            "default": "reference",
        },
        "n_clusters": {"$ref": "#/$defs/n_clusters"},
        "iterations": {"$ref": "#/$defs/kmeans_iterations"},
        "points_per_centroid": {"$ref": "#/$defs/points_per_centroid"},
        "memory_gb": {"$ref": "#/$defs/kmeans_memory_gb"},
        "seed": {"$ref": "#/$defs/kmeans_seed"},
        "keep": {
            "description": "samples far from their prototype (hard) or close to it (easy) (select_self_sup)",
            "enum": ["hard", "easy"],
            "default": "hard",
        },
    },
)


# Distance of every sample to the prototype of its cluster.
use rule score_samples as score_self_sup with:
    input:
        code=code("score_samples.py", "vlselect/methods/baselines/self_sup.py"),
        samples="<results>/pool/samples.parquet",
        last_token=gather.pool(
            "<results>/features/{model}/last_token/shard-{scatteritem}.safetensors",
            model=config["methods"]["self_sup"]["model"],
        ),
    wildcard_constraints:
        method="self_sup",
    resources:
        mem_mb=growing(16000),
        runtime=growing(480),
        growth=2,
    params:
        parameters=parameters(
            "self_sup", "n_clusters", "iterations", "points_per_centroid", "memory_gb"
        ),


# Take the farthest samples, or the closest.
use rule select_subset as select_self_sup with:
    input:
        code=code("select_subset.py", "vlselect/methods/baselines/self_sup.py"),
        samples="<results>/pool/samples.parquet",
        scores=of_run("self_sup", "<results>/scores/self_sup/seed-{seed}.parquet"),
        limits=limit_files,
    wildcard_constraints:
        method="self_sup",
    params:
        parameters=parameters("self_sup", "keep"),
