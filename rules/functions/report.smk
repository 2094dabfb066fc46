"""Report and provenance: what the pages are made of, and every input of the run.

Functions only.
"""


def first_scores():
    """Return {method: file} of the scores of each method's first seed."""
    return {method: path for method, _, path in reversed(score_paths())}


def first_score_flags():
    """Return a --scores flag for each of them: method and file."""
    return shlex.join(
        [p for pair in first_scores().items() for p in ("--scores", *pair)]
    )


def page_templates(folder, *names):
    """Return the parts of a page, and the colours that all pages share."""
    pages = Path(os.path.relpath(workflow.basedir)) / "report"
    parts = [pages / folder / name for name in names]
    return [str(path) for path in (*parts, pages / "theme.css")]


def first_gate():
    """Return the gate of the first run, if there is one."""
    seeds = selection_seeds(config, PROXY, RUNS)[:1] if config.get("gate") else []
    return [f"<results>/gate/seed-{seed}.parquet" for seed in seeds]


def first_losses():
    """Return the losses that clean_shares goes by in the first run, where no gate has them."""
    if config.get("gate") or not selects("clean_shares"):
        return []
    return expand(pool_losses(PROXY), seed=seeds_of("clean_shares")[0])


def near_duplicates():
    """Return the pairs of near-duplicates, where they are looked for."""
    compared = (config["constraints"]["duplicates"] or {}).get("model")
    return ["<results>/duplicates.parquet"] if compared else []


def compared_tables():
    """Return the tables that say which subset is worth most, in the order of make_answer.py."""
    names = ("comparison_with_random", "relative_performance", "cost")
    return [f"<results>/tables/{name}.csv" for name in names] if compares() else []


def config_as_json(wildcards):
    """Return the config as a flag; a function, since braces in a string would be wildcards."""
    return json.dumps(config, sort_keys=True)


def provenance_inputs():
    """Return every file and folder from outside the workflow, or what stands for it in the demo."""
    files = pool_record_files()
    for task in [] if "tasks" in config["given"] else config["tasks"].values():
        for split in data_files.SPLITS:
            files += data_files.task_files(task, split)
        files += files_of_build(task["build"]) if "build" in task else []
    for name in config["models"]:
        files += [
            p for p in model_files(name) if not config["given"] or os.path.exists(p)
        ]
    files += [
        str(p) for stage in config["given"] for p in Path(RESULTS).glob(f"{stage}*")
    ]
    files += filter(None, (config["constraints"][key] for key in ("keep", "exclude")))
    files += [] if "pool" in config["given"] else excluded_ids()
    return sorted(set(files))
