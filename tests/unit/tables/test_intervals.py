"""Intervals over seeds and questions, compared with scipy and statsmodels in special cases."""

import math

import numpy as np
import pytest
from scipy import stats

from vlselect.tables.intervals import SeedSpread, interval, question_spread, seed_spread

# Scores of four seeds (rows) on eight questions.
TABLE = [
    [62, 55, 71, 48, 66, 59, 70, 52],
    [67, 58, 78, 50, 69, 66, 72, 57],
    [60, 57, 70, 41, 63, 60, 69, 49],
    [64, 60, 77, 47, 72, 61, 76, 58],
]
FIXED = SeedSpread(np.array([np.inf, np.inf]), np.zeros((1, 1)), 1)  # cells without seeds


def two_cells(generator, seeds, questions=40):
    """Return 0/1 scores of two cells, (S, U) each."""
    easy = generator.normal(size=questions)
    return [
        (easy + 0.3 * generator.normal(size=(s, 1)) + generator.normal(size=(s, questions)) > 0)
        * 1.0
        for s in seeds
    ]


def seeds_of(cells):
    return seed_spread([cell.mean(axis=1, keepdims=True) for cell in cells], [True] * len(cells))


def test_as_statsmodels_for_a_crossed_table():
    """REML of y ~ 1 with random seeds and questions (statsmodels 0.15.0, MixedLM, vc_formula)."""
    seed, question, rest, error = 8.386193, 84.144533, 3.761831, 3.568217
    cell = np.array(TABLE, dtype=float)
    got = interval(np.ones((1, 1)), seeds_of([cell]), [question_spread([cell])])
    assert got.error == pytest.approx(error, rel=1e-4)
    own = question_spread([cell])
    assert own.rest * 8 == pytest.approx(rest, rel=1e-3)
    assert seeds_of([cell]).covariance[0, 0] - own.rest == pytest.approx(seed, rel=1e-3)
    assert own.covariance[0, 0] * 8 - rest / 4 == pytest.approx(question, rel=1e-3)


def test_satterthwaite_by_hand():
    cell = np.array(TABLE, dtype=float)
    between, within = cell.mean(axis=1).var(ddof=1) / 4, cell.mean(axis=0).var(ddof=1) / 8
    off = cell - cell.mean(axis=1, keepdims=True) - cell.mean(axis=0) + cell.mean()
    rest = (off**2).sum() / 21 / 32
    variance = between + within - rest
    df = variance**2 / (between**2 / 3 + within**2 / 7 + rest**2 / 21)
    got = interval(np.ones((1, 1)), seeds_of([cell]), [question_spread([cell])])
    assert (got.error, got.df) == pytest.approx((math.sqrt(variance), df))
    assert got.half == pytest.approx(stats.t.ppf(0.975, df) * math.sqrt(variance))
    assert got.p(5.0) == pytest.approx(2 * stats.t.sf(5.0 / got.error, df))
    assert got.levels == "seeds and questions"


@pytest.mark.parametrize("sizes", [(2, 2), (3, 5), (2, 1)])
def test_seeds_alone_are_the_pooled_t_test_of_scipy(sizes):
    first, second = two_cells(np.random.default_rng(0), sizes)
    got = interval(np.array([[1.0], [-1.0]]), seeds_of([first, second]), [None])
    expected = stats.ttest_ind(first.mean(axis=1), second.mean(axis=1), equal_var=True)
    low, high = expected.confidence_interval(0.95)
    assert got.levels == "seeds" and got.df == sum(sizes) - 2
    assert 2 * got.half == pytest.approx(high - low)
    assert got.p(first.mean() - second.mean()) == pytest.approx(expected.pvalue)
    assert math.isnan(got.question_half)


def test_questions_alone_are_the_paired_t_test_of_scipy():
    first, second = two_cells(np.random.default_rng(1), (3, 3))
    got = interval(np.array([[1.0], [-1.0]]), FIXED, [question_spread([first, second])])
    expected = stats.ttest_rel(first.mean(axis=0), second.mean(axis=0))
    low, high = expected.confidence_interval(0.95)
    assert 2 * got.question_half == pytest.approx(high - low)
    assert got.half == pytest.approx(got.question_half)  # nothing else varies here


