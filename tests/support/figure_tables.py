"""Tables of runs of any size and with any names, for tests of the figures' layout.

Numbers are made up and need not fit together; some may be missing.
"""

import itertools

import numpy as np
import pandas as pd
from PIL import Image

from vlselect.pool.thumbnails import encode_thumbnail, shorten
from vlselect.tables import declarations

BUDGETS = {"0.05": "ratio-0.05", "0.182133": "tokens-250000", "0.3": "samples-1000"}
INTERVAL = ("low", "high", "question_low", "question_high")


def write_tables(
    folder,
    methods,
    sources=("counting", "colour"),
    models=("target", "reference"),
    tasks=("position", "reading"),
    budgets=BUDGETS,
    seeds=("0",),
    missing=0.0,
):
    """Write all tables that figures read into `folder`; return the folder.

    `budgets` maps ratios to what paths call them. A share `missing` of the numbers that may be
    missing is.
    """
    rng = np.random.default_rng(0)
    write = _writer(folder, rng, missing)
    write("budgets", _budgets(budgets))
    full = [("full", "1.0")]
    chosen = list(itertools.product(methods, budgets))
    _write_performance(write, rng, models, full + chosen, tasks, seeds)
    known = [seed or "0" for seed in seeds]  # only published tables have no seeds
    _write_subsets(write, rng, methods, budgets, known, sources)
    _write_votes(write, rng, budgets, known, tasks, sources)
    keys = itertools.product(budgets, known, range(9))
    names = ("ratio", "seed", "cluster")
    clusters = pd.DataFrame(keys, columns=names).assign(size=40, probability=0.1, allocated=7)
    clusters["size"] = rng.integers(8, 5000, len(clusters))
    numbers = {"transferability": 0.0, "density": 0.0}
    write("clusters", clusters.assign(**numbers), uniform={"transferability": 1, "density": 1})
    return folder


def _writer(folder, rng, missing):
    """Return what writes a table, after filling columns with random numbers and taking some out."""

    def write(name, frame, uniform=(), optional=()):
        frame = pd.DataFrame(frame)
        for column, most in dict(uniform).items():
            frame[column] = rng.uniform(0, most, len(frame))
        for column in [*uniform, *optional]:
            frame.loc[rng.random(len(frame)) < missing, column] = np.nan
        declarations.write_table(frame, name, folder / f"{name}.csv")

    return write


def _budgets(budgets):
    return [
        {"budget": label, "amount": 10, "pool": 100, "ratio": ratio}
        for ratio, label in budgets.items()
    ]


