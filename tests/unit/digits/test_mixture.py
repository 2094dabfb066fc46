"""The mixture: sizes, shares of wrong answers and near-duplicates, and wrong answers."""

from collections import Counter
from random import Random

import pytest
from digits_oracle import right_answer

from vlselect.digits.mixture import draw_benchmark, draw_mixture, wrong_answer
from vlselect.digits.questions import QUESTIONS
from vlselect.digits.scenes import Composer, split_digits
from vlselect.digits.vocabulary import TASKS

SIZES = {
    "counting": 750,
    "recognition": 700,
    "colour": 700,
    "presence": 650,
    "position": 450,
    "arithmetic": 450,
    "captioning": 300,
    "comparison": 250,
    "reading": 250,
}


@pytest.fixture(scope="module")
def mixture():
    return draw_mixture(SIZES, noise=0.15, duplicates=0.18, seed=0)


def test_sizes_and_ids(mixture):
    assert Counter(sample.example.task for sample in mixture) == SIZES
    assert len({sample.sample_id for sample in mixture}) == len(mixture)


def test_shares_of_flaws(mixture):
    assert 0.12 <= sum(sample.noisy for sample in mixture) / len(mixture) <= 0.13
    assert 0.15 <= sum(sample.duplicate for sample in mixture) / len(mixture) <= 0.18


def test_just_the_noisy_samples_are_wrong(mixture):
    for sample in mixture:
        if sample.example.task == "captioning":
            assert not sample.noisy
            continue
        right = right_answer(sample.example.scene, sample.example.question)
        assert (sample.example.answer != right) == sample.noisy


def test_duplicates_repeat_an_original_with_new_noise(mixture):
    def content(sample):
        example = sample.example
        return example.scene.digits, example.question, example.answer, sample.noisy

    originals = {content(s): s for s in mixture if s.example.scene and not s.duplicate}
    for sample in mixture:
        if sample.duplicate:
            first = originals[content(sample)].example.scene
            assert sample.example.scene.noise_seed != first.noise_seed
            assert sample.example.scene.background == first.background


def test_the_mixture_uses_train_digits_only(mixture):
    used = {d.source for s in mixture if s.example.scene for d in s.example.scene.digits}
    assert used <= set(split_digits(0)["train"])


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("task", TASKS)
def test_benchmarks_are_clean_and_of_their_split(task, split):
    samples = draw_benchmark(task, split, 30, 0)
    rows = set(split_digits(0)[split])
    for sample in samples:
        scene = sample.example.scene
        assert {digit.source for digit in scene.digits} <= rows
        assert sample.example.answer == right_answer(scene, sample.example.question)
        assert not sample.noisy and not sample.duplicate
    assert len({sample.sample_id for sample in samples}) == 30


def test_the_draw_follows_from_the_seed():
    small = {"counting": 20, "reading": 10}
    settings = {"noise": 0.15, "duplicates": 0.18}
    assert draw_mixture(small, **settings, seed=1) == draw_mixture(small, **settings, seed=1)
    assert draw_mixture(small, **settings, seed=1) != draw_mixture(small, **settings, seed=2)


def test_a_tasks_samples_do_not_depend_on_the_others():
    settings = {"noise": 0.15, "duplicates": 0.18, "seed": 0}
    alone = draw_mixture({"counting": 20}, **settings)
    beside = draw_mixture({"reading": 10, "counting": 20}, **settings)
    assert sorted(alone, key=_id) == sorted(
        (s for s in beside if s.example.task == "counting"), key=_id
    )


@pytest.mark.parametrize("task", TASKS)
def test_a_wrong_answer_is_of_the_same_kind(task):
    rng, composer = Random(0), Composer("train", 0)
    examples = [QUESTIONS[task](rng, composer) for _ in range(300)]
    answers = {example.answer for example in examples}
    for example in examples:
        wrong = wrong_answer(rng, example).answer
        assert wrong != example.answer
        assert len(wrong.split()) == len(example.answer.split())
        assert wrong in answers or task == "reading"


def test_unknown_tasks_are_named():
    with pytest.raises(ValueError, match="juggling"):
        draw_mixture({"juggling": 3}, noise=0.1, duplicates=0.1, seed=0)


def _id(sample):
    return sample.sample_id
