"""Examples as token sequences, as the chat template and the processor would produce them.

Pretraining uses tens of thousands of examples, so the sequences are built here in bulk. A test
compares them with the processor's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from transformers import LlavaProcessor

from vlselect.digits.architecture import IMAGE_TOKEN
from vlselect.digits.questions import Example
from vlselect.digits.scenes import CELLS

IGNORED = -100  # label of tokens without a loss
POOLED = 16  # batches whose examples are sorted by length together


@dataclass(frozen=True)
class Sequences:
    """Examples about scenes, as tokens.

    `labels` are `IGNORED` where no loss counts: everywhere but in answers and their end tokens.
    """

    ids: list[list[int]]
    labels: list[list[int]]

    def __len__(self) -> int:
        return len(self.ids)


def encode(examples: Sequence[Example], processor: LlavaProcessor) -> Sequences:
    """Tokenise examples that all have a scene, in the form of the chat template."""
    tokenizer = processor.tokenizer
    image = IMAGE_TOKEN * CELLS  # one token for each patch, one patch for each cell
    prompts = [f"USER: {image}\n{example.question} ASSISTANT: " for example in examples]
    answers = [example.answer + tokenizer.eos_token for example in examples]
    asked = tokenizer(prompts)["input_ids"]
    told = tokenizer(answers, add_special_tokens=False)["input_ids"]
    pairs = list(zip(asked, told, strict=True))
    return Sequences(
        ids=[prompt + answer for prompt, answer in pairs],
        labels=[[IGNORED] * len(prompt) + answer for prompt, answer in pairs],
    )


def batches(sequences: Sequences, size: int, rng: Random) -> Iterator[list[int]]:
    """Cut sequences into random batches of similar lengths; yield lists of their numbers."""
    order = rng.sample(range(len(sequences)), len(sequences))
    cut = []
    for start in range(0, len(order), size * POOLED):
        near = sorted(order[start : start + size * POOLED], key=lambda i: len(sequences.ids[i]))
        cut += [near[i : i + size] for i in range(0, len(near), size)]
    rng.shuffle(cut)
    yield from cut


def pad(sequences: Sequences, rows: Sequence[int], fill: int) -> tuple[Tensor, Tensor]:
    """Return ids and labels of some sequences, int64 (B, T), padded on the right."""
    length = max(len(sequences.ids[row]) for row in rows)
    ids = torch.full((len(rows), length), fill)
    labels = torch.full((len(rows), length), IGNORED)
    for i, row in enumerate(rows):
        n = len(sequences.ids[row])
        ids[i, :n] = torch.tensor(sequences.ids[row])
        labels[i, :n] = torch.tensor(sequences.labels[row])
    return ids, labels
