"""Agreement of tasks, against scipy and sets."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from vlselect.tables.task_agreement import task_agreement


def random_votes(n=120, tasks=("p", "q", "r", "s"), seed=0):
    generator = np.random.default_rng(seed)
    influence = pd.DataFrame({task: generator.normal(size=n).round(1) for task in tasks})
    votes = (influence >= influence.quantile(0.8)).astype(np.uint8)
    return influence, votes


def test_agreement_against_scipy_and_sets():
    influence, votes = random_votes()
    table = task_agreement(influence, votes)
    assert len(table) == 4 * 5 // 2
    for row in table.to_dict("records"):
        a, b = influence[row["task_a"]], influence[row["task_b"]]
        assert row["pearson"] == pytest.approx(stats.pearsonr(a, b).statistic)
        assert row["spearman"] == pytest.approx(stats.spearmanr(a, b).statistic)
        first = set(np.flatnonzero(votes[row["task_a"]]))
        second = set(np.flatnonzero(votes[row["task_b"]]))
        assert row["jaccard"] == pytest.approx(len(first & second) / len(first | second))


def test_agreement_does_not_depend_on_the_order_of_rows():
    influence, votes = random_votes(seed=1)
    order = np.random.default_rng(0).permutation(len(influence))
    pd.testing.assert_frame_equal(
        task_agreement(influence, votes),
        task_agreement(influence.iloc[order], votes.iloc[order]),
    )


def test_constant_influence_has_no_correlation():
    influence = pd.DataFrame({"p": [0.1, 0.1, 0.1], "q": [1.0, 2.0, 3.0]})
    votes = pd.DataFrame({"p": [0, 0, 0], "q": [0, 0, 0]})
    table = task_agreement(influence, votes).set_index(["task_a", "task_b"])
    assert table.loc[("p", "q")].isna().all()
    assert table.loc[("q", "q"), "pearson"] == pytest.approx(1.0)
