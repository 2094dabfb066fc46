"""Pretraining of the demo's base model: a LLaVA learns to look up what its vision tower sees.

The tower is frozen, so its features are computed in large batches, ahead of the many small steps,
by another process.
Small batches matter: with large ones, the model does not learn to find a digit by an attribute.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import IterableDataset
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from vlselect.core import log
from vlselect.digits.architecture import FEATURE_LAYER
from vlselect.digits.questions import QUESTIONS, Example, captioning, lookup
from vlselect.digits.scenes import Composer
from vlselect.digits.sequences import IGNORED, Sequences, batches, encode, pad
from vlselect.digits.training import Trainer, drawn, pixel_values
from vlselect.digits.vocabulary import TASKS

logger = logging.getLogger(__name__)

LEARNING_RATE = 8e-4
WARM_UP = 100  # steps
DECAY = 0.3  # share of the steps, at the end, in which the learning rate falls to zero
SHARES = {"task": 0.004, "lookup": 0.796}  # of the examples; the rest are captions
CHUNK = 8192  # examples that are drawn and passed through the tower together
ROUNDS = 4  # of further training at most, each a quarter of the planned length
HELD_OUT = 1000  # lookups about validation digits that the model is measured on


def draw_example(rng: Random, composer: Composer) -> Example:
    """Draw a lookup, a caption or, rarely, a task's question, so that the base knows their form."""
    draw = rng.random()
    if draw < SHARES["task"]:
        return QUESTIONS[rng.choice(TASKS)](rng, composer)
    return (lookup if draw < SHARES["task"] + SHARES["lookup"] else captioning)(rng, composer)


@torch.no_grad()
def tower_features(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    examples: Sequence[Example],
    batch_size: int = 256,
) -> Tensor:
    """Run the vision tower over the examples' scenes: float32 (n, patches, width)."""
    tower, seen = model.model.vision_tower, []
    for start in range(0, len(examples), batch_size):
        scenes = [example.scene for example in examples[start : start + batch_size]]
        pixels = pixel_values(scenes, processor.image_processor)
        hidden = tower(pixel_values=pixels, output_hidden_states=True).hidden_states
        seen.append(hidden[FEATURE_LAYER][:, 1:])  # without the class token
    return torch.cat(seen)


def answer_scores(
    model: LlavaForConditionalGeneration, ids: Tensor, labels: Tensor, features: Tensor
) -> tuple[Tensor, Tensor]:
    """Score the tokens of the answers, given the tower's features of the images.

    Parameters
    ----------
    ids, labels : Tensor
        int64 (B, T), padded on the right. Attention is causal, so no answer sees the padding.
    features : Tensor
        float32 (B, P, d), used in place of the model's own tower's output.

    Returns
    -------
    scores : Tensor
        float32 (n, V): a row for each token of the answers.
    targets : Tensor
        int64 (n,): those tokens.
    """
    embedded = model.get_input_embeddings()(ids)  # (B, T, h)
    images = model.model.multi_modal_projector(features)  # (B, P, h)
    here = (ids == model.config.image_token_id)[..., None]
    embedded = embedded.masked_scatter(here, images.to(embedded.dtype))
    hidden = model.model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
    counted = labels[:, 1:] != IGNORED  # the state at t predicts the token at t + 1
    return model.lm_head(hidden[:, :-1][counted]), labels[:, 1:][counted]


@dataclass(frozen=True)
class Chunk:
    """Examples as tokens, the tower's features of their scenes (n, patches, width), and batches."""

    sequences: Sequences
    features: np.ndarray
    batches: list[list[int]]


class Chunks(IterableDataset):
    """New examples about train digits, in chunks, for rounds of so many examples."""

    def __init__(self, model, processor, *, rounds: Sequence[int], batch_size: int, seed: int):
        self._model, self._processor, self._rounds = model, processor, rounds
        self._batch_size, self._seed = batch_size, seed

    def __iter__(self) -> Iterator[Chunk]:
        rng, composer = Random(f"base {self._seed}"), Composer("train", self._seed)
        for samples in self._rounds:
            for start in range(0, samples, CHUNK):
                size = min(CHUNK, samples - start)
                examples = [draw_example(rng, composer) for _ in range(size)]
                features = tower_features(self._model, self._processor, examples)
                sequences = encode(examples, self._processor)
                cut = list(batches(sequences, self._batch_size, rng))
                yield Chunk(sequences, features.numpy(), cut)


