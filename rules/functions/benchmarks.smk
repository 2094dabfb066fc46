"""Benchmarks: test sets as inputs, and the flags of what answers and scores them.

Functions only.
"""


def benchmark_files():
    """Return the scores of every experiment's checkpoints on every task, and what the pool has of the tests."""
    path = "<results>/benchmarks/{model}/{method}/{budget}_seed-{seed}/{task}.json"
    scores = [path.format(**run, task=task) for run in TRAINED for task in TESTED]
    checks = ["<results>/benchmarks/tests.json"] if scores else []
    return [*checks, *scores, *contamination_table()]


def benchmark_names():
    """Return all that is scored: checkpoints, each model as it comes, the majority answer."""
    models = experiments.distinct(TRAINED, "model")
    untrained = [experiments.UNTRAINED.format(model=model) for model in models]
    return [*checkpoint_names(), *untrained, experiments.MAJORITY]


def scores(names, suffix="json"):
    """Return the scores of these runs on every task; with "parquet", those of each question."""
    return [
        f"<results>/benchmarks/{name}/{task}.{suffix}"
        for name in names
        for task in TESTED
    ]


def benchmark_code(script):
    """Return a script that scores, with the metrics that the tasks name."""
    metrics = sorted({config["tasks"][task]["metric"] for task in TESTED})
    return code(
        script, *(f"vlselect/benchmarks/metrics/{metric}.py" for metric in metrics)
    )


def benchmark_tests(wildcards):
    """Return the test sets, in the order of TESTED, and, where a copy is an error, that there is none."""
    tests = expand("<results>/tasks/{task}/test.parquet", task=TESTED)
    strict = config["on_contamination"] == "error"
    return [*tests, *(contamination_table() if strict else [])]


def checked_tests(wildcards):
    """Return the test sets, and what says that they can be scored."""
    return [*benchmark_tests(wildcards), "<results>/benchmarks/tests.json"]


def benchmark_validations(wildcards):
    """Return the validation sets of the tested tasks that have one."""
    tasks = [task for task in TESTED if task in VALIDATED]
    return expand("<results>/tasks/{task}/validation.parquet", task=tasks)


def benchmark_flags(wildcards):
    """Return a --task flag for each test set: metric, image root, tokens of an answer."""
    flags = []
    for task in TESTED:
        images = data_files.task_images(config, task, "test")
        flags += [*task_flag(task), images, str(max_new_tokens(task))]
    return shlex.join(flags)


def metric_flags(wildcards):
    """Return a --task flag for each test set, with its metric."""
    return shlex.join(part for task in TESTED for part in task_flag(task))


def majority_flags(wildcards):
    """Return the same, and a --validation flag for each validation set."""
    flags = [part for task in TESTED for part in task_flag(task)]
    for task in TESTED:
        if task in VALIDATED:
            flags += [
                "--validation",
                task,
                f"{RESULTS}/tasks/{task}/validation.parquet",
            ]
    return shlex.join(flags)


def task_flag(task):
    """Return what scores a task: name, metric, metric's options as JSON, and test set.

    No function of the inputs: Snakemake does not record a parameter that is one, and a changed
    option would rerun nothing.
    """
    settings = config["tasks"][task]
    options = json.dumps(settings["metric_options"], sort_keys=True)
    test = f"{RESULTS}/tasks/{task}/test.parquet"
    return ["--task", task, settings["metric"], options, test]


def max_new_tokens(task):
    """Return the most tokens of an answer: the task's own number, or that of all."""
    own = config["tasks"][task]["max_new_tokens"]
    return own or config["generate"]["max_new_tokens"]


def merging_flag():
    """Return the flag with which a checkpoint's adapter is merged before it answers."""
    return "--merge-adapter" if config["generate"]["merge_adapters"] else ""


def model_path(wildcards):
    """Return where the model as it comes is: a directory, or a hub id."""
    return model_settings(wildcards)["path"]


def lmms_flags(wildcards):
    """Return lmms_eval's flags: environment, adapter and its arguments, the model's device."""
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
