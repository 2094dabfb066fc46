"""Features: flags of the forward passes.

Functions only.
"""

FORWARD = ("hidden", "output")  # representations that need a forward pass alone


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


def representation_flags(wildcards):
    """Return the flags of what samples are compared by."""
    positions = f" --positions {config['features']['hidden']['positions']}"
    kind = wildcards.representation
    return f"--kind {kind}{positions if kind == 'hidden' else ''}"


def represented():
    """Return the model and the kind of vectors that `targeted` compares; None for stored gradients."""
    settings = config["methods"].get("targeted") or {}
    if settings.get("representation") not in FORWARD:
        return None, None
    first = next(iter(config["models"]), None)
    return settings["model"] or first, settings["representation"]


def pool_vectors():
    """Return the shards of those vectors of the pool."""
    model, kind = represented()
    path = "<results>/features/{model}/{kind}/shard-{scatteritem}.safetensors"
    return gather.pool(path, model=model, kind=kind)


def validation_vectors(model, kind):
    """Return those of each task's validation set, named: Snakemake's cache needs names."""
    folder = f"<results>/features/{model}/{kind}_validation"
    paths = [f"{folder}/{task}/shard-1-of-1.safetensors" for task in VALIDATED]
    return {f"validation_{i}": found for i, found in enumerate(paths)}
