"""Batches for a model, formed inside fixed blocks of rows.

Blocks are cut on absolute multiples of `store.BLOCK`, as shards are, and inside a block samples are
ordered by length. So the batch that a sample is in depends on neither shards nor cores, and padding
stays small. Other processes may read and encode blocks ahead of the model; batches and their order
stay the same.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from vlselect import images, log
from vlselect.samples import Samples
from vlselect.store import BLOCK
from vlselect.vlm import VLM, Batch, Encoded

SPREAD = 1.25
SLACK = 16  # tokens; short samples are cheap, and a batch of a few has costs of its own


def batches(
    vlm: VLM,
    samples: Samples,
    rows: Sequence[int],
    image_root: str | Path,
    *,
    max_pixels: int = 50_000_000,
    prompts: bool = False,
    description: str = "samples",
) -> Iterator[Batch]:
    """Encode the samples at `rows` and yield them in padded batches, each sample once.

    Parameters
    ----------
    rows : sequence of int
        Ascending row indices of `samples`.
    image_root : str or Path
        Folder that the samples' image paths are relative to.
    max_pixels : int
        Images above it are errors.
    prompts : bool
        Encode only what comes before the last response, padded on the left, for generation.
    description : str
        Label of the progress bar.

    Yields
    ------
    Batch
        At most ``vlm.batch_size`` samples of one block and of similar length, shortest first, and
        at most ``vlm.batch_tokens`` tokens, padding included, unless it is a single sample.
    """
    blocks = _Blocks(vlm, samples, rows, image_root, max_pixels, prompts)
    workers = max(0, min(vlm.workers, len(blocks) - 1))
    ahead = {"prefetch_factor": 1, "multiprocessing_context": "fork"} if workers else {}
    loader = DataLoader(blocks, batch_size=None, num_workers=workers, **ahead)
    for block in log.progress(loader, description=description):
        for batch in block:
            yield batch.to(vlm.device)
        blocks.limit(vlm.batch_tokens)


class _Blocks(Dataset):
    """The blocks of some rows, each as a list of its padded batches on the CPU."""

    def __init__(
        self,
        vlm: VLM,
        samples: Samples,
        rows: Sequence[int],
        image_root: str | Path,
        max_pixels: int,
        prompts: bool,
    ):
        self._vlm, self._samples, self._prompts = vlm, samples, prompts
        self._blocks = [list(block) for _, block in groupby(rows, key=lambda row: row // BLOCK)]
        self._load = partial(images.load, image_root, max_pixels=max_pixels)
        self._tokens = torch.zeros(1, dtype=torch.int64).share_memory_()
        self.limit(vlm.batch_tokens)

    def __len__(self) -> int:
        return len(self._blocks)

    def limit(self, batch_tokens: int | None) -> None:
        """Bound the batches of blocks to come, also of those that other processes make."""
        self._tokens[0] = batch_tokens or 0

    def __getitem__(self, index: int) -> list[Batch]:
        vlm, block = self._vlm, self._blocks[index]
        encode = vlm.encode_prompt if self._prompts else vlm.encode
        encoded = []
        for row, record in zip(block, self._samples.records(block), strict=True):
            encoded.append(encode(record, [self._load(name) for name in record.images]))
            encoded[-1].row = int(row)
        # Generation takes a pass for every new token: there, few batches count more than padding.
        spread = math.inf if self._prompts else SPREAD
        side = "left" if self._prompts else None
        chunks = by_length(encoded, vlm.batch_size, int(self._tokens) or None, spread)
        return [vlm.collate(chunk, padding_side=side, device="cpu") for chunk in chunks]


def by_length(
    encoded: Sequence[Encoded],
    batch_size: int,
    batch_tokens: int | None = None,
    spread: float = SPREAD,
) -> Iterator[list[Encoded]]:
    """Cut samples, ordered by length and then row, into batches of at most `batch_size`.

    A batch has at most `batch_tokens` tokens, padding and images included, where that is given; a
    longer sample stands alone. No sample is padded to more than `spread` times its length, or by
    more than `SLACK` tokens where that is longer: what a pass costs grows with the tokens.
    """
    budget = math.inf if batch_tokens is None else batch_tokens
    batch: list[Encoded] = []
    for sample in sorted(encoded, key=lambda sample: (len(sample), sample.row)):
        if batch:
            room = max(spread * len(batch[0]), len(batch[0]) + SLACK)
            full = len(batch) == batch_size or (len(batch) + 1) * len(sample) > budget
            if full or len(sample) > room:
                yield batch
                batch = []
        batch.append(sample)
    if batch:
        yield batch
