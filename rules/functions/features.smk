"""Features: flags of the forward passes.

Functions only.
"""


def activation_flags():
    """Return the flags of the activations' form and, where the config lists them, layers."""
    features = config["features"]
    flags = ["--variant", features["variant"]]
    if features["layers"] is not None:
        flags += ["--layers", *map(str, features["layers"])]
    return shlex.join(flags)


def attention_flags():
    """Return the flags of the attended visual features."""
    settings = config["features"]["attention"]
    keys = ("instruction", "layer", "mass")
    return shlex.join(part for key in keys for part in (f"--{key}", str(settings[key])))


def token_weights(wildcards):
    """Return which tokens weigh less in the losses of `dics`, whose declaration is read later."""
    return config["methods"]["dics"]["token_weights"]


def signature_flags(wildcards):
    """Return the flags of the layers that `magic` reads, where the config lists them."""
    layers = config["methods"]["magic"]["layers"]
    return "" if layers is None else shlex.join(["--layers", *map(str, layers)])


def hidden_model():
    """Return the model whose hidden states `targeted` compares; none where it compares others."""
    settings = config["methods"].get("targeted") or {}
    if settings.get("representation") != "hidden":
        return None
    return settings["model"] or next(iter(config["models"]))


def pool_hidden():
    """Return the shards of the pool's hidden vectors for `targeted`."""
    path = "<results>/features/{model}/hidden/shard-{scatteritem}.safetensors"
    return gather.pool(path, model=hidden_model())


def validation_hidden(model="{model}"):
    """Return those of each task's validation set, named: Snakemake's cache needs names."""
    path = (
        "<results>/features/{model}/hidden_validation/{task}/shard-1-of-1.safetensors"
    )
    paths = [path.format(model=model, task=task) for task in VALIDATED]
    return {f"validation_{i}": found for i, found in enumerate(paths)}
