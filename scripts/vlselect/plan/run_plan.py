"""The plan of a run: what each stage takes, from the config, the counts and a calibration.

A stage's seconds are those of all its jobs one after another. None stands for what is not known:
without a calibration all seconds, and sizes that follow from a model that is not there.
"""

from collections.abc import Mapping

from vlselect.config.selection_seeds import GRADIENTS
from vlselect.plan import planning
from vlselect.plan.plan_facts import MEASURED, Facts, Stage
from vlselect.plan.plan_scoring import cluster_count, scoring_stages, trained_passes
from vlselect.plan.planning import HALF, Work

FEATURES = {"activations": HALF, "last_token": HALF, "mean_hidden": HALF, "likelihood": 4}
COLUMNS = ("stage", "jobs", "hours", "device", "disk_gb", "memory_gb", "gpu_memory_gb", "basis")


def plan(facts: Facts) -> list[Stage]:
    """List the stages of a run in their order."""
    return [
        *intake_stages(facts),
        *feature_stages(facts),
        *gradient_stages(facts),
        *scoring_stages(facts),
        *subset_stages(facts),
        *checkpoint_stages(facts),
    ]


def intake_stages(facts: Facts) -> list[Stage]:
    """Pool and tasks: every record parsed, every image decoded once."""
    found = facts.calibration.get("pool")
    tasks = facts.config["tasks"]
    asked = sum(facts.questions.values()) + sum(facts.validation.values())
    if not found:
        sizes = {"disk": None}
        return [Stage("prepare_pool", 1, **sizes), Stage("prepare_task", len(tasks), **sizes)]
    each, size, start = found["seconds_each"], found["bytes_each"], facts.rates.start
    return [
        Stage(name, jobs, jobs * start + each * n, size * n, found["memory"], basis=MEASURED)
        for name, jobs, n in (
            ("prepare_pool", 1, facts.n_pool),
            ("prepare_task", len(tasks), asked),
        )
    ]


def feature_models(config: Mapping) -> dict[str, list[str]]:
    """Models that each feature rule runs for, as the methods ask for them."""
    methods = config["methods"]
    wanted = {
        "extract_features": (
            "coincide",
            "el2n",
            "perplexity",
            "semdedup",
            "d2_pruning",
            "self_sup",
        ),
        "extract_attention": ("scalselect",),
        "extract_clip": ("clip_score", "self_filter"),
    }
    return {
        rule: sorted({methods[m].get("clip") or methods[m]["model"] for m in names if m in methods})
        for rule, names in wanted.items()
    }


def feature_stages(facts: Facts) -> list[Stage]:
    """Forward passes over the pool."""
    shards = facts.config["pool"]["shards"]
    kinds = {
        "extract_features": FEATURES,
        "extract_attention": {"attended": HALF},
        "extract_clip": {"clip": HALF},
    }
    stages = []
    for rule, models in feature_models(facts.config).items():
        for model in models:
            widths = [(facts.columns(model, kind), size) for kind, size in kinds[rule].items()]
            known = all(width for width, _ in widths)
            disk = sum(facts.n_pool * (w or 0) * size for w, size in widths) if known else None
            share = facts.n_pool / shards
            stages.append(facts.modelled(f"{rule}/{model}", [share] * shards, disk))
    return stages


def gradient_stages(facts: Facts) -> list[Stage]:
    """Warm-up, gradients, influence and votes of ICONS, for each seed that its runs have."""
    config = facts.config
    if "icons" not in config["methods"]:
        return []
    settings, n = config["gradients"], facts.n_pool
    model, dim, shards = settings["model"], settings["projection"]["dim"], config["pool"]["shards"]
    tasks, asked = len(facts.validation), sum(facts.validation.values())
    matrix = config["methods"]["icons"].get("keep_matrix", False)
    seeds = facts.seeds(GRADIENTS, "icons")
    adapter = facts.calibration.get("stages", {}).get(f"warm_up/{model}", {}).get("bytes")
    gradients = f"collect_gradients/{model}"
    passes = (
        settings["warm_up"]["fraction"] * n * trained_passes(settings["warm_up"].get("finetune"))
    )
    validated = facts.modelled(gradients, [asked] * seeds, seeds * asked * dim * HALF)
    table = n * tasks * (4 + 8)  # Parquet holds row and influence, row barely compressed
    return [
        facts.modelled(f"warm_up/{model}", [passes] * seeds, adapter and seeds * adapter),
        facts.modelled(gradients, [n / shards] * shards * seeds, seeds * n * dim * HALF),
        Stage("collect_validation_gradients", *tuple(vars(validated).values())[1:]),
        facts.reckoned(
            *("compute_influence", seeds),
            [planning.influence(n, dim, tasks, asked, matrix)] * seeds,
            disk=seeds * (table + (n * asked * 4 if matrix else 0)),
            memory=n * tasks * 4.0 + 4 * 4096 * dim * 3,
        ),
        facts.reckoned(
            *("cast_votes", seeds, [planning.votes(n, tasks)] * seeds),
            disk=seeds * n * 10.0,
            memory=n * tasks * 32.0,
        ),
    ]


