"""Stages whose cost grows with the pool: their command lines, and the least possible time."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from layout import SAMPLES_PER_CLUSTER, TASKS, WIDTHS, shard_paths

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
ENERGY = 0.9
RATIO = "ratio-0.2"
ITERATIONS = 2  # of the k-means, which has 50 by default: each costs as much


@dataclass(frozen=True)
class Size:
    """One size of pool, and the place of its files.

    Attributes
    ----------
    work : Path
        Folder of the synthetic stores and of the stages' outputs.
    divisor : int
        1, 2 or 4: the part of the whole pool.
    active : int
        Samples with activations: a tenth, since more would not fit on a usual disk.
    clusters : int
        Number for the whole pool, by the pipeline's default.
    """

    work: Path
    divisor: int
    rows: int
    active: int
    clusters: int

    @property
    def out(self) -> Path:
        return self.work / f"results-{self.divisor}"

    def shards(self, kind: str) -> list[Path]:
        return shard_paths(self.work / kind, self.divisor)


@dataclass(frozen=True)
class Stage:
    """A stage as a user runs it: functions of a size.

    Attributes
    ----------
    rows, command, reads : callable
        Rows that it processes; script and flags; large files that it has to read.
    parts : dict of name to (label in the log, kind of work, callable)
        Reported parts: the label under which the script times the part (none: the whole process),
        the kind of its unavoidable work (float32, float64: operations of matrix products; json:
        bytes to parse), and its amount.
    """

    rows: Callable[[Size], int]
    command: Callable[[Size], list]
    reads: Callable[[Size], list[Path]]
    parts: dict[str, tuple[str, str, Callable[[Size], float]]]
    divisors: tuple[int, ...] = (1, 2, 4)


def _pool(size: Size) -> list:
    return [
        *("prepare_pool.py", "--records", size.work / f"records-{size.divisor}.json"),
        *("--images", size.work / "images", "--samples", size.out / "samples.parquet"),
        *("--rejected", size.out / "rejected.csv", "--summary", size.out / "summary.json"),
        *("--max-pixels", 50_000_000, "--repeated-ids", "reject"),
    ]


def _influence(size: Size) -> list:
    tasks = [f"task{i}" for i in range(TASKS)]
    return [
        *("compute_influence.py", "--pool", *size.shards("gradients"), "--tasks", *tasks),
        *("--validation", *(size.work / f"validation/{task}.safetensors" for task in tasks)),
        *("--threads", 1, "--out", *(size.out / f"influence/{task}.parquet" for task in tasks)),
    ]


def _votes(size: Size) -> list:
    influences = [size.out / f"influence/task{i}.parquet" for i in range(TASKS)]
    flags = ["--influence", *influences, "--top-percent", 20, "--out", size.out / "votes.parquet"]
    return ["cast_votes.py", *flags]


def _leverage(size: Size) -> list:
    return [
        *("score_samples.py", "--method", "scalselect", "--samples", size.out / "samples.parquet"),
        *("--signal", "attended", *size.shards("attended")),
        *("--parameters", json.dumps({"energy": ENERGY}), "--seed", 0),
        *("--out", size.out / "leverage.parquet"),
    ]


def _export(size: Size) -> list:
    tasks = {f"task{i}": [f"task{i}"] for i in range(TASKS)}
    parameters = {"aggregator": "vote", "tie_break": "mean_rank", "tasks": tasks}
    return [
        *("select_subset.py", "--method", "icons", "--samples", size.out / "samples.parquet"),
        *("--signal", "votes", size.out / "votes.parquet", "--budget", RATIO, "--seed", 0),
        *("--parameters", json.dumps(parameters)),
        *("--out-records", size.out / "icons.json", "--out-rows", size.out / "icons.parquet"),
    ]


def _near_duplicates(size: Size) -> list:
    return [
        *("find_near_duplicates.py", "--samples", size.out / "samples.parquet"),
        *("--features", *size.shards("hidden"), "--cosine", 0.95, "--n-probe", 16),
        *("--memory-gb", 4, "--threads", 1, "--out", size.out / "near_duplicates.parquet"),
    ]


def _clustering(size: Size, iterations: int) -> list:
    """Train for so many iterations, then assign; without any, to centroids that are samples."""
    return [
        *("cluster_activations.py", "--activations", *size.shards("activations")),
        *("--n-clusters", size.clusters, "--iterations", iterations),
        *("--points-per-centroid", 256),
        *("--memory-gb", 4, "--seed", 0, "--device", "cpu", "--threads", 1),
        *("--on-collapse", "warn"),
        *("--out-assignments", size.out / "assignments.parquet"),
        *("--out-centroids", size.out / "centroids.safetensors"),
    ]


def _summary(size: Size, clusters: str) -> list:
    folder = size.work / clusters
    return [
        *("summarise_clusters.py", "--activations", *size.shards("activations")),
        *("--assignments", folder / "assignments.parquet"),
        *("--centroids", folder / "centroids.safetensors"),
        *("--variant", "released", "--max-cosine", 0.9, "--sigma", 1.0, "--threads", 1),
        *("--out", size.out / f"{clusters}.parquet"),
    ]


def _greedy(size: Size, clusters: str) -> list:
    return [
        *("select_subset.py", "--method", "coincide", "--budget", RATIO, "--seed", 0),
        *("--parameters", json.dumps({"temperature": 0.1, "sigma": 1.0})),
        *("--samples", size.out / "active.parquet"),
        *("--signal", "activations", *size.shards("activations")),
        *("--signal", "assignments", size.work / clusters / "assignments.parquet"),
        *("--signal", "summary", size.out / f"{clusters}.parquet"),
        *("--out-records", size.out / "coincide.json"),
        *("--out-rows", size.out / "coincide.parquet"),
    ]


def _leverage_work(size: Size) -> float:
    """Return the operations of the scatter matrix; one half of it gives the other."""
    return size.rows * WIDTHS["attended"] ** 2


def _pairs(clusters: int, rows: int) -> float:
    """Return the operations of all pairs in each cluster; one half of them gives the other."""
    return rows * rows / clusters * WIDTHS["activations"]


def _comparisons(size: Size) -> float:
    """Return the operations of comparing every sample with every centroid."""
    return 2 * size.active * size.clusters * WIDTHS["activations"]


def _own(size: Size) -> str:
    return f"clusters-{size.divisor}"


def _text_halves(size: Size, clusters: float) -> float:
    """Return the operations of all pairs of centroids' text halves; one half gives the other."""
    return clusters**2 * WIDTHS["activations"] / 2


