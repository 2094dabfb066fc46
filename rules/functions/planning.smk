"""What a plan is made of: the calibration's stages as scripts with their flags, counts, files.

Functions only. An argument in braces is a path that calibrate.py puts in.
"""

from vlselect.models.hub_cache import has_weights
from vlselect.config.record_files import TABLES

MODEL_RULES = {  # kinds of features that each leaves behind
    "extract_features": ("activations", "last_token", "mean_hidden", "likelihood"),
    "extract_attention": ("attended",),
    "extract_clip": ("clip",),
}


def pool_flags():
    """What every script is told that reads samples of the pool."""
    images = image_locations()  # none where the pool's tables hold them
    flags = ["--images", *images] if images else []
    return [*flags, "--max-pixels", str(config["pool"]["max_pixels"])]


def intake_flags(wildcards):
    """Arguments of prepare_pool beside its files, as JSON."""
    images = image_locations()
    flags = ["--images", *images] if images else []
    return json.dumps([*flags, *shlex.split(intake_options()), "--workers", "4"])


def measured_stage(name, script, model, arguments, kinds=(), tests=False):
    """One script to be measured: with a model, making a folder or shards of these kinds."""
    return {
        "name": name,
        "script": script,
        "model": model,
        "arguments": [*arguments, *shlex.split(model_flags(model))],
        "kinds": list(kinds),
        "tests": tests,
    }


def shard_flags(kinds):
    """A flag for every kind of features, with its file."""
    return [p for k in kinds for p in (f"--{k.replace('_', '-')}", f"{{{k}}}")]


def wanted_features():
    """(name of its rule, model) of every forward pass over the pool, as the methods ask for them."""
    jobs = set().union(*(jobs_of_subset(f"{m}/ratio-1.0_seed-0") for m in METHODS))
    return sorted({(rule, model) for rule, model, _ in jobs if rule in MODEL_RULES})


def feature_stages():
    """The forward passes."""
    own = {
        "extract_features": shlex.split(activation_flags()),
        "extract_attention": shlex.split(attention_flags()),
        "extract_clip": [],
    }
    for passes, model in wanted_features():
        flags = ["--run", "calibration", "--samples", "{samples}", *pool_flags()]
        flags += [*own[passes], *shard_flags(MODEL_RULES[passes])]
        name = f"{passes}/{model}"
        found = measured_stage(name, passes, model, flags, MODEL_RULES[passes])
        if passes == "extract_attention":  # its own flag comes last, as in the rule
            found["arguments"] += ["--attention", "eager"]
        yield found


def training_flags(settings):
    """Flags of a training in one pass over the samples that are given, in one process."""
    once = {**settings, "epochs": 1, "max_steps": 0, "processes": 1}
    return [
        *("--samples", "{samples}", *pool_flags()),
        *("--settings", json.dumps(once, sort_keys=True)),
        *("--seed", "0", "--out", "{out}"),
    ]


def gradient_stages():
    """The warm-up and the gradients of ICONS."""
    if "gradients" not in config or "icons" not in METHODS:
        return
    settings = config["gradients"]
    model, warm_up = settings["model"], settings["warm_up"].get("finetune", {})
    flags = [*training_flags(warm_up), "--fraction", "1"]
    yield measured_stage(f"warm_up/{model}", "warm_up", model, flags)
    flags = ["--run", "calibration", "--names", "pool", "--samples", "{samples}"]
    flags += [*pool_flags(), "--adapter", f"{{warm_up/{model}}}", "--out", "{out}"]
    flags += shlex.split(projection_flags(0))
    yield measured_stage(
        f"collect_gradients/{model}", "collect_gradients", model, flags
    )


def score_net_stages():
    """The joint training of Self-Filter."""
    if "self_filter" not in METHODS:
        return
    settings = config["methods"]["self_filter"]
    clip = f"{{extract_clip/{settings['clip']}/clip}}"
    flags = [*training_flags(settings["finetune"]), "--clip", clip, "--fraction", "1"]
    flags += ["--log", "{log}", *shlex.split(score_net_flags())]
    name = f"train_score_net/{settings['model']}"
    yield measured_stage(name, "train_score_net", settings["model"], flags)


def checkpoint_stages():
    """Finetuning, and the tests with what comes out of it."""
    limits = ["--max-pixels", str(config["pool"]["max_pixels"])]
    for model in dict.fromkeys(run["model"] for run in RUNS):
        flags = [*training_flags(config["finetune"]), "--subset", "{subset}"]
        yield measured_stage(f"finetune_model/{model}", "finetune_model", model, flags)
        flags = [
            "--checkpoint",
            f"{{finetune_model/{model}}}",
            "--out",
            "{out}",
            *limits,
        ]
        for task in TESTED:  # answers are timed, whatever scores them
            images = data_files.task_images(config, task, "test")
            test = f"{{test:{task}}}"
            flags += ["--task", task, "exact_match", "{}", test, images]
            flags.append(str(max_new_tokens(task)))
        if TESTED:
            name = f"run_benchmarks/{model}"
            yield measured_stage(name, "run_benchmarks", model, flags, tests=True)


def calibration_stages(wildcards):
    """All of them, as JSON."""
    makers = (feature_stages, gradient_stages, score_net_stages, checkpoint_stages)
    return json.dumps([found for maker in makers for found in maker()])


def calibration_gpus(wildcards):
    """A GPU, where a model asks for one."""
    return max(map(gpus, config["models"]), default=0)


def streamed_records():
    """The pool's records, where the first of them can be read alone: one file of JSON."""
    files = pool_record_files()
    plain = "sources" not in config["pool"] and len(files) == 1
    return files if plain and Path(files[0]).suffix not in TABLES else []


def prepared_pool(wildcards):
    """The pool's table, where it is there already or has to be made."""
    path = f"results/{config['run']}/pool/samples.parquet"
    made = os.path.isfile(path) or not streamed_records()
    return ["<results>/pool/samples.parquet"] if made else []


def made_by_workflow(model):
    """Whether a model comes out of a rule, as those of the demo do."""
    return Path(model["path"]).is_relative_to(f"results/{config['run']}/models")


def absent_models():
    """Models whose weights have to be downloaded first."""
    known = config["models"].items()
    return [name for name, m in known if not (made_by_workflow(m) or has_weights(m))]


def can_calibrate():
    """Whether records and models are here, or are made by the workflow itself."""
    here = all(map(os.path.exists, pool_record_files()))
    return ("digits" in config or here) and not absent_models()


def calibration_file(wildcards):
    """The calibration, or nothing where it cannot be made yet."""
    return ["<results>/plan/calibration.json"] if can_calibrate() else []


def plan_tests(wildcards):
    """The tasks' tables, whose rows count as questions; without a calibration nothing is made."""
    tasks = config["tasks"] if can_calibrate() else []
    return expand("<results>/tasks/{task}/test.parquet", task=tasks)


def plan_flags(wildcards):
    """What the plan is told of the workflow: config and runs as JSON, and where to count."""
    flags = ["--config", json.dumps(config, sort_keys=True)]
    flags += ["--runs", json.dumps(RUNS)]
    summary = f"results/{config['run']}/pool/summary.json"
    flags += ["--summary", summary] if os.path.isfile(summary) else []
    return shlex.join(flags)
