"""Batches for a model, formed inside fixed blocks of rows.

Blocks are cut on absolute multiples of `store.BLOCK`, as shards are, and inside a block samples are
ordered by length. So the batch that a sample is in depends on neither shards nor cores, and padding
stays small. Other processes may read and encode blocks ahead of the model; batches and their order
stay the same.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from vlselect.core import log
from vlselect.core.store import BLOCK
from vlselect.models.vlm import VLM, Batch, Encoded
from vlselect.pool import images
from vlselect.pool.samples import Samples

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
    encode = vlm.encode_prompt if prompts else vlm.encode
    # Generation takes a pass for every new token: there, few batches count more than padding.
    spread, side = (math.inf, "left") if prompts else (SPREAD, None)
    limit = torch.tensor([vlm.batch_tokens or 0]).share_memory_()  # of all processes

    def padded(block: list[int]) -> list[Batch]:
        encoded = []
        for row, record in zip(block, samples.records(block), strict=True):
            pictures = [images.load(image_root, name, max_pixels) for name in record.images]
            encoded.append(encode(record, pictures))
            encoded[-1].row = int(row)
        chunks = by_length(encoded, vlm.batch_size, int(limit) or None, spread)
        return [vlm.collate(chunk, padding_side=side, device="cpu") for chunk in chunks]

    blocks = [list(block) for _, block in groupby(rows, key=lambda row: row // BLOCK)]
    workers = max(0, min(vlm.workers, len(blocks) - 1))
    ahead = {"prefetch_factor": 1, "multiprocessing_context": "fork"} if workers else {}
    loader = DataLoader(blocks, batch_size=None, collate_fn=padded, num_workers=workers, **ahead)
    for block in log.progress(loader, description=description):
        for batch in block:
            yield batch.to(vlm.device)
        limit[0] = vlm.batch_tokens or 0


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
