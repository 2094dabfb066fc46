"""COINCIDE: typical samples of transferable, sparse concept-skill clusters (arXiv 2406.10995).

Reads pool/samples.parquet, clusters/seed-<s>/{assignments,summary}.parquet and the activations that
were clustered; writes subsets/coincide/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "coincide",
    parameters={
        "model": {
            "description": "small reference model whose activations are clustered, a name from `models` (extract_features)",
            "type": "string",
            "default": "reference",
        },
        "n_clusters": {"$ref": "#/$defs/n_clusters"},
        "iterations": {"$ref": "#/$defs/kmeans_iterations"},
        "points_per_centroid": {"$ref": "#/$defs/points_per_centroid"},
        "memory_gb": {"$ref": "#/$defs/kmeans_memory_gb"},
        "seed": {"$ref": "#/$defs/kmeans_seed"},
        "device": {
            "description": "where the k-means runs; gpu needs faiss's GPU build (cluster_activations)",
            "enum": ["cpu", "gpu"],
            "default": "cpu",
        },
        "on_collapse": {
            "description": "what to do with clusters that have collapsed (cluster_activations)",
            "enum": ["error", "warn"],
            "default": "error",
        },
        "variant": {
            "description": "transferability and density as in the paper or as in its authors' program (summarise_clusters)",
            "enum": ["released", "paper"],
            "default": "released",
        },
        "max_cosine": {
            "description": "released variant: closer pairs of centroids do not count for transferability (summarise_clusters)",
            "type": "number",
            "exclusiveMinimum": -1,
            "exclusiveMaximum": 1,
            "default": 0.9,
        },
        "sigma": {
            "description": "bandwidth of the Gaussian kernel in density and MMD (summarise_clusters, select_coincide)",
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 1.0,
        },
        "temperature": {
            "description": "tau of the allocation to clusters; lower is more uneven (select_coincide)",
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 0.1,
        },
    },
)


# Share the budget among clusters; in each, pick by greedy MMD.
use rule select_subset as select_coincide with:
    input:
        code=code("select_subset.py", "vlselect/methods/coincide.py"),
        samples="<results>/pool/samples.parquet",
        activations=activation_shards,
        assignments=of_run(
            "coincide", "<results>/clusters/seed-{seed}/assignments.parquet"
        ),
        summary=of_run("coincide", "<results>/clusters/seed-{seed}/summary.parquet"),
        limits=limit_files,
    wildcard_constraints:
        method="coincide",
    threads: config["threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        parameters=parameters("coincide", "temperature", "sigma"),
        threads=config["threads"],
