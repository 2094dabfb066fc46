"""Clusters: the activations that COINCIDE clusters, and the flags of the k-means.

Functions only.
"""


def activation_shards(wildcards):
    """Return the activations of COINCIDE's model."""
    return gather.pool(
        "<results>/features/{model}/activations/shard-{scatteritem}.safetensors",
        model=config["methods"]["coincide"]["model"],
    )


def clustering_flags(wildcards):
    """Return the flags of the k-means."""
    settings = config["methods"]["coincide"]
    flags = ["--seed", wildcards.seed]
    for key in (
        *("n_clusters", "iterations", "points_per_centroid", "memory_gb"),
        *("device", "on_collapse"),
    ):
        if settings[key] is not None:
            flags += [f"--{key.replace('_', '-')}", str(settings[key])]
    return shlex.join(flags)


def clustering_gpus(wildcards):
    """Return the GPUs that the k-means asks the cluster for."""
    return int(config["methods"]["coincide"]["device"] == "gpu")


def summary_flags(wildcards):
    """Return the flags of transferability and density."""
    settings = config["methods"]["coincide"]
    flags = ["--variant", settings["variant"], "--sigma", str(settings["sigma"])]
    return shlex.join([*flags, "--max-cosine", str(settings["max_cosine"])])
