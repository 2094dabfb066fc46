import numpy as np
import pytest
from official import expected, needs_scorers, read_json_lines

from vlselect.benchmarks.metrics.pope import evaluate, parse


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Yes", "yes"),
        ("No", "no"),
        ("no.", "no"),
        ("No, there is no dog in the image.", "no"),
        ("There is no dog.", "no"),
        ("There is not, as far as I see, a dog", "no"),
        ("Yes. There is no cat, though.", "yes"),
        ("Answer: No", "no"),
        ("NO", "yes"),
        ("No!", "yes"),
        ("No\n", "yes"),
        ("There isn't a dog", "yes"),
        ("I cannot tell", "yes"),
        ("nothing", "yes"),
        ("Não", "yes"),
        ("", "yes"),
        (". No", "yes"),
    ],
)
def test_a_negation_in_the_first_sentence_is_a_no(text, label):
    assert parse(text) == label


def sample(answer, category=None):
    record = {} if category is None else {"category": category}
    return {"sample_id": "s", "answers": [answer], "record": record}


def test_rates_by_category():
    examples = [sample(a, "random") for a in ("yes", "yes", "no", "no", "no")]
    examples += [sample("yes", "popular"), sample("no", "popular")]
    evaluation = evaluate(["Yes", "No", "Yes", "No", "No", "Yes", "no"], examples)
    assert evaluation.scores.tolist() == [1, 0, 0, 1, 1, 1, 1]
    random = evaluation.summary["categories"]["random"]
    assert random == pytest.approx(
        {"n": 5, "accuracy": 60, "precision": 50, "recall": 50, "f1": 50, "yes_ratio": 40}
    )
    assert evaluation.summary["categories"]["popular"]["f1"] == 100
    assert evaluation.summary["score"] == 75
    assert evaluation.summary["accuracy"] == pytest.approx(500 / 7)
    assert evaluation.summary["n"] == 7


def test_order_does_not_matter():
    generator = np.random.default_rng(0)
    answers = generator.choice(["yes", "no"], 40)
    examples = [sample(a, c) for a, c in zip(answers, ["a", "b"] * 20, strict=True)]
    predictions = generator.choice(["Yes", "No"], 40).tolist()
    order = generator.permutation(40)
    shuffled = evaluate([predictions[i] for i in order], [examples[i] for i in order])
    assert shuffled.summary == evaluate(predictions, examples).summary


@pytest.mark.parametrize("prediction", ["Yes", "No"])
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_one_sided_answers_give_numbers(prediction, answer):
    summary = evaluate([prediction] * 3, [sample(answer)] * 3).summary
    assert all(np.isfinite(value) for value in summary["categories"]["all"].values())


@pytest.mark.parametrize(
    ("predictions", "examples", "complaint"),
    [([], [], "no predictions"), (["Yes"], [sample("perhaps")], "'s'.*not yes or no")],
)
def test_what_cannot_be_scored_is_refused(predictions, examples, complaint):
    with pytest.raises(ValueError, match=complaint):
        evaluate(predictions, examples)


@needs_scorers
def test_real_outputs_score_as_published():
    questions = read_json_lines("pope/pope-llava_pope_test.jsonl")
    lines = read_json_lines("pope/pope-answers-13b.jsonl")
    texts = {line["question_id"]: line["text"] for line in lines}
    predictions, examples = [], []
    for category in ("random", "popular", "adversarial"):
        asked = [question for question in questions if question["category"] == category]
        gold = read_json_lines(f"pope/2023-07/coco_pope_{category}.json")
        predictions += [texts[question["question_id"]] for question in asked]
        assert [g["text"] for g in gold] == [q["text"].split("\n")[0] for q in asked]
        examples += [sample(line["label"], category) for line in gold]
    summary = evaluate(predictions, examples).summary
    for category, rates in summary["categories"].items():
        official = expected(f"pope/{category}")
        assert rates.pop("n") == official.pop("n")
        assert {name: round(rate / 100, 4) for name, rate in rates.items()} == official
    assert round(summary["score"] / 100, 4) == expected("pope/mean_f1")
