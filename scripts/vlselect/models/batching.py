"""Form batches for a model inside fixed blocks of rows.

Blocks are cut on absolute multiples of `store.BLOCK`, as shards are, and the samples of a block are
sorted by length. The batch of a sample therefore depends on neither shards nor cores, and padding
stays small. Worker processes may read and encode blocks ahead of the model; batches and their order
stay the same.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import torch
from PIL.Image import Image
from torch.utils.data import DataLoader

from vlselect.core import log
from vlselect.core.store import BLOCK
from vlselect.models.vlm import VLM, Batch, Encoded
from vlselect.pool import images
from vlselect.pool.records import Record
from vlselect.pool.samples import Samples

SPREAD = 1.25
SLACK = 16  # tokens; padding short samples is cheaper than running tiny batches


def batches(
    vlm: VLM,
    samples: Samples,
    rows: Sequence[int],
    image_root: str | Path,
    *,
    max_pixels: int,
    prompts: bool = False,
    encode: Callable[[Record, list[Image]], Encoded] | None = None,
    description: str = "samples",
) -> Iterator[Batch]:
    """Encode the samples at ascending `rows` and yield them in padded batches, each sample once.

    A batch has at most ``vlm.batch_size`` samples of one block and of similar length, shortest
    first, and at most ``vlm.batch_tokens`` tokens including padding, unless it is a single sample.

    Parameters
    ----------
    image_root, max_pixels
        As for `images.load`.
    prompts : bool
        Encode only what precedes the last response, padded on the left, for generation.
    encode : function, optional
        Encodes a sample otherwise than ``vlm.encode`` does.
    description : str
        Label of the progress bar.
    """
    encode = encode or (vlm.encode_prompt if prompts else vlm.encode)
    # Generation takes a pass per new token, so fewer batches matter more than less padding.
    spread, side = (math.inf, "left") if prompts else (SPREAD, None)
    limit = torch.tensor([vlm.batch_tokens or 0]).share_memory_()  # with the workers

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
    """Sort samples by length, then row, and cut them into batches of at most `batch_size`.

    With `batch_tokens`, a batch has at most that many tokens, padding and images included; a longer
    sample stands alone. No sample is padded to more than `spread` times its length or by more than
    `SLACK` tokens, whichever is longer, since the cost of a pass grows with its tokens.
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
