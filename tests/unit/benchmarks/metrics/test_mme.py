import numpy as np
import pytest
from official import SCORERS, expected, needs_scorers

from vlselect.benchmarks.metrics.mme import SUBTASKS, evaluate, parse


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Yes", "yes"),
        ("NO.", "no"),
        ("yes, the word is …", "yes"),
        ("No\n", "no"),
        ("not at all", "no"),
        ("none", "no"),
        (" yes", "yes"),
        (" no", "no"),
        ("  yes", "other"),  # only four characters are read
        ("Answer: yes", "other"),
        ("The answer is no", "other"),
        ("I'm not sure", "other"),
        ("Y", "other"),
        ("是", "other"),
        ("", "other"),
    ],
)
def test_four_characters_are_read(text, label):
    assert parse(text) == label


def sample(answer, image, category="color"):
    record = {"category": category}
    return {"sample_id": "s", "answers": [answer], "images": [image], "record": record}


def test_points_are_accuracy_and_accuracy_of_whole_images():
    examples = [sample("Yes", "1"), sample("No", "1"), sample("Yes", "2"), sample("No", "2")]
    examples += [sample("Yes", "1", "OCR"), sample("No", "1", "OCR")]
    examples += [sample("Yes", "1", "code_reasoning"), sample("No", "1", "code_reasoning")]
    predictions = ["yes", "no", "yes", "it is not", "No", "No", "Yes", "No"]
    evaluation = evaluate(predictions, examples)
    assert evaluation.scores.tolist() == [1, 1, 1, 0, 0, 1, 1, 1]
    summary = evaluation.summary
    color = {"n": 4, "points": 125, "accuracy": 75, "accuracy_plus": 50, "unparsed": 1}
    assert summary["subtasks"]["color"] == color
    assert summary["subtasks"]["OCR"]["points"] == 50
    assert summary["unparsed"] == 1
    assert (summary["score"], summary["perception"], summary["cognition"]) == (175, 175, 200)
    assert evaluate(predictions, examples, total="cognition").summary["score"] == 200
    assert evaluate(predictions, examples, total="both").summary["score"] == 375


def test_order_does_not_matter():
    examples = [sample(a, str(i)) for i in range(10) for a in ("Yes", "No")]
    predictions = np.random.default_rng(0).choice(["Yes", "No"], 20).tolist()
    order = np.random.default_rng(1).permutation(20)
    shuffled = evaluate([predictions[i] for i in order], [examples[i] for i in order])
    assert shuffled.summary == evaluate(predictions, examples).summary


@pytest.mark.parametrize(
    ("examples", "options", "complaint"),
    [
        ([sample("Yes", "1")], {}, r"color: image \('1',\) has 1 questions"),
        ([sample("Yes", "1")] * 3, {}, "has 3 questions"),
        ([sample("Yes", "1", "colour")] * 2, {}, "'s': MME has no subtask 'colour'"),
        ([{**sample("Yes", "1"), "record": {}}] * 2, {}, "'s' has no 'category'"),
        ([sample("maybe", "1")] * 2, {}, "not yes or no"),
        ([sample("Yes", "1")] * 2, {"total": "cognition"}, "no predictions"),
        ([sample("Yes", "1")] * 2, {"total": "all"}, "total 'all'"),
        ([], {}, "no predictions"),
        ([], {"total": "both"}, "no predictions"),
    ],
)
def test_what_cannot_be_scored_is_named(examples, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        evaluate(["Yes"] * len(examples), examples, **options)


@needs_scorers
def test_real_outputs_score_as_published():
    predictions, examples = [], []
    for subtask in (name for names in SUBTASKS.values() for name in names):
        lines = (SCORERS / f"mme/LaVIN/{subtask}.txt").read_text(encoding="utf-8").splitlines()
        for image, _, gold, response in (line.split("\t") for line in lines):
            predictions.append(response)
            examples.append(sample(gold, image, subtask))
    summary = evaluate(predictions, examples).summary
    points = {name: rates["points"] for name, rates in summary["subtasks"].items()}
    points |= {name: summary[name] for name in SUBTASKS}
    assert {name: round(value, 4) for name, value in points.items()} == expected("mme/LaVIN")
    assert summary["score"] == summary["perception"]
    assert summary["n"] == len(examples) == 2374
