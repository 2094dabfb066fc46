"""Batches for a model, formed inside fixed blocks of rows.

Blocks are cut on absolute multiples of `store.BLOCK`, as shards are, and inside a block samples are
ordered by length. So the batch that a sample is in depends on neither shards nor cores, and padding
stays small.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from vlselect import images, log
from vlselect.samples import Samples
from vlselect.store import BLOCK
from vlselect.vlm import VLM, Batch, Encoded


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
        At most ``vlm.batch_size`` samples of one block, shortest first.
    """
    encode = vlm.encode_prompt if prompts else vlm.encode
    blocks = [list(block) for _, block in groupby(rows, key=lambda row: row // BLOCK)]
    for block in log.progress(blocks, description=description):
        encoded = []
        for row, record in zip(block, samples.records(block), strict=True):
            pictures = [images.load(image_root, name, max_pixels) for name in record.images]
            encoded.append(encode(record, pictures))
            encoded[-1].row = int(row)
        for chunk in by_length(encoded, vlm.batch_size):
            yield vlm.collate(chunk, padding_side="left" if prompts else None)


def by_length(encoded: Sequence[Encoded], batch_size: int) -> Iterator[list[Encoded]]:
    """Cut samples, ordered by length and then row, into batches of at most `batch_size`."""
    ordered = sorted(encoded, key=lambda sample: (len(sample), sample.row))
    for start in range(0, len(ordered), batch_size):
        yield ordered[start : start + batch_size]
