"""How much the image tells about the answer, and the answer about the question, turn by turn.

Losses are weighted means over the tokens of a turn. The question is the response of a conversation
made for it, which asks for the likely question, with the image and with or without the answer.

References
----------
.. [1] Hong et al., DICS, arXiv:2608.30209.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from vlselect.features.forward_pass import require_tokens
from vlselect.features.gains import recorded_positions, run_pass, without_image
from vlselect.features.token_weights import TokenWeights
from vlselect.models.chat import Refused
from vlselect.models.vlm import VLM, Batch, Encoded
from vlselect.pool.records import IMAGE_MARKER, Record, Turn

COLUMNS = ("visual", "instruction")
FIRST, NEXT = "Guess the question that is likely to be asked about it.", "Guess the next question."
ANSWER = "Its answer is: {}"
LONG = ("too_long", "no_response")  # reasons of a refusal that fewer words cure


def exchanges(record: Record) -> list[tuple[str, str]]:
    """Return a record's questions and answers without image marks, where there is a question."""
    said = [turn for turn in record.turns if turn.role != "system"]
    texts = [turn.text.replace(IMAGE_MARKER, "").strip() for turn in said]
    pairs = zip(texts[::2], texts[1::2], strict=False)
    return [(question, answer) for question, answer in pairs if question]


def guessing(record: Record, answered: bool) -> Record:
    """Return a conversation in which the assistant says a record's questions.

    The user shows all images first, and asks for each question in turn; with `answered`, the user
    says each time what its answer is.
    """
    turns = []
    for number, (question, answer) in enumerate(exchanges(record)):
        marks = "" if number else f"{IMAGE_MARKER}\n" * len(record.images)
        request = NEXT if number else FIRST
        told = f" {ANSWER.format(answer)}" if answered else ""
        turns += [Turn("user", f"{marks}{request}{told}"), Turn("assistant", question)]
    return replace(record, turns=tuple(turns))


def encode_guessing(
    vlm: VLM, record: Record, pictures: Sequence[Image.Image], answered: bool
) -> Encoded:
    """Encode `guessing`, shortened where the model has no room for all of it.

    Last turns are left out first; then, of the first turn, the second half of the answer, and so
    on, and at last that of the question. Raises Refused if not even its first word has room.
    """
    guess = guessing(record, answered)
    for stop in range(len(guess.turns), 0, -2):
        try:
            return vlm.encode(replace(guess, turns=guess.turns[:stop]), pictures)
        except Refused as refusal:
            shorter = halved(record, answered)
            if refusal.reason not in LONG or (stop == 2 and shorter is None):
                raise
    return encode_guessing(vlm, shorter, pictures, answered)


def halved(record: Record, answered: bool) -> Record | None:
    """Return a record's first exchange with half the words of its answer or, if none, question."""
    question, answer = (text.split() for text in exchanges(record)[0])
    if answered and answer:
        answer = answer[: len(answer) // 2]
    elif len(question) > 1:
        question = question[: len(question) // 2]
    else:
        return None
    images = f"{IMAGE_MARKER}\n" * len(record.images)
    turns = (Turn("user", images + " ".join(question)), Turn("assistant", " ".join(answer)))
    return replace(record, turns=turns)


def turn_losses(
    losses: Tensor, ids: Tensor, response: Tensor, weights: TokenWeights
) -> list[np.ndarray]:
    """Average token losses over each turn of B samples, weighted.

    Parameters
    ----------
    losses : float64 Tensor (B, T - 1)
        At the place before each token, see `gains.run_pass`.
    ids, response : Tensor (B, T)
        Tokens, and which of them belong to a turn of the assistant.
    weights : TokenWeights

    Returns
    -------
    list of float64 array
        One per sample, with a mean for each of its turns.
    """
    table, ids, response = losses.cpu().numpy(), ids.cpu().numpy(), response.cpu().numpy()
    found = []
    for own, tokens, mask in zip(table, ids, response, strict=True):
        means = []
        for start, stop in _runs(mask):
            weight = weights(tokens[start:stop].tolist())
            means.append(float(weight @ own[start - 1 : stop - 1] / weight.sum()))
        found.append(np.array(means))
    return found


def _runs(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield first place and end of the runs in a mask (T,); place 0 is never predicted."""
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False]))
    for start, stop in edges.reshape(-1, 2).tolist():
        if stop > 1:
            yield max(start, 1), stop


@torch.inference_mode()
def answer_losses(
    model: nn.Module, batch: Batch, weights: TokenWeights
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return each turn's loss with the image, and without it, of a batch of samples with images."""
    require_tokens(batch.response[:, 1:], "response", batch.sample_ids)
    rows, ids = list(range(len(batch))), batch.inputs["input_ids"]
    with recorded_positions(model) as positions:
        seen, _ = run_pass(model, batch.inputs, batch.response)
    blind, _ = run_pass(model, without_image(batch, rows, positions[0]), batch.response)
    with_image, without = (
        turn_losses(losses, ids, batch.response, weights) for losses in (seen, blind)
    )
    return with_image, without


@torch.inference_mode()
def question_losses(model: nn.Module, batch: Batch, weights: TokenWeights) -> list[np.ndarray]:
    """Return the loss of each question in a batch of conversations from `encode_guessing`."""
    losses, _ = run_pass(model, batch.inputs, batch.response)
    return turn_losses(losses, batch.inputs["input_ids"], batch.response, weights)


def log_mean_ratio(without: np.ndarray, given: np.ndarray) -> float:
    """Return the logarithm of the mean over turns of exp(loss without - loss given), in nats.

    The logarithm has the order of the ratio, and no overflow. Of two numbers of turns the smaller
    one counts; for none, the ratio is 1.
    """
    turns = min(len(without), len(given))
    if not turns:
        return 0.0
    return float(np.logaddexp.reduce(without[:turns] - given[:turns]) - np.log(turns))
