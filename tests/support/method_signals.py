"""A pool with random signals for every method, as their rules would provide them."""

import numpy as np
import pandas as pd
from array_files import write_shards
from config_defaults import usual_parameters
from scipy.spatial.distance import cdist

from vlselect.core import registry
from vlselect.core.store import ShardedArray
from vlselect.subsets.method_runner import MethodRunner

METHODS = {  # what is not as the rules' defaults have it
    "clean_shares": {"tasks": {"vqa": ["vqa"]}},
    "mcl": {},
    "prism": {},
    "clip_score": {},
    "coincide": {"temperature": 0.5},
    "d2_pruning": {},
    "dics": {},
    "el2n": {},
    "icons": {},
    "magic": {"neurons": [1, 2]},
    "perplexity": {},
    "random": {},
    "scalselect": {},
    "self_filter": {"neighbours": 3},
    "self_sup": {},
    "semdedup": {},
    "targeted": {"tasks": {"vqa": ["vqa"]}},
    "visnec": {},
}
SOURCES = ("charts", "chats", "photos", "text")
CLUSTERS = 5


def make_pool(rng, n=60):
    """Make unordered ids and four uneven sources; about every fifth sample has no image."""
    return pd.DataFrame(
        {
            "row": np.arange(n),
            "sample_id": [f"s{i:03d}" for i in rng.permutation(n)],
            "source": rng.choice(SOURCES, n, p=[0.5, 0.25, 0.2, 0.05]),
            "n_images": (rng.random(n) < 0.8).astype(int),
        }
    )


def make_signals(folder, rng, pool):
    """Make signals of each method, by its name; scores repeat, so that there are ties."""
    n = len(pool)
    folder.mkdir(parents=True, exist_ok=True)
    features = rng.normal(size=(n, 6))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float16)
    array = ShardedArray(write_shards(folder, features, 1))
    header = {"projection": "{}", "model": "m"}
    gradients, target = (
        ShardedArray(write_shards(folder / name, rows, 1, **header))
        for name, rows in (("gradients", features), ("vqa", features[::9]))
    )
    squared = cdist(features.astype(np.float64), features.astype(np.float64), "sqeuclidean")
    nearest = np.argsort(squared + np.diag(np.full(n, np.inf)), axis=1)[:, :4]
    graph = {"row": np.arange(n)}
    for j in range(4):
        graph[f"neighbour_{j + 1}"] = nearest[:, j]
        graph[f"squared_{j + 1}"] = squared[np.arange(n), nearest[:, j]]
    scores = pd.DataFrame({"row": np.arange(n), "score": rng.integers(1, 20, n) / 4})
    seen = scores.assign(score=scores["score"].where(pool["n_images"] > 0))
    cluster = rng.integers(0, CLUSTERS, n)
    summary = pd.DataFrame(
        {
            "cluster": np.arange(CLUSTERS),
            "size": np.bincount(cluster, minlength=CLUSTERS),
            "transferability": rng.random(CLUSTERS),
            "density": rng.random(CLUSTERS) + 0.2,
        }
    )
    votes = {"row": np.arange(n), "votes": rng.integers(0, 4, n), "mean_rank": rng.random(n)}
    plain = {"scores": scores}
    turns = {"gradients": gradients, "validation": {"vqa": target}}
    values = rng.integers(1, 20, n).astype(np.float32)
    losses = ShardedArray(write_shards(folder / "losses", values, 1, **header))
    known = {"vqa": ShardedArray(write_shards(folder / "known", values[::9], 1, **header))}
    compared = {"losses": losses, "validation_losses": known, "losses_before": known}
    compared["questions"] = {"vqa": pool.loc[::9, ["n_images"]]}
    assignments = pd.DataFrame({"row": np.arange(n), "cluster": cluster})
    return {
        "mcl": make_concepts(np.random.default_rng(7), n),
        "prism": {"scores": seen},
        **dict.fromkeys(("el2n", "perplexity", "self_sup", "semdedup"), plain),
        **dict.fromkeys(("clip_score", "scalselect"), {"scores": seen}),
        "clean_shares": turns | compared,
        "coincide": {
            "activations": array,
            "assignments": assignments,
            "summary": summary,
        },
        "d2_pruning": plain | {"neighbours": pd.DataFrame(graph)},
        "dics": plain | {"last_token": array, "clusters": assignments},
        "icons": {"votes": pd.DataFrame(votes)},
        "magic": {"scores": seen} | _signatures(folder, pool),
        "random": {},
        "self_filter": plain | {"clip": array},
        "targeted": turns,
        "visnec": plain | {"clusters": assignments},
    }


def make_concepts(rng, n):
    """Make a few concepts for each sample, some for none; importances repeat."""
    own = [np.flatnonzero(rng.random(12) < 0.2).astype(np.int32) for _ in range(n)]
    vocabulary = pd.DataFrame({"importance": rng.integers(0, 5, 12) / 4})
    return {
        "concepts": pd.DataFrame({"row": np.arange(n), "concepts": own}),
        "vocabulary": vocabulary,
    }


def _signatures(folder, pool):
    """Make gains, which repeat, and two strongest neurons of three in each of two layers."""
    rng, n = np.random.default_rng(3), len(pool)
    gain = np.where(pool["n_images"] > 0, rng.integers(-4, 9, n) / 4, 0)
    pairs = np.stack([np.ones(n), gain], axis=1).astype(np.float32)
    neurons = np.stack([rng.permutation(3)[:2] for _ in range(2 * n)]).reshape(n, 4)
    arrays = {"gains": pairs, "neurons": neurons.astype(np.float32)}
    header = {"columns": '["loss", "visual_gain"]', "layers": "[0, 1]"}
    return {
        name: ShardedArray(write_shards(folder / name, values, 1, **header))
        for name, values in arrays.items()
    }


def runner_of(name, pool, signals, seed=0, **parameters):
    """Return the real method, ready to run."""
    method = registry.load("method", name)
    own = usual_parameters(method.select) | METHODS[name] | parameters
    return MethodRunner(method, pool, signals[name], seed, own)
