"""Flags of lmms_eval.

Functions only, for lmms_eval.smk.
"""


def model_path(wildcards):
    """Where the model as it comes is: a directory, or a hub id."""
    return model_settings(wildcards)["path"]


def lmms_flags(wildcards):
    """Flags of lmms_eval's environment, adapter and arguments, and of the model's device."""
    model, settings = model_settings(wildcards), config["evaluation"]["lmms_eval"]
    arguments = dict(settings["arguments"])
    if settings["adapter"] == "llava_hf":  # other adapters have no such arguments
        arguments.setdefault("dtype", model["dtype"])
        if model["revision"]:
            arguments.setdefault("revision", model["revision"])
    flags = ["--adapter", settings["adapter"], "--python", settings["python"]]
    flags += ["--arguments", json.dumps(arguments, sort_keys=True)]
    flags += ["--device", model["device"], "--threads", str(config["threads"])]
    return shlex.join(flags)
