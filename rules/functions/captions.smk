"""What the report says of each figure beside its caption.

Functions only, for figures.smk.
"""


def caption_facts(wildcards):
    """What the captions say of every run: models and seeds, where the config knows them."""
    runs = experiment_runs()
    if not runs:
        return "Drawn from tables that came with the project."
    models = ", ".join(dict.fromkeys(run["model"] for run in runs))
    seeds = ", ".join(dict.fromkeys(str(run["seed"]) for run in runs))
    return f"Model: {models}. Seeds: {seeds}."


def figure_labels(wildcards, output):
    """What a figure is called in the report, and how many samples the pool of its run has.

    Read when the report is made, so that it is no parameter of the figure; the tables of a cached
    run do not say it.
    """
    figure = Path(output.png)
    labels = {"figure": figure.stem.replace("_", " ")}
    summary = figure.parents[1] / "pool/summary.json"
    if summary.is_file():
        labels["pool"] = f"n = {json.loads(summary.read_text())['accepted']}"
    return labels
