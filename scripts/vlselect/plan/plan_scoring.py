"""The plan's stages between features and subsets: clusters, neighbours, scores.

What a seed moves in them is made for each seed that the method's runs have.
"""

import math
from collections.abc import Mapping

from vlselect.plan import planning
from vlselect.plan.plan_facts import Facts, Stage
from vlselect.plan.planning import HALF, Work


def trained_passes(settings: Mapping | None) -> float:
    """Times that training goes through its samples."""
    return float((settings or {}).get("epochs", 1))


def scoring_stages(facts: Facts) -> list[Stage]:
    """Clusters, neighbours and scores of the methods that have them."""
    stages = []
    makers = {
        "coincide": _coincide_stages,
        "scalselect": _scalselect_stages,
        "semdedup": _prototype_stages,
        "self_sup": _prototype_stages,
        "d2_pruning": _neighbour_stages,
        "self_filter": _score_net_stages,
    }
    for method, settings in facts.config["methods"].items():
        if method in makers:
            stages += makers[method](facts, method, settings)
        elif method in ("clip_score", "el2n", "perplexity"):
            work = [planning.stream(facts.n_pool, 2 * 768 if method == "clip_score" else 6)]
            stages.append(facts.reckoned(f"score_{method}", 1, work, disk=facts.n_pool * 8.0))
    return stages


def cluster_count(settings: Mapping, rows: int) -> int:
    """K of a method's k-means: as `clusters.default_count` where the config leaves it open."""
    return settings.get("n_clusters") or max(1, round(rows / 66.5))


def _kmeans(settings: Mapping, rows: int, width: int) -> tuple[int, Work, float]:
    """Clusters, work and bytes of memory of a method's k-means."""
    count = cluster_count(settings, rows)
    limits = (settings["points_per_centroid"], settings["memory_gb"])
    trained = planning.training_rows(rows, width, count, *limits)
    work = planning.kmeans(rows, width, count, settings["iterations"], trained)
    return count, work, trained * width * HALF + 3.0 * count * width * 4


def _coincide_stages(facts: Facts, method: str, settings: Mapping) -> list[Stage]:
    names, n = ("cluster_activations", "summarise_clusters"), facts.n_pool
    width = facts.columns(settings["model"], "activations")
    seeds = facts.seeds(method, method)
    if width is None:
        return [Stage(name, seeds, disk=None) for name in names]
    count, work, memory = _kmeans(settings, n, width)
    summary = planning.cluster_summary(n, width, count)
    centroids = count * width * 4.0
    return [
        facts.reckoned(
            *(names[0], seeds, [work] * seeds), disk=seeds * (centroids + n * 8.0), memory=memory
        ),
        facts.reckoned(
            *(names[1], seeds, [summary] * seeds), disk=seeds * count * 32.0, memory=2 * centroids
        ),
    ]


def _scalselect_stages(facts: Facts, method: str, settings: Mapping) -> list[Stage]:
    width = facts.columns(settings["model"], "attended")
    work = [planning.leverage(facts.n_pool, width)] if width else None
    memory = 5 * 8.0 * width**2 if width else None
    return [facts.reckoned("score_scalselect", 1, work, disk=facts.n_pool * 12.0, memory=memory)]


def _prototype_stages(facts: Facts, method: str, settings: Mapping) -> list[Stage]:
    width, n = facts.columns(settings["model"], "last_token"), facts.n_pool
    seeds = facts.seeds(method, method)
    disk = seeds * n * 12.0
    if width is None:
        return [Stage(f"score_{method}", seeds, disk=disk)]
    count, work, memory = _kmeans(settings, n, width)
    if method == "semdedup":
        work += planning.similar_pairs(n, width, count)
    return [facts.reckoned(f"score_{method}", seeds, [work] * seeds, disk=disk, memory=memory)]


def _neighbour_stages(facts: Facts, method: str, settings: Mapping) -> list[Stage]:
    width, n = facts.columns(settings["model"], "mean_hidden"), facts.n_pool
    exact = settings["index"] == "exact" or (settings["index"] == "auto" and n <= 100_000)
    lists = min(n, settings["n_lists"] or round(4 * math.sqrt(n)))
    seeds = facts.seeds(method, method)
    disk, scored = seeds * n * settings["k"] * 12.0, [planning.stream(n, 6)] * seeds
    score = facts.reckoned("score_d2_pruning", seeds, scored, disk=seeds * n * 12.0)
    if width is None:
        return [Stage("find_neighbours", seeds, disk=disk), score]
    trained = planning.training_rows(n, width, lists, 64, settings["memory_gb"] / 2)
    work = planning.neighbours(n, width, exact, lists, settings["n_probe"], trained)
    memory = n * width * (4.0 if exact else 2.0) + (0 if exact else trained * width * 4.0)
    found = facts.reckoned("find_neighbours", seeds, [work] * seeds, disk=disk, memory=memory)
    return [found, score]


def _score_net_stages(facts: Facts, method: str, settings: Mapping) -> list[Stage]:
    passes = trained_passes(settings["finetune"])
    size = facts.n_pool * settings["fraction"] * passes
    name = f"train_score_net/{settings['model']}"
    seeds = facts.seeds(method, method)
    return [facts.modelled(name, [size] * seeds, seeds * facts.n_pool * 8.0)]
