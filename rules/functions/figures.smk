"""Figures: which there are, their tables as flags, what the report says of each.

Functions only.
"""

import csv


def figure_files():
    """Return the figures that the config has something to draw in."""
    if config["cached"]:
        return figure_paths(cached_figures())
    names = ["composition", "overlap"]
    if compares():
        names += ["relative_performance", "performance_by_ratio", "cost"]
    if scored_methods():
        names += ["score_distribution"]
    if selects("icons"):
        names += ["votes", "task_agreement", "contact_sheet"]
    if selects("coincide"):
        names += ["clusters"]
    return figure_paths(names)


def figure_paths(names):
    """Return both files of each figure."""
    return [
        f"<results>/figures/{name}.{suffix}"
        for name in names
        for suffix in ("png", "svg")
    ]


def cached_figures():
    """Return the figures of which a cached run holds all tables: those that the plot rule reads."""
    names = []
    for known in workflow.rules:
        tables = [path for _, path in tables_of(known.input)]
        if known.name.startswith("plot_") and all(map(os.path.isfile, tables)):
            names.append(known.name.removeprefix("plot_"))
    if not names:
        raise WorkflowError(
            f"The config says that run {config['run']!r} is cached, but"
            f" {RESULTS}/tables holds all the tables of no figure."
        )
    return names


def table_flags(wildcards, input):
    """Return the tables among a figure's inputs, as flags named like them."""
    return shlex.join(
        [p for name, path in tables_of(input) for p in (f"--{name}", path)]
    )


def tables_of(files):
    """Return the name and the path of each table that only this figure reads."""
    return [pair for pair in files.items() if pair[0] not in ("code", "budgets")]


def shown_methods():
    """Return the run's methods, in the order in which those that are not known get their looks.

    The tables of a cached run name them if its config does not.
    """
    names = METHODS
    if config["cached"] and not names:
        for path in sorted(Path(RESULTS, "tables").glob("*.csv")):
            with path.open(encoding="utf-8", newline="") as file:
                names = [
                    *names,
                    *(row.get("method", "") for row in csv.DictReader(file)),
                ]
    return [name for name in dict.fromkeys(names) if name]


def figure_labels(wildcards, output):
    """Return a figure's name in the report, and how many samples the pool of its run has.

    Read when the report is made, so that it is no parameter of the figure; the tables of a cached
    run do not say it.
    """
    figure = Path(output.png)
    labels = {"figure": figure.stem.replace("_", " ")}
    summary = figure.parents[1] / "pool/summary.json"
    if summary.is_file():
        labels["pool"] = f"n = {json.loads(summary.read_text())['accepted']}"
    return labels
