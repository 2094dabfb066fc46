"""Tables of a small run, made up for the tests of the figures."""

import numpy as np
import pandas as pd
from PIL import Image

from vlselect.pool.thumbnails import encode_thumbnail
from vlselect.tables import contrasts, declarations, score_distribution
from vlselect.tables.comparison_with_random import comparison_with_random
from vlselect.tables.declarations import Run
from vlselect.tables.relative_performance import relative_by_seed, relative_performance
from vlselect.tables.subset_composition import subset_composition
from vlselect.tables.subset_overlap import subset_overlap
from vlselect.tables.task_agreement import task_agreement
from vlselect.tables.vote_extremes import extreme_rows
from vlselect.tables.votes_histogram import votes_histogram

TASKS = ["recognition", "position", "reading a long sign"]
SOURCES = ["counting", "colour", "captions", "arithmetic"]
CHOOSERS = ["random", "icons", "coincide", "my_own_method"]
ELEVEN = ["random", "icons", "coincide", "scalselect", "clip_score", "el2n", "perplexity"]
ELEVEN += ["semdedup", "d2_pruning", "self_sup", "self_filter"]
SCORED = ["el2n", "perplexity", "clip_score", "scalselect", "my_own_method"]
N = 200


def write_tables(
    folder, ratios=("0.2",), models=("target",), seeds=("0", "1", "2"), choosers=CHOOSERS, zero=()
):
    """Write every table into `folder`, `full` scoring zero on some tasks; return the folder."""
    runs = [Run(model, "full", "1.0", seed) for model in models for seed in seeds]
    runs += [
        Run(model, c, r, s) for model in models for c in choosers for r in ratios for s in seeds
    ]
    write_benchmarks(folder, runs, models, zero)
    write_subsets(folder, list(dict.fromkeys(Run("", r.method, r.ratio, r.seed) for r in runs)))
    write_votes(folder, ratios, seeds=seeds)
    write_clusters(folder, ratios, seeds)
    write_costs(folder, runs)
    return folder


def write_benchmarks(folder, runs, models, zero=()):
    """Write scores that grow with the ratio, for easy and hard questions, and derived tables."""
    rng = np.random.default_rng(0)
    untrained = [Run(model, "pretrained", "0.0", "0") for model in models]
    difficulty = {task: rng.normal(0.0, 20.0, N) for task in TASKS}
    questions, rows = {}, []
    for run in [*runs, *untrained, Run("", "majority", "", "")]:
        level = 40.0 + 50.0 * float(run.ratio or 0) ** 0.5
        for task in TASKS:
            chance = (rng.normal(level, 3.0) + difficulty[task]) / 100
            right = (rng.random(N) < chance) & (run.method != "full" or task not in zero)
            questions[run, task] = pd.Series(100.0 * right)
        names = {"model": run.model, "method": run.method, "ratio": run.ratio, "seed": run.seed}
        rows += [
            names
            | {"task": task, "metric": "exact_match", "score": questions[run, task].mean(), "n": N}
            for task in TASKS
        ]
    scores = pd.DataFrame(rows)
    by_seed = relative_by_seed(scores)
    of_models = contrasts.by_model(scores, read=lambda run, task: questions[run, task])
    performance = relative_performance(by_seed, of_models)
    declarations.write_table(scores, "benchmark_scores", folder / "benchmark_scores.csv")
    declarations.write_table(by_seed, "relative_by_seed", folder / "relative_by_seed.csv")
    declarations.write_table(
        performance, "relative_performance", folder / "relative_performance.csv"
    )
    compared = comparison_with_random(by_seed, of_models)
    declarations.write_table(
        compared, "comparison_with_random", folder / "comparison_with_random.csv"
    )


def write_subsets(folder, runs, sources=SOURCES):
    """Write random subsets of a pool."""
    rng = np.random.default_rng(1)
    pool = rng.choice(sources, N)
    subsets = {run: rng.choice(N, int(N * float(run.ratio)), replace=False) for run in runs}
    content = subset_composition(pool, subsets)
    declarations.write_table(content, "subset_composition", folder / "subset_composition.csv")
    overlap = subset_overlap(N, subsets)
    declarations.write_table(overlap, "subset_overlap", folder / "subset_overlap.csv")
    write_scores(folder, pool, subsets)


