"""Inputs and flags that rules put together from the config.

Functions only: rules and functions live in files of their own.
"""


def validation_images():
    """Where the images of each validation set are."""
    return [data_files.task_images(config, name, "validation") for name in VALIDATED]


def projection_flags(wildcards_or_seed):
    """Flags of the random projection; its seed is the warm-up's where the config fixes none."""
    projection = config["gradients"]["projection"]
    seed = getattr(wildcards_or_seed, "seed", wildcards_or_seed)
    seed = seed if projection["seed"] is None else projection["seed"]
    flags = ["--projection", projection["type"], "--dim", str(projection["dim"])]
    flags += ["--projection-seed", str(seed)]
    flags += ["--nonzeros", str(projection["nonzeros"])]
    flags += ["--implementation", projection["implementation"]]
    return shlex.join(flags)


def maker():
    """Who made a shard, for its header: the run; with --cache, any of those that share it."""
    caches = workflow.workflow_settings.cache is not None
    return "shared" if caches else config["run"]


def validation_gradients():
    """Outputs for each task's validation set, named, so that Snakemake's cache can tell them apart."""
    path = "<results>/gradients/{model}/seed-{seed}/{task}/shard-1-of-1.safetensors"
    model = config["gradients"]["model"]
    paths = expand(path, model=model, task=VALIDATED, allow_missing=True)
    return {f"validation_{i}": path for i, path in enumerate(paths)}


def keep_norms():
    """Tasks whose validation gradients are not normalised: subtasks, where the config says so."""
    if config["gradients"]["normalise_subtasks"]:
        return []
    return [name for name in VALIDATED if config["tasks"][name].get("group")]


def keeps_matrix():
    """Whether ICONS' config asks for the influence of every single validation sample."""
    return (config["methods"].get("icons") or {}).get("keep_matrix", False)


def vote_percentile(wildcards):
    """Percentile of ICONS; its default comes only with the method's own file."""
    return config["methods"]["icons"]["percentile"]


def activation_flags():
    """Flags of the activations' form and, where the config lists them, layers."""
    features = config["features"]
    flags = ["--variant", features["variant"]]
    if features["layers"] is not None:
        flags += ["--layers", *map(str, features["layers"])]
    return shlex.join(flags)


def attention_flags():
    """Flags of the attended visual features."""
    settings = config["features"]["attention"]
    keys = ("instruction", "layer", "mass")
    return shlex.join(part for key in keys for part in (f"--{key}", str(settings[key])))


def score_net_flags():
    """Flags of Self-Filter's score net."""
    settings = config["methods"]["self_filter"]
    keys = ("net_learning_rate", "initial_spread", "variant")
    flags = [p for k in keys for p in (f"--{k.replace('_', '-')}", str(settings[k]))]
    return shlex.join(flags)


def activation_shards(wildcards):
    """The activations that are clustered: those of COINCIDE's model."""
    return gather.pool(
        "<results>/features/{model}/activations/shard-{scatteritem}.safetensors",
        model=config["methods"]["coincide"]["model"],
    )


def clustering_flags(wildcards):
    """Flags of the k-means."""
    settings = config["methods"]["coincide"]
    flags = ["--seed", wildcards.seed]
    for key in (
        *("n_clusters", "iterations", "points_per_centroid", "memory_gb"),
        *("device", "on_collapse"),
    ):
        if settings[key] is not None:
            flags += [f"--{key.replace('_', '-')}", str(settings[key])]
    return shlex.join(flags)


def clustering_gpus(wildcards):
    """GPUs that the k-means asks the cluster for."""
    return int(config["methods"]["coincide"]["device"] == "gpu")


def summary_flags(wildcards):
    """Flags of transferability and density."""
    settings = config["methods"]["coincide"]
    flags = ["--variant", settings["variant"], "--sigma", str(settings["sigma"])]
    return shlex.join([*flags, "--max-cosine", str(settings["max_cosine"])])


def benchmark_code(script):
    """A script that scores, with the metrics that the tasks name."""
    metrics = sorted({config["tasks"][task]["metric"] for task in TESTED})
    return code(
        script, *(f"vlselect/benchmarks/metrics/{metric}.py" for metric in metrics)
    )


def benchmark_tests(wildcards):
    """The test sets, in the order of TESTED."""
    return expand("<results>/tasks/{task}/test.parquet", task=TESTED)


def benchmark_validations(wildcards):
    """The validation sets of the tested tasks that have one."""
    tasks = [task for task in TESTED if task in VALIDATED]
    return expand("<results>/tasks/{task}/validation.parquet", task=tasks)


def benchmark_flags(wildcards):
    """A --task flag for each test set: what scores it, image root, tokens of an answer."""
    flags = []
    for task in TESTED:
        images = data_files.task_images(config, task, "test")
        flags += [*task_flag(task), images, str(max_new_tokens(task))]
    return shlex.join(flags)


def majority_flags(wildcards):
    """A --task flag for each test set, and a --validation flag where there is one."""
    flags = [part for task in TESTED for part in task_flag(task)]
    for task in TESTED:
        if task in VALIDATED:
            flags += ["--validation", task, task_table(task, "validation")]
    return shlex.join(flags)


def task_flag(task):
    """What scores a task: name, metric, metric's options as JSON, and test set.

    No function of the inputs: Snakemake records no parameter that is, and a changed option would rerun nothing.
    """
    settings = config["tasks"][task]
    options = json.dumps(settings["metric_options"], sort_keys=True)
    return ["--task", task, settings["metric"], options, task_table(task, "test")]


def task_table(task, split):
    """Where a task's samples are."""
    return f"results/{config['run']}/tasks/{task}/{split}.parquet"


def max_new_tokens(task):
    """Tokens of an answer, at most: the task's own number, or that of all."""
    own = config["tasks"][task]["max_new_tokens"]
    return own or config["generate"]["max_new_tokens"]


def config_as_json(wildcards):
    """The config as a flag; a function, since prompts may have braces, which are wildcards in a string."""
    return json.dumps(config, sort_keys=True)


def provenance_inputs():
    """Every file and folder that came from outside the workflow, or stands for it in the demo."""
    files = pool_record_files()
    for task in [] if "tasks" in config["given"] else config["tasks"].values():
        for split in data_files.SPLITS:
            files += data_files.task_files(task, split)
        files += files_of_build(task["build"]) if "build" in task else []
    for name in config["models"]:
        files += [
            p for p in model_files(name) if not config["given"] or os.path.exists(p)
        ]
    folder = Path("results") / config["run"]
    files += [
        str(path) for stage in config["given"] for path in folder.glob(f"{stage}*")
    ]
    files += filter(None, (config["constraints"][key] for key in ("keep", "exclude")))
    return sorted(set(files))


def explorer_templates():
    """What the explorer's page is made of."""
    folder = Path(os.path.relpath(workflow.basedir)) / "report/explorer"
    return [str(folder / f"page.{suffix}") for suffix in ("html", "css", "js")]
