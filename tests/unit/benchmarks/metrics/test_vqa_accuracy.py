import json

import numpy as np
import pytest
from official import expected, needs_scorers, read_json

from vlselect.benchmarks.metrics.vqa_accuracy import evaluate, soft_score
from vlselect.benchmarks.metrics.vqa_normalisation import (
    CONTRACTIONS,
    normalise_textvqa,
    normalise_vqa,
)
from vlselect.pool.records import parse_task_record


def slow_soft_score(prediction, answers):
    """Compute the score by definition: leave out each annotator and count."""
    credits = []
    for left_out in range(len(answers)):
        others = [answer for i, answer in enumerate(answers) if i != left_out]
        credits.append(min(sum(answer == prediction for answer in others) / 3, 1))
    return sum(credits) / len(credits)


@pytest.mark.parametrize("n", [1, 3, 10])
def test_soft_score_agrees_with_its_definition(n):
    for agreeing in range(n + 1):
        answers = ["yes"] * agreeing + ["no"] * (n - agreeing)
        assert soft_score("yes", answers) == pytest.approx(slow_soft_score("yes", answers))


def test_soft_score_does_not_depend_on_order():
    answers = np.array(["a", "a", "b", "c", "a", "b", "d", "e", "f", "g"])
    shuffled = np.random.default_rng(0).permutation(answers)
    assert soft_score("a", answers) == soft_score("a", shuffled)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Dog.", "dog"),
        ("two", "2"),
        ("none", "0"),
        ("dont", "don't"),
        ("its", "its"),
        ("couldnt've", "couldn't've"),
        ("2.5", "2.5"),
        ("v. good", "v good"),
        ("1,000", "1000"),
        ("left/right", "left right"),
        ("left, right", "left right"),
        ("black-and-white", "black and white"),
        ("t-shirt, 1,000", "tshirt 1000"),  # a comma in a number removes every mark
        ("Who?\n", "who"),
        ("a\tman", "man"),
        ("zebra's", "zebra's"),
        (".x" * 40, "x" * 32 + ".x" * 8),  # only 32 full stops go
    ],
)
def test_normalisation(text, expected):
    assert normalise_vqa(text) == expected


def test_textvqa_splits_the_possessive_and_drops_commas():
    assert normalise_textvqa("Zebra's") == "zebra 's"
    assert normalise_textvqa("red,blue") == "redblue"


def test_contractions_get_their_apostrophes():
    assert CONTRACTIONS["oclock"] == "o'clock"
    assert CONTRACTIONS["y'allll"] == CONTRACTIONS["yall'll"] == "y'all'll"
    assert "its" not in CONTRACTIONS
    assert CONTRACTIONS["somebody'd"] == "somebodyd"


@pytest.mark.parametrize(
    ("prediction", "answer"),
    [
        ("Yes", "yes"),
        ("Unanswerable", "unanswerable"),
        ("two", "2"),
        ("two", "two"),
        ("Yes.", "Yes"),
    ],
)
def test_only_the_official_program_leaves_what_all_annotators_agree_on_as_it_is(prediction, answer):
    same, different = [{"answers": [answer] * 10}], [{"answers": [answer] * 9 + ["3"]}]
    official = 100 if prediction == answer else 0
    assert evaluate([prediction], same, variant="official").summary["score"] == official
    for variant in ("vqa", "official", "textvqa"):
        assert evaluate([prediction], different, variant=variant).summary["score"] == 100
    assert evaluate([prediction], same, variant="textvqa").summary["score"] == 100
    summary = evaluate([prediction], same).summary
    assert (summary["score"], summary["variant"]) == (100, "vqa")


def test_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="'gqa' is not one of"):
        evaluate(["a"], [{"answers": ["a"]}], variant="gqa")


def test_a_okvqa_compares_letter_by_letter_and_leaves_nobody_out():
    examples = [{"answers": ["sea", "sea", "Sea", "lake"]}]
    for prediction, score in (("sea", 200 / 3), ("Sea", 100 / 3), ("sea.", 0), ("", 0)):
        summary = evaluate([prediction], examples, variant="aokvqa").summary
        assert summary["score"] == pytest.approx(score)


@needs_scorers
@pytest.mark.parametrize(
    ("variant", "key", "total", "digits"),
    [
        ("official", "vqa_per_question", "vqa_gt_vision_lab", 2),
        # always normalised: the same, as these texts have nothing that TextVQA's program adds
        ("vqa", "textvqa_per_question", "textvqa_m4c", 4),
        ("textvqa", "textvqa_per_question", "textvqa_m4c", 4),
    ],
)
def test_seven_sets_of_predictions_score_as_the_official_programs_say(variant, key, total, digits):
    questions = read_json("vqa/aokvqa_v1p0_val.json")
    examples = [{"answers": question["direct_answers"]} for question in questions]
    probe = read_json("vqa/aokvqa_probe_scores.json")
    assert probe["question_ids"] == [question["question_id"] for question in questions]
    assert len(probe["sets"]) == 7
    for name, predictions in probe["sets"].items():
        evaluation = evaluate(predictions["predictions"], examples, variant=variant)
        # the official program rounds to two decimals
        np.testing.assert_allclose(100 * evaluation.scores, predictions[key], atol=0.0051)
        official = expected(f"vqa_probe/{name}")
        assert round(evaluation.summary["score"], digits) == official[total]
        assert evaluation.summary["n"] == official["n"]


@needs_scorers
def test_seven_sets_of_predictions_score_as_a_okvqa_says():
    questions = read_json("vqa/aokvqa_v1p0_val.json")
    easy = [i for i, q in enumerate(questions) if not q["difficult_direct_answer"]]
    examples = [{"answers": questions[i]["direct_answers"]} for i in easy]
    for name, predictions in read_json("vqa/aokvqa_probe_scores.json")["sets"].items():
        chosen = [predictions["predictions"][i] for i in easy]
        summary = evaluate(chosen, examples, variant="aokvqa").summary
        official = expected(f"vqa_probe/{name}")
        assert summary["n"] == official["n_direct"]
        assert round(summary["score"], 4) == official["aokvqa_direct_answer"]


@needs_scorers
def test_the_official_layout_is_read():
    """VQA v2's annotations hold answers as objects, and so may a task's record."""
    annotations = read_json("vqa/vqav2_fixture_annotations.json")["annotations"]
    questions = read_json("vqa/vqav2_fixture_questions.json")["questions"]
    examples = []
    for question, annotation in zip(questions, annotations, strict=True):
        turn = {"from": "human", "value": question["question"]}
        record = {"id": question["question_id"], "conversations": [turn], **annotation}
        examples.append({"answers": parse_task_record(json.dumps(record)).answers})
    scores = evaluate(["net", "Catcher.", "orange"], examples).scores
    assert scores.tolist() == pytest.approx([1, 0.3, 1])


def test_a_single_answer_is_an_error_that_names_the_sample():
    with pytest.raises(ValueError, match="'q7' has only one answer"):
        evaluate(["yes"], [{"sample_id": "q7", "answers": ["yes"]}])
