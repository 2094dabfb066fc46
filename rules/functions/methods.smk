"""Methods: their parameters and signals as flags, their seeds of selection.

Functions only. What a method chooses by is made with the seed of the run, or with the one that the
config fixes in a section: `gradients`, `proxy`, or the method's own (vlselect/config/selection_seeds.py).
"""

from vlselect.config.selection_seeds import GRADIENTS, selection_seed, selection_seeds

NO_SIGNALS = ("code", "samples", "limits")  # inputs of all methods


def parameters(method, *keys, **more):
    """Return these keys of a method's config entry and what else it takes, as JSON for --parameters."""
    chosen = {key: config["methods"][method][key] for key in keys}
    return json.dumps(chosen | more, sort_keys=not more)


def signal_flags(tables=(), task_samples=()):
    """Return a function that makes a flag of each input that is a signal, named like the input.

    tables: inputs whose files are parts of one signal, such as one for each task; task_samples: those
    whose files are tasks' samples.
    """
    kinds = dict.fromkeys(tables, "--tables") | dict.fromkeys(
        task_samples, "--task-samples"
    )

    def flags(wildcards, input):
        return shlex.join(
            word
            for name in input.keys()
            if name not in NO_SIGNALS
            for word in (
                kinds.get(name, "--signal"),
                name,
                *([input[name]] if isinstance(input[name], str) else input[name]),
            )
        )

    return flags


def score_net_flags():
    """Return the flags of Self-Filter's score net."""
    settings = config["methods"]["self_filter"]
    keys = ("net_learning_rate", "initial_spread", "variant")
    flags = [p for k in keys for p in (f"--{k.replace('_', '-')}", str(settings[k]))]
    return shlex.join(flags)


def concept_flags():
    """Return the flags of MCL's concepts."""
    settings = config["methods"]["mcl"]
    flags = ["--tagger", settings["tagger"]] if settings["tagger"] else []
    flags += ["--pairs"] if settings["pairs"] else []
    return shlex.join([*flags, "--min-samples", str(settings["min_samples"])])


def of_run(section, paths):
    """Return an input function: the paths with this section's seed in the job's run."""

    def files(wildcards):
        return expand(paths, seed=selection_seed(config, section, wildcards.seed))

    return files


def section_of(method):
    """Return the section whose seed moves what a method chooses by."""
    if method in BY_PROXY:
        return PROXY
    return GRADIENTS if method in NEEDS_VALIDATION - WITHOUT_GRADIENTS else method


def seeds_of(method):
    """Return the seeds of selection in the runs of a method, each once; the first run's first."""
    runs = [run for run in RUNS if run["method"] == method]
    return selection_seeds(config, section_of(method), runs)


def of_runs(method, paths):
    """Return the paths with each seed of selection that the method's runs have."""
    return [path for seed in seeds_of(method) for path in expand(paths, seed=seed)]


def of_first_run(method, path):
    """Return a path with the seed of selection of the method's first run, if it has runs."""
    return of_runs(method, path)[:1]
