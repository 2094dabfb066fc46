"""Training samples for the Trainer: encoded on first use, cached as memory allows."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import Dataset

from vlselect.models.vlm import VLM, Encoded
from vlselect.pool import images
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

ROWS = "rows"


class SampleDataset(Dataset):
    """Chosen samples of a pool, encoded lazily; keeps the text of all samples, but no images.

    Parameters
    ----------
    vlm, samples, rows, image_root, max_pixels
        As in `finetune.train`.
    cache_bytes : int
        Size up to which encoded samples are cached; the first ones stay.

    Attributes
    ----------
    sample_ids : dict of int to str
        The id of each row.
    """

    def __init__(
        self,
        vlm: VLM,
        samples: Samples,
        rows: Sequence[int],
        image_root: str | Path,
        *,
        max_pixels: int,
        cache_bytes: int,
    ):
        self._vlm, self._image_root, self._max_pixels = vlm, image_root, max_pixels
        self._rows = [int(row) for row in rows]
        self._records = samples.records(self._rows)
        self.sample_ids = dict(zip(self._rows, (r.sample_id for r in self._records), strict=True))
        self._cache: dict[int, Encoded] = {}
        self._free = cache_bytes
        logger.info("%d samples to train on", len(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Encoded:
        """Return one encoded sample."""
        if index in self._cache:
            return self._cache[index]
        record = self._records[index]
        pictures = images.load_all(self._image_root, record, self._max_pixels)
        encoded = self._vlm.encode(record, pictures)
        encoded.row = self._rows[index]
        size = _size(encoded)
        if size <= self._free:
            self._free -= size
            self._cache[index] = encoded
        return encoded


class ResponseCollator:
    """Stack encoded samples into the model's arguments with labels on response tokens only.

    `ROWS` are the samples' rows in the pool.
    """

    def __init__(self, vlm: VLM):
        self._vlm = vlm

    def __call__(self, samples: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """Pad on the right, so that every first token has position 0; return CPU tensors."""
        batch = self._vlm.collate(samples, padding_side="right", device="cpu")
        rows = torch.tensor([sample.row for sample in samples])
        return {**batch.inputs, "labels": batch.labels, ROWS: rows}


def _size(encoded: Encoded) -> int:
    """Return the bytes of the sample's tensors and masks."""
    tensors = sum(tensor.nbytes for tensor in encoded.inputs.values())
    return tensors + encoded.response.nbytes + encoded.instruction.nbytes + encoded.image.nbytes