class Pretraining:
    """Trains the language model and the projector of a LLaVA in place; the vision tower is frozen.

    `seed` is that of the digits' split and of the examples; `ahead` lets another process draw
    them (`drawn`).
    """

    def __init__(self, model, processor, *, batch_size: int, seed: int, ahead: bool = True):
        self._model, self._processor, self._batch_size = model, processor, batch_size
        self._seed, self._ahead = seed, ahead
        model.model.vision_tower.requires_grad_(False)
        self.trainer = Trainer(list(model.parameters()))
        composer, rng = Composer("validation", seed), Random(f"held-out {seed}")
        self._held_out = [lookup(rng, composer) for _ in range(HELD_OUT)]

    def run(self, samples: int, threshold: float) -> float:
        """Train on `samples` examples, then on up to as many again until lookup is good enough.

        Each example is seen once. Training stops early at a lookup accuracy above `threshold`.

        Returns
        -------
        float
            Lookup accuracy at the end, on scenes of held-out digits.
        """
        rounds = [samples, *[samples // ROUNDS] * ROUNDS]
        options = {"rounds": rounds, "batch_size": self._batch_size, "seed": self._seed}
        chunks = iter(drawn(Chunks(self._model, self._processor, **options), self._ahead))
        accuracy = self._train(samples, chunks)
        for extra in range(1, ROUNDS + 1):
            if accuracy > threshold:
                break
            logger.info("lookup %.3f is not above %.3f: round %d", accuracy, threshold, extra)
            accuracy = self._train(samples // ROUNDS, chunks)
        if accuracy <= threshold:
            logger.warning("lookup ended at %.3f, not above %.3f", accuracy, threshold)
        return accuracy

    def _train(self, samples: int, chunks: Iterator[Chunk]) -> float:
        """Train through one rise and fall of the learning rate; return the lookup accuracy."""
        steps, done = max(1, samples // self._batch_size), 0
        self._model.train()
        for _ in log.progress(range(0, samples, CHUNK), description="base model"):
            for loss in self._losses(next(chunks)):
                done += 1
                rise, fall = min(1, done / WARM_UP), min(1, (steps - done + 1) / (DECAY * steps))
                self.trainer.step(loss, LEARNING_RATE * rise * max(0.0, fall))
            self._note()
            self._model.train()
        return self.trainer.history[-1]["lookup"]

    def _losses(self, chunk: Chunk) -> Iterator[Tensor]:
        """Yield the mean loss of the answers' tokens, batch by batch."""
        features = torch.from_numpy(chunk.features)
        for rows in chunk.batches:
            ids, labels = pad(chunk.sequences, rows, self._processor.tokenizer.pad_token_id)
            yield cross_entropy(*answer_scores(self._model, ids, labels, features[rows]))

    def _note(self) -> None:
        measured = lookup_accuracy(self._model, self._processor, self._held_out)
        self.trainer.note(**measured)


@torch.no_grad()
def lookup_accuracy(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    examples: Sequence[Example],
    batch_size: int = 250,
) -> dict[str, float]:
    """Compute the share of lookups that greedy generation answers right, word for word.

    An answer is right if each of its tokens is the most likely one after those before it. Returns
    ``lookup`` over all examples, and ``lookup_<kind>`` by the attribute in the question.
    """
    model.eval()
    features, sequences = tower_features(model, processor, examples), encode(examples, processor)
    right = []
    for start in range(0, len(examples), batch_size):
        rows = range(start, min(start + batch_size, len(examples)))
        ids, labels = pad(sequences, rows, processor.tokenizer.pad_token_id)
        scores, targets = answer_scores(model, ids, labels, features[rows.start : rows.stop])
        owner = (labels[:, 1:] != IGNORED).nonzero()[:, 0]
        misses = torch.bincount(owner, weights=(scores.argmax(-1) != targets).double())
        right += (misses == 0).tolist()
    kinds = sorted({example.task for example in examples})
    by_kind = {
        kind: [r for r, example in zip(right, examples, strict=True) if example.task == kind]
        for kind in kinds
    }
    means = {kind: sum(values) / len(values) for kind, values in by_kind.items()}
    return {"lookup": sum(right) / len(right), **means}
