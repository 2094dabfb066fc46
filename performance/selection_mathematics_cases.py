"""Cases of the selection mathematics: data of any size, our functions, and the plain forms.

Every contender reads files of a folder and returns arrays by name, which are compared before
anything is timed. Ours are the pipeline's own functions.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import pandas as pd
import straightforward as plain
from find_neighbours import neighbour_table

from vlselect.clusters import kmeans, neighbours
from vlselect.clusters.embeddings import Embeddings
from vlselect.core import store
from vlselect.gradients import influence, voting
from vlselect.methods.baselines import d2_pruning, semdedup
from vlselect.methods.maths import mmd, semdedup_thresholds, subspace

Arrays = Mapping[str, np.ndarray]
CLUSTER = 200  # |C| of greedy MMD
TASKS, VALIDATION, PERCENTILE = 10, 100, 20
SIGMA, ENERGY, NEIGHBOURS, ITERATIONS, RATIO = 1.0, 0.9, 5, 10, 0.2
SEED = 0
INDEX = {"index": "auto", "n_lists": None, "n_probe": 32, "memory_gb": 4.0, "seed": SEED}
WIDTHS = {"mmd": 512, "influence": 5120, "leverage": 1024, "d2": 64, "semdedup": 512, "kmeans": 256}
ROWS = 2048  # rows drawn at a time
HEADER = {"projection": json.dumps({"type": "synthetic"}), "model": "synthetic", "revision": ""}


def write(folder: Path, name: str, n: int, block: Callable[..., np.ndarray], **header: str) -> None:
    """Write an array of n rows as float16; `block(rng, rows)` draws some of them."""
    rng = np.random.default_rng(0)
    first = block(rng, min(n, ROWS))
    path, shape = folder / f"{name}.safetensors", (n, first.shape[1])
    with store.ShardWriter(path, shape, np.float16, {"rows": f"0:{n}", **header}) as writer:
        writer.write(slice(0, len(first)), first)
        for start in range(len(first), n, ROWS):
            rows = min(ROWS, n - start)
            writer.write(slice(start, start + rows), block(rng, rows))


def read(folder: Path, name: str = "rows") -> store.ShardedArray:
    """Open an array of `write`."""
    return store.ShardedArray([folder / f"{name}.safetensors"])


def directions(width: int) -> Callable[..., np.ndarray]:
    """Draw unit rows that mix directions of decreasing weight."""
    scale = np.arange(1, width + 1, dtype=np.float32) ** -0.5

    def block(rng: np.random.Generator, rows: int) -> np.ndarray:
        return unit(rng.standard_normal((rows, width), dtype=np.float32) * scale)

    return block


def blobs(width: int, n: int) -> Callable[..., np.ndarray]:
    """Draw unit rows around centres, as many as the pipeline's default number of clusters."""
    count = kmeans.default_count(n)
    centres = np.random.default_rng(1).standard_normal((count, width), dtype=np.float32)

    def block(rng: np.random.Generator, rows: int) -> np.ndarray:
        noise = rng.standard_normal((rows, width), dtype=np.float32)
        return unit(centres[rng.integers(0, count, rows)] + 0.7 * noise)

    return block


def unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_mmd(folder: Path, n: int) -> None:
    """Write clusters of CLUSTER samples one after the other, and their kernels."""
    write(folder, "rows", n, directions(WIDTHS["mmd"]))
    rows = read(folder)
    kernels = np.empty((n // CLUSTER, CLUSTER, CLUSTER))
    for i in range(len(kernels)):
        kernels[i] = plain.gaussian_kernel(rows[i * CLUSTER : (i + 1) * CLUSTER])
    np.save(folder / "kernels.npy", kernels)


def in_clusters(choose: Callable[[np.ndarray], np.ndarray], kind: str) -> Callable[[Path], Arrays]:
    """Choose in every cluster, from its "rows" or its "kernels"."""

    def run(folder: Path) -> Arrays:
        whole = read(folder)[:] if kind == "rows" else np.load(folder / "kernels.npy")
        parts = whole.reshape(-1, CLUSTER, whole.shape[-1])
        picks = [choose(part) + i * CLUSTER for i, part in enumerate(parts)]
        return {"picks": np.concatenate(picks)}

    return run


def from_samples(budget: int) -> dict[str, Callable[[Path], Arrays]]:
    """Run greedy MMD with this number of picks in each cluster, computing the kernel too."""
    return {
        "ours": in_clusters(lambda rows: mmd.greedy(rows, budget, SIGMA), "rows"),
        "all sets in one array (as released)": in_clusters(
            lambda rows: plain.greedy_mmd(plain.gaussian_kernel(rows), budget), "rows"
        ),
    }


def from_kernel(budget: int) -> dict[str, Callable[[Path], Arrays]]:
    """Pick only, from the kernel."""

    def ours(kernel: np.ndarray) -> np.ndarray:
        rows = mmd.whole(kernel, CLUSTER)
        sums = rows.sum(axis=1, dtype=np.int64)
        return mmd.pick(rows.__getitem__, sums, np.arange(CLUSTER), budget)

    return {
        "ours": in_clusters(ours, "kernels"),
        "all sets in one array (as released)": in_clusters(
            lambda kernel: plain.greedy_mmd(kernel, budget), "kernels"
        ),
    }


def set_by_set(budget: int) -> dict[str, Callable[[Path], Arrays]]:
    """Run the plain form without large arrays."""
    choose = partial(plain.greedy_mmd_one_by_one, budget=budget)
    return {"set by set": in_clusters(choose, "kernels")}


def make_influence(folder: Path, n: int) -> None:
    """Write gradients of the pool, and of tasks that weight the directions differently."""
    block = directions(WIDTHS["influence"])
    write(folder, "rows", n, block, **HEADER)
    for task in range(TASKS):

        def rolled(rng: np.random.Generator, rows: int, by: int = task + 1) -> np.ndarray:
            return np.roll(block(rng, rows), by, axis=1)

        write(folder, f"task{task}", VALIDATION, rolled, **HEADER)


def tasks_of(folder: Path) -> list[store.ShardedArray]:
    """Return the validation gradients of every task."""
    return [read(folder, f"task{task}") for task in range(TASKS)]


def our_influence(folder: Path) -> Arrays:
    """Compute influence, votes, and the mean ranks that break ties."""
    table = influence.compute(read(folder), tasks_of(folder))
    votes, ranks = voting.cast_votes(table, PERCENTILE), voting.mean_rank(table)
    return {"influence": table, "votes": votes, "ranks": ranks}


def plain_influence(folder: Path) -> Arrays:
    """Compute like ICONS' programs, without the files in between or a rule for ties."""
    pool = read(folder)[:].astype(np.float32)
    table = plain.influences(pool, [task[:].astype(np.float32) for task in tasks_of(folder)])
    return {"influence": table, "votes": plain.votes(table, PERCENTILE).astype(np.uint8)}


def make_leverage(folder: Path, n: int) -> None:
    """Write representations of decreasing variance around a mean."""
    block = directions(WIDTHS["leverage"])
    write(folder, "rows", n, lambda rng, rows: 0.02 + block(rng, rows))


def our_leverage(folder: Path) -> Arrays:
    """Compute from the d x d scatter matrix, over the stored blocks."""
    rows = read(folder)
    return {"scores": subspace.leverage(rows, np.ones(len(rows), bool), ENERGY)}


def full_svd(folder: Path) -> Arrays:
    """Run one full SVD in float64; the released program runs two."""
    return {"scores": plain.svd_leverage(read(folder)[:].astype(np.float64), ENERGY)[0]}


def make_d2(folder: Path, n: int) -> None:
    """Write hidden states and margins."""
    write(folder, "rows", n, blobs(WIDTHS["d2"], n))
    columns = json.dumps(["nll", "el2n", "margin"])
    write(folder, "likelihood", n, lambda rng, rows: rng.uniform(-1, 1, (rows, 3)), columns=columns)


def our_d2(folder: Path) -> Arrays:
    """Compute neighbours, scores and choice, like the three jobs."""
    rows, pool = read(folder), pool_of(len(read(folder)))
    embeddings = Embeddings(rows, pool["sample_id"].to_numpy(object), False)
    found = neighbours.nearest(embeddings, NEIGHBOURS, **INDEX)
    graph = neighbour_table(embeddings, *found, np.arange(len(rows)), len(rows))
    signals = {"likelihood": read(folder, "likelihood"), "neighbours": graph}
    scores = d2_pruning.score(pool, signals, 0, variant="released", gamma_forward=1.0)
    signals["scores"] = pd.DataFrame({"score": scores})
    budget = round(RATIO * len(rows))
    chosen = d2_pruning.select(pool, signals, budget, 0, variant="released", gamma_reverse=0.4)
    return {"picks": chosen.rows}


def plain_d2(folder: Path) -> Arrays:
    """Compute all distances, and search all scores for each choice."""
    rows = read(folder)[:]
    own = np.maximum(read(folder, "likelihood")[:][:, 2].astype(np.float64), d2_pruning.LEAST)
    graph = plain.nearest(rows, NEIGHBOURS)
    return {"picks": np.array(plain.d2_pruning(own, *graph, round(RATIO * len(rows))))}


def make_semdedup(folder: Path, n: int) -> None:
    """Write hidden states in clusters of the pipeline's usual size."""
    make_kmeans(folder, n, WIDTHS["semdedup"])
    rows = read(folder)
    samples = rows[:]
    start = kmeans.train(samples, kmeans.default_count(n), 0, SEED, "cpu")
    np.savez(folder / "clusters.npz", *kmeans.assign(rows, start, "cpu"))


def clusters_of(folder: Path) -> list[np.ndarray]:
    """Read cluster and distance of every row."""
    with np.load(folder / "clusters.npz") as arrays:
        return [arrays[name] for name in arrays.files]


def our_semdedup(folder: Path) -> Arrays:
    """Compute every sample's tolerance, and choose by it."""
    rows, pool = read(folder), pool_of(len(read(folder)))
    embeddings = Embeddings(rows, pool["sample_id"].to_numpy(object), normalise=True)
    values = semdedup_thresholds.tolerance(embeddings, *clusters_of(folder), "hard")
    scores = pd.DataFrame({"score": values.astype(np.float32)})
    chosen = semdedup.select(pool, {"scores": scores}, len(rows) // 2, 0)
    return {"picks": chosen.rows}


def plain_semdedup(folder: Path) -> Arrays:
    """Compare all pairs of each cluster in float32 like the released program, then bisect."""
    samples = unit(read(folder)[:].astype(np.float32))
    highest = plain.highest_earlier(samples, *clusters_of(folder))
    return {"picks": plain.semdedup(highest, len(samples) // 2)}


def make_kmeans(folder: Path, n: int, width: int = WIDTHS["kmeans"]) -> None:
    """Write activations around as many centres as there will be clusters."""
    write(folder, "rows", n, blobs(width, n))


def our_kmeans(folder: Path) -> Arrays:
    """Train and assign."""
    rows = read(folder)
    centroids = kmeans.train(rows[:], kmeans.default_count(len(rows)), ITERATIONS, SEED, "cpu")
    return {"cosine": 1 - kmeans.assign(rows, centroids, "cpu")[1].mean(keepdims=True)}


def faiss_kmeans(folder: Path) -> Arrays:
    """Run faiss like SemDeDup and COINCIDE, on a float32 copy."""
    samples = read(folder)[:].astype(np.float32)
    count = kmeans.default_count(len(samples))
    clustering = faiss.Kmeans(samples.shape[1], count, niter=ITERATIONS, seed=SEED, spherical=True)
    clustering.train(samples)
    cosines, _ = clustering.index.search(samples, 1)
    return {"cosine": cosines.mean(keepdims=True)[0]}


def plain_kmeans(folder: Path) -> Arrays:
    """Run Lloyd's steps in NumPy from the samples that faiss starts from."""
    stored = read(folder)[:]
    centroids = kmeans.train(stored, kmeans.default_count(len(stored)), 0, SEED, "cpu")
    samples = stored.astype(np.float32)
    for _ in range(ITERATIONS):
        centroids, _ = plain.lloyd(samples, centroids)
    return {"cosine": plain.lloyd(samples, centroids)[1].mean(keepdims=True)}


def pool_of(n: int) -> pd.DataFrame:
    """Return a pool ordered by its ids."""
    return pd.DataFrame({"row": np.arange(n), "sample_id": [f"{i:07d}" for i in range(n)]})


@dataclass(frozen=True)
class Case:
    """A method: how to write data for a number of samples, and its contenders, ours first."""

    title: str
    make: Callable[[Path, int], None]
    contenders: Mapping[str, Callable[[Path], Arrays]]


CASES = {
    "mmd": Case("greedy MMD, 40 of 200", make_mmd, from_samples(40)),
    "mmd-steps": Case(
        "picks from the kernel, 40 of 200", make_mmd, from_kernel(40) | set_by_set(40)
    ),
    "mmd-whole": Case("picks from the kernel, 200 of 200", make_mmd, from_kernel(200)),
    "influence": Case(
        "influence and votes",
        make_influence,
        {"ours": our_influence, "every pair (as released)": plain_influence},
    ),
    "leverage": Case(
        "leverage scores", make_leverage, {"ours": our_leverage, "one full SVD": full_svd}
    ),
    "d2": Case(
        "D2-Pruning",
        make_d2,
        {"ours": our_d2, "all pairs": plain_d2},
    ),
    "semdedup": Case(
        "SemDeDup",
        make_semdedup,
        {"ours": our_semdedup, "pairs in float32 (as released)": plain_semdedup},
    ),
    "kmeans": Case(
        "spherical k-means",
        make_kmeans,
        {"ours": our_kmeans, "faiss.Kmeans (as released)": faiss_kmeans, "NumPy": plain_kmeans},
    ),
}  # fmt: skip
