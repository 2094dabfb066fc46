"""Seeds of what is random in selection: the seed of the run, unless the config fixes one.

Imported by the workflow: standard library only.
"""

from collections.abc import Iterable, Mapping

GRADIENTS = "gradients"  # the section whose warm-up all gradients, influences and votes begin with
WARMED_UP = (GRADIENTS, "proxy")  # sections with a warm-up, whose seed counts


def selection_seed(config: Mapping, section: str, seed: int) -> int:
    """Return the seed of what a section of the config makes at random, for a run with this seed.

    Parameters
    ----------
    config : mapping
        With all defaults.
    section : str
        "gradients", "proxy", or the name of a method.
    seed : int
        Of the run.

    Returns
    -------
    int
        The section's own seed; `seed` where that is null; 0 where nothing in it is random: the
        method has no such key, or searches neighbours among all pairs.
    """
    if section in WARMED_UP:
        settings = config.get(section, {}).get("warm_up", {})
    else:
        settings = config["methods"][section] or {}
    own = settings.get("seed", 0)
    if settings.get("index") == "exact":
        return 0
    return int(seed) if own is None else own


def selection_seeds(config: Mapping, section: str, runs: Iterable[Mapping]) -> list[int]:
    """Return the seeds with which a section's files are made for these runs, each once.

    Parameters
    ----------
    config, section
        As for `selection_seed`.
    runs : iterable of mapping
        Each with its ``seed``.
    """
    return list(dict.fromkeys(selection_seed(config, section, run["seed"]) for run in runs))