def selection_work(facts: Facts, method: str, label: str) -> Work | None:
    """Work of one job that writes a subset; None where a model's width is not known."""
    n, settings = facts.n_pool, facts.config["methods"][method]
    count = facts.chosen(label)
    work = planning.subset(n, count)
    if method == "coincide":
        width = facts.columns(settings["model"], "activations")
        clusters = cluster_count(settings, n)
        return width and work + planning.coincide(n, width, clusters, count)
    if method == "self_filter":
        width = facts.columns(settings["clip"], "clip")
        return width and work + planning.hardest(n, width, count)
    return work


def subset_stages(facts: Facts) -> list[Stage]:
    """The chosen records of every method, budget and seed, and their exports."""
    jobs = {(run["method"], run["budget"], run["seed"]): None for run in facts.runs}
    size = facts.calibration.get("pool", {}).get("record_bytes")
    stages, written = [], 0
    for method in dict.fromkeys(method for method, *_ in jobs):
        labels = [label for name, label, _ in jobs if name == method]
        works = [selection_work(facts, method, label) for label in labels]
        chosen = sum(facts.chosen(label) for label in labels)
        written += chosen
        disk = None if size is None else chosen * (size + 40.0)  # rows, ids, ranks and scores
        works = None if None in works else works
        stages.append(facts.reckoned(f"select_{method}", len(labels), works, disk=disk))
    formats = facts.config.get("export", [])
    if formats:
        works = [Work(records=facts.chosen(label)) for _, label, _ in jobs] * len(formats)
        disk = None if size is None else written * size * len(formats)
        stages.append(facts.reckoned("export_subset", len(works), works, disk=disk))
    return stages


def checkpoint_stages(facts: Facts) -> list[Stage]:
    """Finetuning of every run, and the benchmarks of every checkpoint and untrained model."""
    stages, measured = [], facts.calibration.get("stages", {})
    settings = facts.config["finetune"]
    for model in dict.fromkeys(run["model"] for run in facts.runs):
        runs = [run for run in facts.runs if run["model"] == model]
        sizes = [_samples_trained(facts.chosen(run["budget"]), settings) for run in runs]
        size = measured.get(f"finetune_model/{model}", {}).get("bytes")
        disk = None if size is None else size * len(runs)
        stages.append(facts.modelled(f"finetune_model/{model}", sizes, disk))
        if facts.questions:
            stages.append(_benchmark_stage(facts, model, len(runs) + 1))
    return stages


def _samples_trained(n_samples: int, settings: Mapping) -> float:
    """Samples that go through a finetuning, one pass after another."""
    if settings.get("max_steps"):
        return settings["max_steps"] * (
            settings.get("batch_size", 16) * settings.get("gradient_accumulation", 8)
        )
    return n_samples * trained_passes(settings)


def _benchmark_stage(facts: Facts, model: str, jobs: int) -> Stage:
    name, asked = f"run_benchmarks/{model}", sum(facts.questions.values())
    found = facts.calibration.get("stages", {}).get(name, {})
    disk = jobs * asked * 100.0  # a line of prediction, answers and score; the judge writes more
    if "tasks" not in found or not set(facts.questions) <= set(found["tasks"]):
        return Stage(name, jobs, disk=disk, model=True)
    answers = sum(n * found["tasks"][task] for task, n in facts.questions.items())
    seconds = jobs * (found["fixed"] + answers)
    return Stage(
        *(name, jobs, seconds, disk, found["memory"], found["gpu_memory"]),
        model=True,
        basis=MEASURED,
    )
