"""Form batches for a model inside fixed blocks of rows.

Blocks are cut on absolute multiples of `shard_files.BLOCK`, as shards are, and the samples of a
block are sorted by length. The batch of a sample therefore depends on neither shards nor cores, and
padding stays small. Worker processes may read and encode blocks ahead of the model; batches and
their order stay the same.

With ``batch_tokens: auto`` the limit comes from the memory that a GPU has and a pass takes
(`fit_tokens`), measured on the first samples of the file whatever the shard, so that all shards on
one kind of GPU have the same batches.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import torch
from PIL.Image import Image
from torch.utils.data import DataLoader

from vlselect.core import log
from vlselect.core.shard_files import BLOCK
from vlselect.models.chat import Refused
from vlselect.models.vlm import AUTO, VLM, Batch, Encoded
from vlselect.pool import images
from vlselect.pool.records import Record
from vlselect.pool.samples import Samples

SPREAD = 1.25
SLACK = 16  # tokens; padding short samples is cheaper than running tiny batches
ON_CPU = 1024  # tokens of `auto` on a CPU, where larger batches are no faster
MARGIN = 0.8  # of a GPU's memory; the rest is for what is fragmented, and longer samples' attention

logger = logging.getLogger(__name__)


class Trial(NamedTuple):
    """What a pass's memory is measured with: it runs on a batch, without any other effect.

    `rows` are the rows that it may run on, the same for every shard; few of them are encoded.
    """

    run: Callable[[Batch], object]
    rows: Sequence[int]


class GPUMemory:
    """The memory of a GPU, as torch's allocator counts it, in bytes."""

    def __init__(self, device: torch.device):
        self._device = device

    def room(self) -> int:
        """Return what a pass may take beside what is held now."""
        held = torch.cuda.memory_allocated(self._device)
        free, total = torch.cuda.mem_get_info(self._device)
        free += torch.cuda.memory_reserved(self._device)  # of this process, whatever others hold
        return int(MARGIN * min(total, free)) - held

    def taken(self, run: Callable[[], object]) -> int:
        """Return what a run takes, at its peak, beside what is held before it."""
        torch.cuda.reset_peak_memory_stats(self._device)
        held = torch.cuda.memory_allocated(self._device)
        run()
        return torch.cuda.max_memory_allocated(self._device) - held


def batches(
    vlm: VLM,
    samples: Samples,
    rows: Sequence[int],
    image_root: str | Path,
    *,
    max_pixels: int,
    prompts: bool = False,
    encode: Callable[[Record, list[Image]], Encoded] | None = None,
    trial: Trial | None = None,
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
    trial : Trial, optional
        Where ``vlm.batch_tokens`` is "auto", sets it by what this takes; a later pass keeps it.
    description : str
        Label of the progress bar.
    """
    encode = encode or (vlm.encode_prompt if prompts else vlm.encode)
    # Generation takes a pass per new token, so fewer batches matter more than less padding.
    spread, side = (math.inf, "left") if prompts else (SPREAD, None)

    def encoded_row(row: int, record: Record) -> Encoded:
        sample = encode(record, images.load_all(image_root, record, max_pixels))
        sample.row = int(row)
        return sample

    if vlm.batch_tokens == AUTO and len(rows):
        vlm.batch_tokens = automatic_tokens(vlm, samples, trial, encoded_row, side)
    limit = torch.tensor([0]).share_memory_()  # with the workers
    if len(rows):
        limit[0] = vlm.batch_tokens or 0

    def padded(block: list[int]) -> list[Batch]:
        encoded = list(map(encoded_row, block, samples.records(block)))
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


def automatic_tokens(
    vlm: VLM,
    samples: Samples,
    trial: Trial | None,
    encode: Callable[[int, Record], Encoded],
    padding_side: str | None,
) -> int:
    """Return what ``batch_tokens: auto`` means for a pass: a fixed number on a CPU, else a fit."""
    if vlm.device.type == "cpu":
        return ON_CPU
    if trial is None:
        raise ValueError("batch_tokens is auto, but this pass says nothing of its memory")
    rows, encoded = list(trial.rows[:BLOCK]), []
    for row, record in zip(rows, samples.records(rows), strict=True):
        try:
            encoded.append(encode(row, record))
        except Refused:  # which the pass leaves out, or ends with
            continue

    if not encoded:
        return ON_CPU

    def run(batch: list[Encoded]) -> None:
        trial.run(vlm.collate(batch, padding_side=padding_side))

    return fit_tokens(encoded, run, vlm.batch_size or BLOCK, GPUMemory(vlm.device))


def fit_tokens(
    encoded: Sequence[Encoded],
    run: Callable[[list[Encoded]], None],
    batch_size: int,
    memory: GPUMemory,
) -> int:
    """Return the most tokens of a batch that fit into memory, after three runs on small batches.

    A batch takes bytes for each of its tokens, padding included, and for each of its samples, as
    measured on the longest sample alone and on several of the shortest. The limit is for
    `batch_size` samples, and rounded down to three binary digits: what little differs between two
    processes changes no batch.
    """
    ordered = sorted(encoded, key=lambda sample: (len(sample), sample.row))
    longest, several = ordered[-1:], ordered[: max(2, len(ordered[-1]) // len(ordered[0]) + 1)]
    several = several[:batch_size]
    run(several)  # what is made once, such as a library's workspace, is no batch's
    taken = [memory.taken(lambda batch=batch: run(batch)) for batch in (longest, several)]
    token, sample = bytes_each(
        [len(longest[0]), len(several) * len(several[-1])], [1, len(several)], taken
    )
    room = memory.room()
    limit = max(1, int((room - sample * batch_size) / token))
    step = 1 << max(0, limit.bit_length() - 3)
    limit -= limit % step
    about = "batch_tokens auto: %d (%.3g bytes a token, %.3g a sample, room for %.3g)"
    logger.info(about, limit, token, sample, room)
    return limit


def bytes_each(
    tokens: Sequence[int], samples: Sequence[int], taken: Sequence[int]
) -> tuple[float, float]:
    """Solve for bytes a token and a sample; all are tokens' where lengths hardly differ.

    A negative share is not believed either: then the tokens have the larger one measured.
    """
    (x, y), (n, m), (p, q) = tokens, samples, taken
    determinant = x * m - y * n
    if determinant > SLACK * m:
        token, sample = (p * m - q * n) / determinant, (x * q - y * p) / determinant
        if token > 0 and sample >= 0:
            return token, sample
    return max(p / x, q / y, 1), 0