def test_one_seed_everywhere_leaves_the_question_level_alone():
    cells = two_cells(np.random.default_rng(2), (1, 1))
    got = interval(np.array([[1.0], [-1.0]]), seeds_of(cells), [question_spread(cells)])
    assert got.levels == "none" and math.isnan(got.half) and math.isnan(got.df)
    assert math.isnan(got.p(1.0)) and got.question_half > 0.0


def test_one_seed_borrows_the_spread_of_the_other_cells():
    one, three = two_cells(np.random.default_rng(3), (1, 3))
    spread = question_spread([one, three])
    alone = interval(np.array([[1.0], [0.0]]), seeds_of([one, three]), [spread])
    more = interval(np.array([[0.0], [1.0]]), seeds_of([one, three]), [spread])
    assert alone.levels == "seeds and questions" and alone.half > more.half


def test_no_spread_is_no_interval():
    same = [np.full((3, 10), 0.5), np.full((3, 10), 0.5)]
    for spread in ([question_spread(same)], [None]):
        got = interval(np.array([[1.0], [-1.0]]), seeds_of(same), spread)
        assert got.levels == "none"
        assert all(math.isnan(x) for x in (got.half, got.question_half, got.error, got.p(0.0)))
    cells = two_cells(np.random.default_rng(4), (3, 3))
    nothing = interval(np.zeros((2, 1)), seeds_of(cells), [question_spread(cells)])
    assert nothing.levels == "none" and math.isnan(nothing.half)


def test_seeds_that_vary_less_than_noise_still_leave_an_interval():
    """Runs that have the same mean by chance, on questions that differ (or do not, by chance)."""
    cell = np.random.default_rng(5).normal(size=(3, 30))
    cell -= cell.mean(axis=1, keepdims=True)
    for ease in (1.0, 0.0):
        runs = cell + ease * np.linspace(-1.0, 1.0, 30)
        spread = question_spread([runs])
        got = interval(np.ones((1, 1)), seeds_of([runs]), [spread])
        without_noise = spread.covariance[0, 0] - spread.rest / 3
        expected = without_noise if without_noise > 0.0 else spread.covariance[0, 0]
        assert got.error**2 == pytest.approx(expected)
        assert 0.0 < got.half < 4.303 * got.error and got.levels == "seeds and questions"


def test_tasks_have_questions_of_their_own():
    """The variances of independent tasks add up; seeds move the tasks together."""
    generator = np.random.default_rng(6)
    tasks = [generator.normal(size=(4, 30)) + generator.normal(size=(4, 1)) for _ in range(2)]
    spread = seed_spread([np.stack([task.mean(axis=1) for task in tasks], axis=1)], [True])
    both = interval(np.ones((1, 2)), spread, [question_spread([task]) for task in tasks])
    total = tasks[0].mean(axis=1) + tasks[1].mean(axis=1)
    shared = sum(question_spread([task]).rest for task in tasks) / 4
    over_questions = sum(task.mean(axis=0).var(ddof=1) / 30 for task in tasks)
    expected = total.var(ddof=1) / 4 + over_questions - shared
    assert both.error**2 == pytest.approx(expected)


def test_order_of_cells_seeds_and_questions_does_not_matter():
    generator = np.random.default_rng(7)
    cells = two_cells(generator, (3, 4))
    weights = np.array([[1.0], [-1.0]])
    first = interval(weights, seeds_of(cells), [question_spread(cells)])
    order = generator.permutation(40)
    mixed = [cell[::-1][:, order] for cell in cells[::-1]]
    second = interval(weights[::-1], seeds_of(mixed), [question_spread(mixed)])
    assert (first.half, first.df, first.question_half) == pytest.approx(
        (second.half, second.df, second.question_half)
    )


def test_a_single_question_tells_nothing_of_questions():
    assert question_spread([np.ones((3, 1))]) is None
