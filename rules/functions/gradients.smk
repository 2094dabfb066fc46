"""Warmed-up models: flags and resources of their jobs, their files for the pool and for each task.

Functions only. Those that take a section mean the warmed-up model of `gradients` or of `proxy`.
"""

from vlselect.config import selection_seeds

# Sections whose warmed-up models this run makes.
MADE = [
    name
    for name in selection_seeds.WARMED_UP
    if config.get(name) and name not in config["given"]
]
# What the gate and clean_shares go by.
PROXY = "proxy" if config.get("proxy") else "gradients"


def model_of(section):
    """Return the model that is warmed up; None where the config has none, which is refused."""
    return (config.get(section) or {}).get("model")


def warm_up_finetuning(wildcards):
    """Return the settings of the finetuning that a warm-up is."""
    return config[wildcards.section]["warm_up"]["finetune"]


def of_warm_up(key):
    """Return a resource of the warm-up: one of these settings."""

    def resource(wildcards):
        return warm_up_finetuning(wildcards)[key]

    return resource


def warm_up_fraction(wildcards):
    """Return the share of the pool that a model is warmed up on."""
    return config[wildcards.section]["warm_up"]["fraction"]


def warm_up_threads(wildcards):
    """Return the threads of the warm-up."""
    return training_threads(warm_up_finetuning(wildcards))


def warm_up_memory(wildcards, attempt):
    """Return the memory of the warm-up."""
    processes = warm_up_finetuning(wildcards)["processes"]
    return model_memory(24000, processes=processes)(wildcards, attempt)


def warm_up_gpus(wildcards):
    """Return the GPUs of the warm-up: one for each process."""
    return asked_for_all(wildcards, warm_up_finetuning(wildcards))


def warm_up_launcher(wildcards):
    """Return the program that starts the warm-up."""
    return launcher(warm_up_finetuning(wildcards))


def warm_up_settings(wildcards):
    """Return the settings that the warmed-up model depends on."""
    return training_settings(warm_up_finetuning(wildcards))


def precondition(wildcards):
    """Return what the pool's gradients are divided by; a proxy's vectors by nothing."""
    return config[wildcards.section].get("precondition", "none")


def moments_flag(wildcards):
    """Return the flag with which the warm-up saves its optimiser's second moments, if they are used."""
    return "--second-moments" if precondition(wildcards) == "adam" else ""


def vector_flags(wildcards):
    """Return the flags of what stands for a sample.

    Those of a projection are LoRA gradients'; its seed is the warm-up's where the config fixes none.
    """
    section = config[wildcards.section]
    kind = section["representation"]
    flags = ["--representation", kind]
    if kind == "hidden":
        shared = config["features"]["hidden"]
        flags += ["--positions", section.get("positions", shared["positions"])]
    if kind != "lora":
        return shlex.join(flags)
    projection = config["gradients"]["projection"]
    seed = wildcards.seed if projection["seed"] is None else projection["seed"]
    flags += ["--projection", projection["type"], "--dim", str(projection["dim"])]
    flags += ["--projection-seed", str(seed)]
    flags += ["--nonzeros", str(projection["nonzeros"])]
    flags += ["--implementation", projection["implementation"]]
    return shlex.join(flags)


def validation_images():
    """Return where the images of each validation set are."""
    return [data_files.task_images(config, name, "validation") for name in VALIDATED]


def files_of(section, name, model=None, **values):
    """Return the paths of a warmed-up model's files; {seed} is left in them."""
    path = f"<results>/{section}/{{model}}/seed-{{seed}}/{name}"
    return expand(path, model=model or model_of(section), allow_missing=True, **values)


def validation_gradients(section, model=None):
    """Return the vectors of each task's validation set, {seed} left in them."""
    return files_of(section, "{task}/shard-1-of-1.safetensors", model, task=VALIDATED)


def validation_losses(section, model=None):
    """Return the losses of each task's validation set, {seed} left in them."""
    name = "losses_of/{task}/shard-1-of-1.safetensors"
    return files_of(section, name, model, task=VALIDATED)


def losses_before(section, model=None):
    """Return those of the same model before its warm-up, {seed} left in them."""
    name = "losses_before/{task}/shard-1-of-1.safetensors"
    return files_of(section, name, model, task=VALIDATED)


def named(name, paths):
    """Return outputs by a name and their number: Snakemake's cache needs names."""
    return {f"{name}_{i}": path for i, path in enumerate(paths)}


def outputs_named(name):
    """Return the words of a command that stand for the outputs of each validation set."""
    return " ".join(f"{{output.{name}_{i}:q}}" for i in range(len(VALIDATED)))


def within_span(section="gradients"):
    """Return whether the pool's vectors are stored by their coordinates in a span."""
    return (config.get(section) or {}).get("store") == "influence"


def span_basis(wildcards):
    """Return the basis that the pool's gradients are stored in."""
    path = "<results>/{section}/{model}/seed-{seed}/span/basis.safetensors"
    return [path] if within_span(wildcards.section) else []


def span_flag(wildcards):
    """Return the flag of that basis."""
    return "--span" if within_span(wildcards.section) else ""


def compared_validation(section):
    """Return what the pool's vectors are compared with: each task's, or their coordinates."""
    if not within_span(section):
        return validation_gradients(section)
    return files_of(section, "span/{task}/shard-1-of-1.safetensors", task=VALIDATED)


def keep_norms(wildcards):
    """Return the subtasks whose validation gradients the config does not have normalised."""
    if config[wildcards.section].get("normalise_subtasks", True):
        return []
    return [name for name in VALIDATED if config["tasks"][name].get("group")]


def pool_gradients(section):
    """Return the shards of the pool's vectors, {seed} left in them."""
    paths = files_of(section, "pool/shard-{scatteritem}.safetensors")
    return gather.pool(*paths, allow_missing=True)


def pool_losses(section):
    """Return the shards of the pool's losses under the same model, {seed} left in them."""
    paths = files_of(section, "losses/shard-{scatteritem}.safetensors")
    return gather.pool(*paths, allow_missing=True)
