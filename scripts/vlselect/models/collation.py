"""Encoded samples, and the padded batches made from them.

A tensor is either a sequence, with one value per token, or belongs to images. Sequences are padded
to the longest. Image tensors of all samples are concatenated along their first axis; if their other
axes differ (tiles of an image, height, width), smaller tensors are padded with zeros, which every
model recognises as padding: by the sizes, grids or masks that come with them, or by the zeros.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vlselect.models.chat import Refused

IGNORED = -100  # label of tokens that do not count in the loss
SEQUENCES = frozenset({"input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids"})


@dataclass
class Encoded:
    """One encoded sample; masks are bool arrays of shape (T,)."""

    sample_id: str
    inputs: dict[str, Tensor]
    response: np.ndarray
    instruction: np.ndarray
    image: np.ndarray
    row: int = -1

    def __len__(self) -> int:
        return len(self.response)

    def first(self, length: int) -> "Encoded":
        """Return the sample cut to its first tokens.

        Raises Refused, naming the sample, if image tokens would be cut off.
        """
        if self.image[length:].any():
            what = f"sample {self.sample_id!r} has image tokens beyond max_length {length}"
            raise Refused("image_cut", what)
        inputs = {
            name: value[:length] if name in SEQUENCES else value
            for name, value in self.inputs.items()
        }
        masks = (self.response[:length], self.instruction[:length], self.image[:length])
        return Encoded(self.sample_id, inputs, *masks, row=self.row)


@dataclass
class Batch:
    """Padded samples; masks are bool tensors of shape (B, T), `inputs` the model's arguments.

    `response` marks the assistant's tokens with the token that ends each turn; `instruction` the
    tokens of the user's text; `image` the image placeholders. Padding is in none of them.
    """

    inputs: dict[str, Tensor]
    response: Tensor
    instruction: Tensor
    image: Tensor
    rows: np.ndarray
    sample_ids: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch with all tensors on a device."""
        inputs = {name: value.to(device) for name, value in self.inputs.items()}
        masks = (mask.to(device) for mask in (self.response, self.instruction, self.image))
        return Batch(inputs, *masks, rows=self.rows, sample_ids=self.sample_ids)

    @property
    def labels(self) -> Tensor:
        """Token ids (B, T) int64 where the loss counts, -100 elsewhere.

        The first token of each row never counts, since nothing precedes it.
        """
        labels = self.inputs["input_ids"].masked_fill(~self.response, IGNORED)
        labels[:, 0] = IGNORED
        return labels


def collate(
    samples: Sequence[Encoded], side: str, pad_id: int, device: torch.device, dtype: torch.dtype
) -> Batch:
    """Pad samples, with images or without, to one length and stack them.

    Sequences are padded on `side`, "left" or "right", with `pad_id`. The batch is on `device`, and
    its floating-point tensors have `dtype`.
    """
    length = max(len(sample) for sample in samples)
    inputs: dict[str, Tensor] = {}
    for name in sorted({name for sample in samples for name in sample.inputs}):
        values = [sample.inputs[name] for sample in samples if name in sample.inputs]
        if name in SEQUENCES:
            fill = pad_id if name == "input_ids" else 0
            stacked = torch.stack([pad(value, length, side, fill) for value in values])
        else:
            stacked = join(values)
        inputs[name] = stacked.to(device, dtype if stacked.is_floating_point() else None)
    masks = {
        name: torch.stack(
            [pad(torch.from_numpy(getattr(s, name)), length, side, False) for s in samples]
        ).to(device)
        for name in ("response", "instruction", "image")
    }
    rows = np.array([sample.row for sample in samples], dtype=np.int64)
    return Batch(inputs=inputs, rows=rows, sample_ids=[s.sample_id for s in samples], **masks)


def pad(values: Tensor, length: int, side: str, fill: int | bool) -> Tensor:
    """Pad a sequence (T,) to a length with a fill value on one side."""
    missing = values.new_full((length - len(values),), fill)
    return torch.cat([missing, values] if side == "left" else [values, missing])


def join(values: Sequence[Tensor]) -> Tensor:
    """Concatenate tensors (n_i, …), padding the other axes with zeros to their largest sizes."""
    shape = np.max([value.shape[1:] for value in values], axis=0, initial=0)
    filled = []
    for value in values:
        # `F.pad` takes (before, after) for each axis, the last axis first.
        missing = [(0, int(n - m)) for n, m in zip(shape, value.shape[1:], strict=True)]
        filled.append(F.pad(value, [n for pair in reversed(missing) for n in pair]))
    return torch.cat(filled)
