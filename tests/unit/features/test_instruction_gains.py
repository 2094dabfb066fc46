"""Ratios of losses turn by turn, against single samples and conversations written by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from closeness import chain, rounding
from masked_images import PICTURES, masked_by_hand, talks
from model_families import TEXTS, open_family, save_family

from vlselect.features.instruction_gains import (
    answer_losses,
    encode_guessing,
    exchanges,
    guessing,
    log_mean_ratio,
    question_losses,
)
from vlselect.features.token_weights import TokenWeights
from vlselect.models.chat import Refused
from vlselect.pool.records import Record, Turn

pytestmark = pytest.mark.numeric

SEEN = [(record, pictures) for record, pictures in talks() if pictures]
TURNS = {
    "turns": (
        [
            "<image>\nGuess the question that is likely to be asked about it.",
            "what is this?",
            "Guess the next question.",
            "is it red?",
            "Guess the next question.",
            "more?",
        ],
        [
            "<image>\nGuess the question that is likely to be asked about it. Its answer is: yes",
            "what is this?",
            "Guess the next question. Its answer is: a red digit: 3!",
            "is it red?",
            "Guess the next question. Its answer is: no",
            "more?",
        ],
    ),
    "several": (
        [
            "<image>\n<image>\n<image>\nGuess the question that is likely to be asked about it.",
            "first  then , or\n\nwhich?",
        ],
        [
            "<image>\n<image>\n<image>\nGuess the question that is likely to be asked about it."
            " Its answer is: the second one is very green",
            "first  then , or\n\nwhich?",
        ],
    ),
}


def record_of(name, texts, pictures):
    roles = ("user", "assistant") * len(texts)
    turns = tuple(Turn(role, text) for role, text in zip(roles, texts, strict=False))
    return Record(name, "x", tuple(map(str, range(len(pictures)))), turns)


@pytest.fixture(scope="module", params=["llava", "qwen2_5_vl", "gemma3", "smolvlm"])
def vlm(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("family") / request.param
    return open_family(save_family(request.param, folder, TEXTS), attention="eager")


@torch.no_grad()
def slow_turns(vlm, sample, kind):
    """Return the weighted mean loss of each turn of one unpadded sample, token by token."""
    logits = vlm.model(**vlm.collate([sample]).inputs).logits[0].double()
    ids, found, turn = sample.inputs["input_ids"].tolist(), [], []
    weigh = TokenWeights(kind, vlm.tokenizer, vlm.special)
    for t in range(1, len(ids) + 1):
        if t < len(ids) and sample.response[t]:
            turn.append((ids[t], -float(torch.log_softmax(logits[t - 1], dim=0)[ids[t]])))
        elif turn:
            weights = weigh([token for token, _ in turn])
            total = sum(w * loss for w, (_, loss) in zip(weights, turn, strict=True))
            found.append(total / sum(weights))
            turn = []
    return np.array(found)


@pytest.mark.parametrize("kind", ["none", "content"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_losses_of_answers_agree_with_single_samples_masked_by_hand(vlm, kind, side):
    samples = [vlm.encode(*talk) for talk in SEEN]
    weights = TokenWeights(kind, vlm.tokenizer, vlm.special)
    batch = vlm.collate(samples, padding_side=side)
    allowed = rounding(chain(vlm.model))
    for sample, seen, blind in zip(samples, *answer_losses(vlm.model, batch, weights), strict=True):
        np.testing.assert_allclose(seen, slow_turns(vlm, sample, kind), rtol=allowed)
        with masked_by_hand(vlm, sample.image):
            np.testing.assert_allclose(blind, slow_turns(vlm, sample, kind), rtol=allowed)
        assert np.abs(blind - seen).max() > 1e-3
    assert {len(seen) for seen in answer_losses(vlm.model, batch, weights)[0]} == {1, 3}


@pytest.mark.parametrize("answered", [False, True])
def test_losses_of_questions_are_those_of_conversations_written_by_hand(vlm, answered):
    chosen = [(record, pictures) for record, pictures in SEEN if record.sample_id in TURNS]
    assert len(chosen) == 2
    weights = TokenWeights("content", vlm.tokenizer, vlm.special)
    samples = [encode_guessing(vlm, *talk, answered=answered) for talk in chosen]
    got = question_losses(vlm.model, vlm.collate(samples), weights)
    for (record, pictures), losses in zip(chosen, got, strict=True):
        texts = TURNS[record.sample_id][answered]
        expected = vlm.encode(record_of("by hand", texts, pictures), pictures)
        allowed = rounding(chain(vlm.model))
        np.testing.assert_allclose(losses, slow_turns(vlm, expected, "content"), rtol=allowed)


def test_a_conversation_has_its_questions_as_answers():
    system = Turn("system", "be brief")
    for record, pictures in SEEN:
        if record.sample_id not in TURNS:
            continue
        record = replace(record, turns=(system, *record.turns))
        for answered in (False, True):
            expected = record_of("x", TURNS[record.sample_id][answered], pictures)
            assert guessing(record, answered).turns == expected.turns


def test_turns_without_words_are_no_questions():
    record = record_of("it", ["<image>", "a digit", "what? <image>", "3"], PICTURES[:2])
    assert exchanges(record) == [("what?", "3")]
    (first, _) = guessing(record, True).turns
    assert first.text.count("<image>") == 2 and "Its answer is: 3" in first.text
    assert not exchanges(record_of("it", ["<image>", "a digit"], PICTURES[:1]))


def test_turns_that_the_model_has_no_positions_for_are_left_out(vlm, monkeypatch):
    record, pictures = next(talk for talk in SEEN if talk[0].sample_id == "turns")
    whole = encode_guessing(vlm, record, pictures, answered=True)
    monkeypatch.setattr(vlm, "positions", len(whole) - 1)
    part = encode_guessing(vlm, record, pictures, answered=True)
    np.testing.assert_array_equal(part.inputs["input_ids"], whole.inputs["input_ids"][: len(part)])
    turns = [int((np.diff(np.r_[0, s.response.astype(int)]) == 1).sum()) for s in (whole, part)]
    assert turns == [3, 2]
    monkeypatch.setattr(vlm, "positions", 3)
    with pytest.raises(Refused, match="'turns' has .* tokens"):
        encode_guessing(vlm, record, pictures, answered=True)


@pytest.mark.parametrize("limit", ["positions", "max_length"])
def test_a_long_answer_and_then_a_long_question_are_shortened(vlm, monkeypatch, limit):
    record = record_of("it", ["<image> what is this", "a digit " * 40], PICTURES[:1])
    told, untold = (
        encode_guessing(vlm, record_of("it", turns, PICTURES[:1]), PICTURES[:1], answered=True)
        for turns in (["<image> what is this", "a digit " * 5], ["<image> what", ""])
    )
    monkeypatch.setattr(vlm, limit, len(told))
    found = encode_guessing(vlm, record, PICTURES[:1], answered=True)
    np.testing.assert_array_equal(found.inputs["input_ids"], told.inputs["input_ids"])
    monkeypatch.setattr(vlm, limit, len(untold))
    found = encode_guessing(vlm, record, PICTURES[:1], answered=True)
    assert len(found) == len(untold) and found.response.any()


def test_the_ratio_is_a_mean_over_turns():
    without, given = np.array([2.0, 1.0, 9.0]), np.array([1.0, 1.5])
    expected = np.log((np.exp(1.0) + np.exp(-0.5)) / 2)
    assert log_mean_ratio(without, given) == pytest.approx(expected, rel=1e-14)
    assert log_mean_ratio(np.array([2000.0]), np.array([0.0])) == 2000  # no overflow
    assert log_mean_ratio(np.array([]), given) == 0
