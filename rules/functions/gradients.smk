"""Gradients, gate, influence and votes: flags of the projection, outputs by task, what ICONS reads.

Functions only.
"""

BY_VALIDATION_SAMPLES = (
    "round_robin",
    "bids",
)  # aggregators that read gradients themselves


def gradients_model():
    """Return the model whose gradients are taken; None where the config has none, which is refused."""
    return (config.get("gradients") or {}).get("model")


def warm_up_gpus(wildcards):
    """Return the GPUs of the warm-up: one for each process."""
    return asked_for_all(wildcards, config["gradients"]["warm_up"]["finetune"])


def moments_flag():
    """Return the flag with which the warm-up saves its optimiser's second moments, if they are used."""
    adam = config["gradients"]["precondition"] == "adam"
    return "--second-moments" if adam else ""


def vector_flags(wildcards):
    """Return the flags of what stands for a sample.

    Those of a projection are LoRA gradients'; its seed is the warm-up's where the config fixes none.
    """
    kind = config["gradients"]["representation"]
    flags = ["--representation", kind]
    if kind == "hidden":
        flags += ["--positions", config["features"]["hidden"]["positions"]]
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


def validation_gradients():
    """Return the outputs for each task's validation set, named: Snakemake's cache needs names."""
    path = "<results>/gradients/{model}/seed-{seed}/{task}/shard-1-of-1.safetensors"
    model = gradients_model()
    paths = expand(path, model=model, task=VALIDATED, allow_missing=True)
    return {f"validation_{i}": path for i, path in enumerate(paths)}


def named_losses():
    """Return `validation_losses`, named likewise."""
    return {f"losses_{i}": path for i, path in enumerate(validation_losses())}


def validation_losses():
    """Return the losses of each task's validation set, {seed} left in them."""
    path = "<results>/gradients/{model}/seed-{seed}/losses_of/{task}/shard-1-of-1.safetensors"
    return expand(path, model=gradients_model(), task=VALIDATED, allow_missing=True)


def outputs_named(names):
    """Return the words of a command that stand for outputs with these names."""
    return " ".join(f"{{output.{name}:q}}" for name in names)


def within_span():
    """Return whether the pool's gradients are stored by their coordinates in a span."""
    gradients = config.get("gradients") or {}
    return gradients.get("store") == "influence"


def span_basis():
    """Return the basis that the pool's gradients are stored in, {model} and {seed} left in it."""
    path = "<results>/gradients/{model}/seed-{seed}/span/basis.safetensors"
    return [path] if within_span() else []


def compared_validation():
    """Return what the pool's gradients are compared with: each task's, or their coordinates."""
    if not within_span():
        return list(validation_gradients().values())
    path = "<results>/gradients/{model}/seed-{seed}/span/{task}.safetensors"
    return expand(path, model=gradients_model(), task=VALIDATED, allow_missing=True)


def keep_norms():
    """Return the subtasks whose validation gradients the config does not have normalised."""
    if config["gradients"]["normalise_subtasks"]:
        return []
    return [name for name in VALIDATED if config["tasks"][name].get("group")]


def influence_paths(tasks):
    """Return the influences on these tasks; {seed} is left to be filled in."""
    path = "<results>/influence/seed-{seed}/{task}.parquet"
    return expand(path, task=tasks, allow_missing=True)


def matrix_tasks():
    """Return the tasks for which ICONS' config wants the influence of each validation sample."""
    icons = config["methods"].get("icons") or {}
    return VALIDATED if icons.get("keep_matrix") else []


def matrix_files():
    """Return those influences for every run of ICONS: nothing else asks for them."""
    if "influence" in config["given"]:
        return []
    path = "<results>/influence/seed-{seed}/{task}_matrix.safetensors"
    paths = expand(path, task=matrix_tasks(), allow_missing=True)
    return of_runs("icons", paths)


def top_percent(wildcards):
    """Return the share of the pool that each task votes for; its default is in ICONS' own file."""
    return config["methods"]["icons"]["top_percent"]


def consensus_votes():
    """Return the path of the votes, {seed} left in it, where ICONS goes by votes."""
    voted = config["methods"]["icons"]["aggregator"] == "vote"
    return ["<results>/votes/seed-{seed}.parquet"] if voted else []


def chooser(method):
    """Return the aggregator of `icons`, or the selector of `targeted`."""
    settings = config["methods"][method]
    return settings["aggregator" if method == "icons" else "selector"]


def chosen_influence(method):
    """Return the influences that a method reads itself, {seed} left in them."""
    if chooser(method).startswith("single:"):
        return influence_paths([chooser(method).removeprefix("single:")])
    others = ("vote", *BY_VALIDATION_SAMPLES)
    return [] if chooser(method) in others else influence_paths(VOTERS)


def pool_gradients():
    """Return the shards of the pool's gradients, {seed} left in them."""
    path = (
        "<results>/gradients/{model}/seed-{seed}/pool/shard-{scatteritem}.safetensors"
    )
    return gather.pool(path, model=gradients_model(), allow_missing=True)


def pool_losses():
    """Return the shards of the pool's losses under the same model, {seed} left in them."""
    path = (
        "<results>/gradients/{model}/seed-{seed}/losses/shard-{scatteritem}.safetensors"
    )
    return gather.pool(path, model=gradients_model(), allow_missing=True)


def chosen_gradients(method):
    """Return the shards that represent the pool's samples where single validation samples choose."""
    if chooser(method) not in BY_VALIDATION_SAMPLES:
        return []
    return pool_vectors() if method in WITHOUT_GRADIENTS else pool_gradients()


def chosen_validation(method):
    """Return those of the validation sets where single validation samples choose."""
    if chooser(method) not in BY_VALIDATION_SAMPLES:
        return []
    compared = method in WITHOUT_GRADIENTS
    if not compared:
        return compared_validation()
    return [*validation_vectors(*represented()).values()]


def voting_members():
    """Return each voting task with its validation sets: a group has several."""
    return {task: GROUPS.get(task, [task]) for task in VOTERS}