def _records(size: Size) -> Path:
    return size.work / f"records-{size.divisor}.json"


def _all(size: Size) -> int:
    return size.rows


def _active(size: Size) -> int:
    return size.active


def _few(size: Size) -> float:
    return size.active / SAMPLES_PER_CLUSTER


STAGES = {
    "pool": Stage(
        _all, _pool, lambda s: [_records(s)],
        {"pool preparation": ("", "json", lambda s: _records(s).stat().st_size)},
    ),
    "influence": Stage(
        _all, _influence, lambda s: s.shards("gradients"),
        {"influence": ("", "float32", lambda s: 2 * s.rows * WIDTHS["gradients"] * TASKS)},
    ),
    "votes": Stage(
        _all, _votes, lambda s: [s.out / f"influence/task{i}.parquet" for i in range(TASKS)],
        {"votes": ("", "float64", lambda s: 0)},
    ),
    "leverage": Stage(
        _all, _leverage, lambda s: s.shards("attended"),
        {"leverage": ("scores by scalselect", "float64", _leverage_work)},
    ),
    "export": Stage(
        _all, _export, lambda s: [s.out / "samples.parquet"],
        {"subset export": ("", "float64", lambda s: 0)},
    ),
    "near-duplicates": Stage(
        _all, _near_duplicates, lambda s: s.shards("hidden"),
        {"near-duplicates": ("near-duplicates", "float32", lambda s: 0)},
    ),
    "assignment": Stage(
        _active, lambda s: _clustering(s, 0), lambda s: s.shards("activations"),
        {"assignment": ("assignment", "float32", _comparisons)},
    ),
    "training": Stage(
        _active, lambda s: _clustering(s, ITERATIONS), lambda s: s.shards("activations"),
        {"k-means, two iterations": ("k-means", "float32", lambda s: ITERATIONS * _comparisons(s))},
        divisors=(1,),
    ),
    "density": Stage(
        _active, lambda s: _summary(s, _own(s)), lambda s: s.shards("activations"),
        {"density": ("density", "float64", lambda s: _pairs(_few(s), s.active))},
    ),
    "greedy": Stage(
        _active, lambda s: _greedy(s, _own(s)), lambda s: s.shards("activations"),
        {"allocation and greedy MMD":
            ("selection by coincide", "float64", lambda s: _pairs(_few(s), s.active))},
    ),
    "density-many": Stage(
        _active, lambda s: _summary(s, "clusters-many"), lambda s: s.shards("activations"),
        {"density, all clusters":
            ("density", "float64", lambda s: _pairs(s.clusters, s.active)),
         "transferability, all clusters":
            ("transferability", "float64", lambda s: _text_halves(s, s.clusters))},
        divisors=(1,),
    ),
    "greedy-many": Stage(
        _active, lambda s: _greedy(s, "clusters-many"), lambda s: s.shards("activations"),
        {"allocation and greedy MMD, all clusters":
            ("selection by coincide", "float64", lambda s: _pairs(s.clusters, s.active))},
        divisors=(1,),
    ),
}  # fmt: skip


def command(stage: Stage, size: Size) -> list:
    """Return the whole command line of a stage."""
    script, *flags = stage.command(size)
    return [sys.executable, SCRIPTS / script, *flags]
