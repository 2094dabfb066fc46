import pytest

from vlselect.metrics import exact_match
from vlselect.metrics.evaluation import load_metric, pairs, summarise


def test_summary_is_the_mean_in_percent():
    evaluation = summarise([1, 0.5, 0, 0], unparsed=2)
    assert evaluation.summary == {"score": 37.5, "n": 4, "unparsed": 2}
    assert evaluation.scores.tolist() == [1, 0.5, 0, 0]


def test_nothing_to_score_is_an_error():
    with pytest.raises(ValueError, match="no predictions"):
        summarise([])


def test_lengths_have_to_agree():
    with pytest.raises(ValueError, match="2 predictions for 1 examples"):
        pairs(["a", "b"], [{"answers": ["a"]}])


@pytest.mark.parametrize("answers", [None, []])
def test_a_sample_without_answers_is_named(answers):
    with pytest.raises(ValueError, match="'s-1' has no answers"):
        pairs(["a"], [{"sample_id": "s-1", "answers": answers}])


def test_metrics_are_found_by_name():
    assert load_metric("exact_match") is exact_match.evaluate


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("cider", "no metric 'cider'"),
        ("../store", "not the name"),
        ("evaluation", "not a metric"),
    ],
)
def test_unknown_metrics_are_refused(name, complaint):
    with pytest.raises(ValueError, match=complaint):
        load_metric(name)
