"""Questions: every answer is what a slow search of the scene finds."""

from collections import Counter
from random import Random

import pytest
from digits_oracle import captioned, grid, right_answer

from vlselect.digits.architecture import build_tokenizer
from vlselect.digits.questions import QUESTIONS, describe, lookup
from vlselect.digits.scenes import Composer
from vlselect.digits.vocabulary import EXTRAS, TASKS, WORDS


@pytest.fixture(scope="module")
def composer():
    return Composer("train", 0)


def draw(question, composer, n=300, seed=0):
    rng = Random(seed)
    return [question(rng, composer) for _ in range(n)]


def test_the_questions_are_the_tasks_and_the_extras():
    assert tuple(QUESTIONS) == TASKS + EXTRAS


@pytest.mark.parametrize("task", [*TASKS, "arithmetic"])
def test_answers_are_right(task, composer):
    examples = draw(QUESTIONS[task], composer)
    assert {example.task for example in examples} == {task}
    for example in examples:
        assert example.answer == right_answer(example.scene, example.question)


def test_lookups_are_right_and_named_after_what_they_name(composer):
    examples = draw(lookup, composer, 600)
    for example in examples:
        assert example.answer == right_answer(example.scene, example.question)
    shares = Counter(example.task for example in examples)
    assert set(shares) == {f"lookup_{k}" for k in ("colour", "value", "position", "absent")}
    assert 0.1 < shares["lookup_absent"] / 600 < 0.3
    assert all((e.answer == "nothing.") == (e.task == "lookup_absent") for e in examples)


def test_captions_tell_every_digit(composer):
    for example in draw(QUESTIONS["captioning"], composer, 100):
        expected = {(str(v), c, place) for place, (v, c) in grid(example.scene).items()}
        assert captioned(example.answer) == expected


@pytest.mark.parametrize("task", TASKS + EXTRAS)
def test_questions_follow_from_the_generator(task, composer):
    assert draw(QUESTIONS[task], composer, 5, seed=7) == draw(QUESTIONS[task], composer, 5, seed=7)


def test_presence_is_as_often_yes_as_no(composer):
    answers = Counter(example.answer for example in draw(QUESTIONS["presence"], composer, 1000))
    assert abs(answers["yes"] - answers["no"]) < 150


def test_the_vocabulary_covers_every_word(composer):
    tokenizer, rng, texts = build_tokenizer(WORDS), Random(0), []
    for question in [*QUESTIONS.values(), lookup]:
        for example in draw(question, composer, 200):
            texts += [example.question, example.answer]
    texts += [describe(rng, composer.compose(rng)) for _ in range(50)]
    used = {token for ids in tokenizer(texts)["input_ids"] for token in ids}
    assert tokenizer.unk_token_id not in used
    words = set(tokenizer.convert_tokens_to_ids(list(WORDS)))
    assert words <= used  # and every word is used
