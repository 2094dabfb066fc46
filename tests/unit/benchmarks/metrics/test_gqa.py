import pytest

from vlselect.benchmarks.metrics.gqa import evaluate


def example(answer, structural="query", semantic="attr", **more):
    record = {"types": {"structural": structural, "semantic": semantic}, **more}
    return {"sample_id": "s", "answers": [answer], "record": record}


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("light blue", 1),
        ("Light Blue.", 1),
        ("light blue...\n", 1),
        ("light  blue", 0),
        ("light blue .", 0),
        ("light-blue", 0),
        ("The shirt is light blue.", 0),
        ("Answer: light blue", 0),
        ("light blue!", 0),
        ("I cannot see a shirt.", 0),
        ("淡青", 0),
        ("", 0),
    ],
)
def test_answers_have_to_be_the_gold_answer_but_for_case_and_full_stop(prediction, expected):
    assert evaluate([prediction], [{"answers": ["light blue"]}]).scores.tolist() == [expected]


def test_accuracies_by_type():
    examples = [
        example("yes", "verify", "obj"),
        example("no", "logical", "obj"),
        example("red"),
        example("man", "query", "cat"),
        example("left", "choose", "rel"),
    ]
    summary = evaluate(["Yes", "yes", "red.", "woman", "left"], examples).summary
    assert summary["score"] == 60
    assert summary["open"] == 50
    assert summary["binary"] == pytest.approx(200 / 3)
    assert summary["structural"] == {"choose": 100, "logical": 0, "query": 50, "verify": 100}
    assert summary["semantic"] == {"attr": 100, "cat": 0, "obj": 50, "rel": 100}
    assert (summary["n"], summary["unbalanced"]) == (5, 0)


def test_only_balanced_questions_count():
    examples = [example("red", isBalanced=True), example("red", isBalanced=False)]
    evaluation = evaluate(["red", "blue"], examples)
    assert evaluation.scores.tolist() == [1, 0]
    assert evaluation.summary["score"] == evaluation.summary["open"] == 100
    assert (evaluation.summary["n"], evaluation.summary["unbalanced"]) == (1, 1)
    with pytest.raises(ValueError, match="no predictions"):
        evaluate(["red"], examples[1:])


def test_plain_tasks_need_no_types():
    assert evaluate(["a"], [{"answers": ["a"]}]).summary == {"score": 100, "n": 1, "unbalanced": 0}
