"""Simulated runs with known true values: how often do the 95 % intervals cover them?

Questions differ in difficulty for all methods alike, and some suit one method better; seeds move a
method's answers on all tasks together and on each separately; the answer is drawn. The truth is the
expectation over seeds and questions, by Gauss-Hermite quadrature.
"""

from functools import cache

import numpy as np
import pytest

from vlselect.tables.contrasts import Contrasts
from vlselect.tables.intervals import question_spread, seed_spread

N = 1000  # simulated runs
METHODS = ["full", "random", "a", "b", "c", "d"]
LEVELS = np.array([1.5, 0.5, 0.8, 0.2, -0.2, 0.4])  # log odds; full is the best
TASKS = np.array([0.7, -0.7])
QUESTIONS = 80
EASE, FIT, REST = 1.5, 1.0, 0.5  # standard deviations: of questions, with method, with seed
CELLS = [(method, "0.2") for method in METHODS]


def odds_to_chance(x):
    return 1.0 / (1.0 + np.exp(-x))


def spreads(case, generator):
    """Return the standard deviation of the seeds' log odds, of each simulated run and method."""
    shape = (N, len(METHODS))
    if case == "heteroscedastic":  # differing up to threefold
        return generator.uniform(0.15, 0.45, shape)
    return np.full(shape, {"seeds": 0.3, "no seed effect": 0.0}[case])


def truth(sd):
    """Compute the expected score of each method and task, shape (N, C, T)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    width = np.sqrt(sd**2 + EASE**2 + FIT**2 + REST**2)[:, :, None, None]
    x = LEVELS[:, None, None] + TASKS[:, None] + width * nodes
    return 100.0 * odds_to_chance(x) @ (weights / weights.sum())


def answers(generator, sd, n_seeds):
    """Draw 100 or 0 for each question, shape (N, C, S, T, U)."""
    n, methods = sd.shape
    cell = (n, methods, 1, len(TASKS), QUESTIONS)
    easy = EASE * generator.standard_normal((n, 1, 1, len(TASKS), QUESTIONS))
    fit = FIT * generator.standard_normal(cell)
    common = generator.standard_normal((n, methods, n_seeds, 1, 1))
    own = generator.standard_normal((n, methods, n_seeds, len(TASKS), 1))
    seed = sd[:, :, None, None, None] * (common + own) / np.sqrt(2.0)
    rest = REST * generator.standard_normal((n, methods, n_seeds, len(TASKS), QUESTIONS))
    x = LEVELS[:, None, None, None] + TASKS[:, None] + easy + fit + seed + rest
    return 100.0 * (generator.random(x.shape) < odds_to_chance(x))


def gather(run):
    """Return the contrasts of one simulated run, (C, S, T, U)."""
    by_run = run.mean(axis=3)
    seeds = seed_spread(list(by_run), [True] * len(run))
    questions = [question_spread(list(run[:, :, t])) for t in range(len(TASKS))]
    benchmarks = {str(t): [t] for t in range(len(TASKS))}
    return Contrasts(CELLS, benchmarks, by_run.mean(axis=1), seeds, questions)


def paired_half(method, random, full):
    """Compute the half width of an interval that pairs seeds, which is not ours."""
    off = (100.0 * (method - random) / full).mean(axis=1)
    quantile = {2: 12.7062, 3: 4.3027, 5: 2.7764}[len(off)]
    return quantile * off.std(ddof=1) / np.sqrt(len(off))


@cache
def coverage(case, n_seeds):
    """Return the shares of values covered, {(value, interval): share}, over runs and methods."""
    generator = np.random.default_rng(n_seeds)
    sd = spreads(case, generator)
    true = (100.0 * (expected := truth(sd)) / expected[:, :1]).mean(axis=2)
    hits, widths = {}, {}
    for run, value in zip(answers(generator, sd, n_seeds), true, strict=True):
        of_run = gather(run)
        got = (100.0 * of_run.means / of_run.means[0]).mean(axis=1)
        random = of_run.relative("random", "0.2")
        for i, (method, ratio) in enumerate(CELLS[2:], start=2):
            weights = of_run.relative(method, ratio)
            for name, w, off in (
                ("relative", weights, got[i] - value[i]),
                ("difference", weights - random, got[i] - got[1] - value[i] + value[1]),
            ):
                interval = of_run.interval(w)
                hits.setdefault((name, "both"), []).append(abs(off) <= interval.half)
                hits.setdefault((name, "questions"), []).append(abs(off) <= interval.question_half)
                widths.setdefault((name, "both"), []).append(interval.half)
            means = run.mean(axis=3)
            half = paired_half(means[i], means[1], of_run.means[0])
            hits.setdefault(("difference", "paired"), []).append(abs(off) <= half)
            widths.setdefault(("difference", "paired"), []).append(half)
    shares = {key: float(np.mean(values)) for key, values in hits.items()}
    return shares, {key: float(np.median(values)) for key, values in widths.items()}


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
@pytest.mark.parametrize("case", ["seeds", "heteroscedastic", "no seed effect"])
def test_two_levels_cover_what_they_say(case, n_seeds):
    shares, _ = coverage(case, n_seeds)
    assert 0.93 <= shares["relative", "both"] <= 0.97
    assert 0.93 <= shares["difference", "both"] <= 0.97


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_questions_alone_would_not(n_seeds):
    shares, _ = coverage("seeds", n_seeds)
    assert shares["relative", "questions"] < 0.9 and shares["difference", "questions"] < 0.9


def test_questions_alone_do_where_seeds_change_nothing():
    shares, _ = coverage("no seed effect", 3)
    assert 0.93 <= shares["difference", "questions"] <= 0.97


def test_seeds_alone_would_not():
    """A t interval of differences paired by seed ignores questions that suit one method."""
    shares, _ = coverage("no seed effect", 5)
    assert shares["difference", "paired"] < 0.92, shares


@pytest.mark.parametrize(("n_seeds", "times"), [(2, 3.0), (3, 1.5), (5, 1.1)])
def test_pairing_by_seed_is_wider_for_nothing(n_seeds, times):
    _, widths = coverage("seeds", n_seeds)
    assert widths["difference", "paired"] > times * widths["difference", "both"]
