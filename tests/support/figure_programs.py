"""The plot programs and their tables."""

import importlib

from vlselect.figures import style
from vlselect.figures.key import Key
from vlselect.tables import declarations

FIGURES = {  # script: flags and their tables, in the order of draw()
    "plot_relative_performance": {
        "performance": "relative_performance",
        "seeds": "relative_by_seed",
        "scores": "benchmark_scores",
        "comparison": "comparison_with_random",
    },
    "plot_performance_by_ratio": {
        "performance": "relative_performance",
        "seeds": "relative_by_seed",
    },
    "plot_composition": {"composition": "subset_composition"},
    "plot_overlap": {"overlap": "subset_overlap"},
    "plot_score_distribution": {"distribution": "score_distribution"},
    "plot_votes": {"histogram": "votes_histogram"},
    "plot_task_agreement": {"agreement": "task_agreement"},
    "plot_clusters": {"clusters": "clusters"},
    "plot_cost": {"cost": "cost", "performance": "relative_performance"},
    "plot_contact_sheet": {"extremes": "vote_extremes"},
}


def draw(script, folder):
    """Return the figure of a script, laid out."""
    with style.applied():
        figure = importlib.import_module(script).draw(*read(script, folder))
        style.settle(figure)
    return figure


def read(script, folder):
    """Return the tables of a script, and the key to them, as its `draw` takes them."""
    content = [declarations.read_table(folder / f"{t}.csv", t) for t in FIGURES[script].values()]
    budgets = [path for path in [folder / "budgets.csv"] if path.is_file()]
    scores = folder / "benchmark_scores.csv"
    runs = declarations.read_table(scores, "benchmark_scores") if scores.is_file() else None
    methods = [] if runs is None else list(dict.fromkeys(runs["method"]))
    return *content, Key.read(methods, budgets, content)
