"""Scores of right answers in other forms: capitals, full stop, quotes, blanks.

Every metric of the registry has to be in `SCORES`, which states the forms it accepts.
"""

import re

import pytest
from chat_server import serve

from vlselect.core import registry

# (form of an answer, its name), for a right answer "yes"
FORMS = {
    "plain": "yes",
    "capitalised": "Yes",
    "upper": "YES",
    "dotted": "yes.",
    "quoted": '"yes"',
    "padded": " yes ",
}
# The same for a right option "B"
LETTERS = {"plain": "B", "lower": "b", "dotted": "B.", "quoted": '"B"', "padded": " B "}
NO = {"capitalised": "No", "upper": "NO", "dotted": "no.", "quoted": '"no"', "padded": " no "}

ALL = dict.fromkeys(FORMS, 1)
# Scores of each form of the right answer, per metric and options
SCORES = {
    ("anls", ""): ALL | {"dotted": 0.75, "quoted": 0.6},  # extra letters lower the score
    ("exact_match", ""): ALL | {"quoted": 0},
    ("exact_match", "verbatim"): dict.fromkeys(FORMS, 0) | {"plain": 1},
    ("gqa", ""): ALL | {"quoted": 0},
    ("judge", ""): ALL,  # the judge sees the original answer
    ("mmbench", ""): ALL | {"quoted": 1},  # an option's text may be part of the answer
    ("mme", ""): ALL,  # yes or no within four characters
    ("multiple_choice", ""): ALL,
    ("pope", ""): ALL,  # everything but a negation is a yes; for a no see below
    ("relaxed_accuracy", ""): dict.fromkeys(FORMS, 0) | dict.fromkeys(list(FORMS)[:3], 1),
    ("science_qa", ""): dict.fromkeys(FORMS, 0),  # letters only
    ("vqa_accuracy", ""): ALL,
    ("vqa_accuracy", "textvqa"): ALL,
    ("vqa_accuracy", "official"): dict.fromkeys(FORMS, 0) | {"plain": 1, "padded": 1},
    ("vqa_accuracy", "aokvqa"): dict.fromkeys(FORMS, 0) | {"plain": 1},
}
OPTIONS = {"verbatim": {"verbatim": True}}
OPTIONS |= {name: {"variant": name} for name in ("textvqa", "official", "aokvqa")}
# ... and of the right option's letter
LETTER_SCORES = {
    "mmbench": dict.fromkeys(LETTERS, 1) | {"quoted": 0},
    "multiple_choice": dict.fromkeys(LETTERS, 1) | {"quoted": 0},
    "science_qa": dict.fromkeys(LETTERS, 0) | {"plain": 1},
}

CHATTY = {"yes", "No.", "**No**", "NO", "Not sure", "", "I am not sure", "There is no dog", "maybe"}


def examples(answers, metric):
    """Return two samples for all metrics: one image, one question, two orders of options."""
    shared = {"sample_id": "s", "images": ["1.png"], "question": "Is it?"}
    category = "existence" if metric == "mme" else "all"
    return [
        {
            **shared,
            "answers": answers,
            "choices": choices,
            "record": {"category": category, "index": 7 + shift * 10**6, "context": "It is."},
        }
        for shift, choices in enumerate((["no", "yes"], ["yes", "no"]))
    ]


def score(metric, prediction, answers, options):
    """Return the score of the sample with this prediction, ignoring the other one."""
    evaluate = registry.load("metric", metric).evaluate
    evaluation = evaluate([prediction] * 2, examples(answers, metric), **options)
    return evaluation.scores[0]


def test_every_metric_states_what_it_forgives():
    assert sorted({metric for metric, _ in SCORES}) == registry.names("metric")


@pytest.mark.parametrize(("metric", "variant"), SCORES, ids=lambda name: name or "default")
def test_a_right_answer_in_every_form(metric, variant, tmp_path):
    options = dict(OPTIONS.get(variant, {}))
    answers = ["yes"] * (10 if metric == "vqa_accuracy" else 1)

    def judge(body, number):
        shown = re.search(r"Answer to grade:\n(.*)\n\(end", body["messages"][1]["content"])[1]
        return "1.0" if shown in FORMS.values() else "0.0"

    with serve(judge) as server:
        if metric == "judge":
            options = {"protocol": "graded", "base_url": server.base_url, "model": "m"}
            options["cache"] = str(tmp_path)
        scores = {name: score(metric, text, answers, options) for name, text in FORMS.items()}
    assert scores == pytest.approx(SCORES[metric, variant])


@pytest.mark.parametrize("metric", LETTER_SCORES)
def test_a_right_letter_in_every_form(metric):
    scores = {name: score(metric, text, ["B"], {}) for name, text in LETTERS.items()}
    assert scores == LETTER_SCORES[metric]


def test_a_dressed_no_is_no_negation_to_popes_program():
    scores = {name: score("pope", text, ["no"], {}) for name, text in NO.items()}
    assert scores == {"capitalised": 1, "upper": 0, "dotted": 1, "quoted": 0, "padded": 1}
    assert {score("mme", text, ["no"], {}) for text in NO.values()} == {1}


def test_reference_answers_may_be_dressed_up_too():
    """Annotators' answers are normalised like predictions."""
    for answer in ("Yes", "yes.", '"yes"', " yes "):
        for variant in ("vqa", "textvqa"):
            assert score("vqa_accuracy", "yes", [answer] * 10, {"variant": variant}) == 1


@pytest.mark.parametrize(
    ("metric", "unparsed"),
    [
        # counted as a yes or no that is not their first word
        ("pope", {"**No**", "NO", "Not sure", "", "I am not sure", "There is no dog", "maybe"}),
        ("mme", {"Not sure", "", "I am not sure", "There is no dog", "maybe"}),
        # no option is named
        ("multiple_choice", {"Not sure", "", "I am not sure", "maybe"}),
        ("mmbench", {"", "maybe"}),  # its program finds the option "no" in "not"
        ("science_qa", CHATTY),  # the letters A and B only
    ],
)
def test_answers_that_a_metric_cannot_read_are_counted(metric, unparsed):
    evaluate = registry.load("metric", metric).evaluate
    for text in CHATTY:
        summary = evaluate([text] * 2, examples(["yes"], metric)).summary
        assert summary["unparsed"] == (2 if text in unparsed else 0), text
