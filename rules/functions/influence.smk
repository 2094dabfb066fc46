"""Influence and votes: their files, and what `icons` and `targeted` choose by.

Functions only.
"""

# Aggregators that read gradients themselves.
BY_VALIDATION_SAMPLES = ("round_robin", "bids")


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


def chosen_gradients(method):
    """Return the shards that represent the pool's samples where single validation samples choose."""
    if chooser(method) not in BY_VALIDATION_SAMPLES:
        return []
    return (
        pool_vectors() if method in WITHOUT_GRADIENTS else pool_gradients("gradients")
    )


def chosen_validation(method):
    """Return those of the validation sets where single validation samples choose."""
    if chooser(method) not in BY_VALIDATION_SAMPLES:
        return []
    compared = method in WITHOUT_GRADIENTS
    if not compared:
        return compared_validation("gradients")
    return [*validation_vectors(*represented()).values()]


def voting_members():
    """Return each voting task with its validation sets: a group has several."""
    return {task: GROUPS.get(task, [task]) for task in VOTERS}