def write_scores(folder, pool, subsets):
    """Write scores that depend on the source, some of them heavy-tailed; one source has none."""
    rng = np.random.default_rng(4)
    levels = dict(zip(np.unique(pool), rng.normal(size=len(np.unique(pool))), strict=True))
    parts = []
    for i, method in enumerate(SCORED):
        scores = np.array([levels[source] for source in pool]) + rng.normal(size=len(pool))
        scores = 1000.0 * np.exp(scores) if i == 1 else scores
        scores[pool == pool[0]] = np.nan if i == 2 else scores[pool == pool[0]]
        for seed in sorted({run.seed for run in subsets}) if i % 2 else ["0"]:
            # scores per seed of the run, or one for all
            own = {run: rows for run, rows in subsets.items() if seed == run.seed or not i % 2}
            table = score_distribution.score_distribution(list(pool), method, scores, own)
            parts.append(table.assign(seed=seed))
    content = pd.concat(parts, ignore_index=True)
    declarations.write_table(content, "score_distribution", folder / "score_distribution.csv")


def write_votes(folder, ratios, tasks=TASKS, seeds=("0",)):
    """Write votes of random influences; some questions are long, empty or contain dollar signs."""
    rng = np.random.default_rng(2)
    histogram, pairs, extremes = [], [], []
    for seed in seeds:
        influence = pd.DataFrame({task: rng.normal(size=N) for task in tasks})
        votes = (influence >= influence.quantile(0.8)).astype("uint8")
        counts = votes.sum(axis=1).to_numpy(np.int64)
        rank = influence.rank().mean(axis=1).to_numpy()
        order = np.lexsort((-rank, -counts))
        runs = [Run("", "icons", ratio, seed) for ratio in ratios]
        subsets = {run: order[: int(N * float(run.ratio))] for run in runs}
        histogram.append(votes_histogram(counts, len(tasks), subsets))
        pairs.append(task_agreement(influence, votes).assign(seed=seed))
        found = extreme_rows(counts, rank, np.ones(N, dtype=bool), 12)
        for extreme, members in zip(("most", "least"), found, strict=True):
            place = {"seed": seed, "extreme": extreme}
            extremes += [place | row for row in shown(rng, members, counts)]
    parts = {"votes_histogram": histogram, "task_agreement": pairs}
    for name, frames in parts.items():
        declarations.write_table(pd.concat(frames), name, folder / f"{name}.csv")
    declarations.write_table(extremes, "vote_extremes", folder / "vote_extremes.csv")


def shown(rng, members, counts):
    """Return what a contact sheet shows of these rows."""
    questions = ["Which digit is red?", "How much is $3 + $4? " * 8, "", "Supercalifragilistic" * 3]
    for i, row in enumerate(members):
        size = (24 + 8 * (i % 3), 24, 3)
        image = Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8))
        place = {"position": i + 1, "row": row, "votes": counts[row]}
        words = {"question": questions[i % 4][:160], "answer": "the left one " * (i % 5)}
        sample = {"sample_id": f"s{row}", "source": "a_source_with_a_rather_long_name"}
        yield place | words | sample | {"thumbnail": encode_thumbnail(image)}


def write_clusters(folder, ratios, seeds):
    """Write a few clusters; every seed has one more than the one before."""
    rng = np.random.default_rng(3)
    rows = []
    for count, seed in enumerate(seeds, 12):
        size, density = rng.integers(1, 40, count), rng.uniform(0.3, 1.0, count)
        rows += [
            {
                "ratio": ratio,
                "seed": seed,
                "cluster": cluster,
                "size": size[cluster],
                "transferability": 0.1 * cluster,
                "density": density[cluster],
                "probability": 1 / count,
                "allocated": int(size[cluster] * float(ratio)),
            }
            for ratio in ratios
            for cluster in range(count)
        ]
    declarations.write_table(rows, "clusters", folder / "clusters.csv")


def write_costs(folder, runs, measured=True):
    """Write costs of every method, or rows that say that nothing was measured."""
    rows = []
    for run in dict.fromkeys(Run(run.model, run.method, run.ratio, "") for run in runs):
        selection = {"full": 1.0, "random": 1.0, "icons": 60.0}.get(run.method, 20.0)
        finetuning = 100.0 * float(run.ratio)
        levels = {"selection": selection, "finetuning": finetuning}
        for level, wall in (levels | {"total": selection + finetuning}).items():
            wall = wall if measured else float("nan")
            names = {"level": level, "name": run.method, "model": run.model, "ratio": run.ratio}
            counts = {"jobs": int(measured), "unsampled": 0, "peak_memory_mb": 500.0}
            kinds = ("device_seconds", "wall_seconds", "elapsed_seconds", "cpu_seconds")
            seconds = dict.fromkeys((*kinds, "relative_to_full"), wall)
            rows.append(names | counts | seconds)
    declarations.write_table(rows, "cost", folder / "cost.csv")
