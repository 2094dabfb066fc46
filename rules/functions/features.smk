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