def _write_performance(write, rng, models, chosen, tasks, seeds):
    """Write scores, performance relative to the full pool, differences from random, and costs."""
    untrained = [("pretrained", "0.0"), ("majority", "")]
    runs = pd.DataFrame(
        [(m, *pair) for m in models for pair in [*chosen, *untrained]],
        columns=["model", "method", "ratio"],
    )
    seeded = runs.merge(pd.DataFrame({"seed": list(seeds)}), how="cross")
    each = seeded.merge(pd.DataFrame({"task": list(tasks)}), how="cross")
    write("benchmark_scores", each.assign(metric="exact_match", n=200), uniform={"score": 100})
    tasks = pd.DataFrame({"task": [*tasks, declarations.MEAN]})
    by_seed = seeded.merge(tasks, how="cross").assign(score=50.0)
    write("relative_by_seed", by_seed, uniform={"relative": 110})
    means = runs.merge(tasks, how="cross").assign(n_seeds=len(seeds), score=50.0)
    means["relative"] = rng.uniform(30, 110, len(means))
    spread = 5.0 if len(seeds) > 1 else np.nan
    level = "seeds and questions" if len(seeds) > 1 else "none"
    around = {"low": -spread, "high": spread, "question_low": -3.0, "question_high": 3.0}
    ends = {name: means["relative"] + by for name, by in around.items()}
    facts = {"df": 5.0, "interval": level}
    write("relative_performance", means.assign(**ends, **facts), optional=("relative", *INTERVAL))
    others = runs[runs["ratio"].isin([r for _, r in chosen]) & ~runs["method"].isin(["full"])]
    others = others.assign(n_seeds=2, n_seeds_random=2, p=0.01, p_holm=0.02, **facts)
    others["difference"] = rng.uniform(-30, 30, len(others))
    ends = {name: others["difference"] + by for name, by in around.items()}
    others = others.assign(verdict="lower", **ends)
    write("comparison_with_random", others, optional=("difference", *INTERVAL))
    levels = pd.DataFrame({"level": ["selection", "finetuning", "total"]})
    costs = runs[~runs["method"].isin(declarations.UNTRAINED)].merge(levels, how="cross")
    costs = costs.rename(columns={"method": "name"}).assign(jobs=2, unsampled=0)
    parts = rng.uniform(0, 60, (len(costs) // 3, 2))
    costs["relative_to_full"] = np.column_stack([parts, parts.sum(axis=1)]).ravel()
    seconds = ("device_seconds", "wall_seconds", "elapsed_seconds", "cpu_seconds")
    numbers = dict.fromkeys((*seconds, "peak_memory_mb"), 10.0)
    write("cost", costs.assign(**numbers), optional=["relative_to_full"])


def _write_subsets(write, rng, methods, budgets, seeds, sources):
    """Write composition, overlap and scores of the subsets."""
    runs = pd.DataFrame(
        itertools.product(methods, budgets, seeds), columns=["method", "ratio", "seed"]
    )
    each = runs.merge(pd.DataFrame({"source": list(sources)}), how="cross")
    n = np.tile(rng.dirichlet(np.ones(len(sources)), len(runs)).ravel(), 1)
    shares = each.assign(n=(1000 * n).astype(int), share=n, pool_share=1 / len(sources))
    write("subset_composition", shares, optional=["share"])
    pairs = pd.DataFrame(itertools.combinations(methods, 2), columns=["method_a", "method_b"])
    pairs = pairs.merge(runs[["ratio", "seed"]].drop_duplicates(), how="cross")
    counts = {"n_common": 30, "expected_by_chance": 20.0}
    write("subset_overlap", pairs.assign(**counts), uniform={"jaccard": 1})
    scored = each.assign(n=100, n_scored=90, chosen=rng.random(len(each)))
    heavy = np.where(scored["method"] == methods[0], 3.0, 0.3)  # decades
    quantiles = np.sort(rng.normal(size=(len(each), 5)), axis=1) * heavy[:, None]
    for i, column in enumerate(("low", "quarter", "median", "three_quarters", "high")):
        scored[column] = 10.0 ** quantiles[:, i]
    scored.loc[scored["source"] == sources[0], "n_scored"] = 0
    write("score_distribution", scored)


def _write_votes(write, rng, budgets, seeds, tasks, sources):
    """Write votes, the tasks' agreement, and samples with images."""
    keys = itertools.product(budgets, seeds, range(len(tasks) + 1))
    votes = pd.DataFrame(keys, columns=["ratio", "seed", "votes"]).assign(share=0.1)
    votes["n"] = rng.integers(0, 100_000, len(votes))
    write("votes_histogram", votes.assign(selected=votes["n"] // 3))
    pairs = itertools.product(seeds, tasks, tasks)
    agreement = pd.DataFrame(pairs, columns=["seed", "task_a", "task_b"]).assign(pearson=0.5)
    agreement["spearman"] = rng.uniform(-1, 1, len(agreement))
    write("task_agreement", agreement, uniform={"jaccard": 1}, optional=["spearman"])
    shown = pd.DataFrame(
        itertools.product(seeds, ("most", "least"), range(1, 9)),
        columns=["seed", "extreme", "position"],
    )
    source = [sources[i % len(sources)] for i in shown["position"]]
    words = {
        "question": [shorten(f"{name} " * 8) for name in source],
        "answer": [shorten(name * 3) for name in source],
    }
    image = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    sample = {"sample_id": "s1", "row": 1, "votes": 3, "thumbnail": encode_thumbnail(image)}
    write("vote_extremes", shown.assign(source=source, **words, **sample))
