"""A pass of a model over one shard of the pool: its flags, its rows, the shards that it writes."""

import argparse
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vlselect.core import log, store
from vlselect.core.refused import read_left_out
from vlselect.core.shard_files import shard_rows
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.forward_pass import require_images, shard_header
from vlselect.features.refusals import add_refusal_arguments, rows_to_run, settle, write_batch
from vlselect.models import loading
from vlselect.models.batching import Trial, batches
from vlselect.models.vlm import VLM, Batch
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


class Kind(NamedTuple):
    """What is stored of each sample: how many numbers, of which dtype; what the header says."""

    width: int
    dtype: type
    about: Mapping[str, object]


def add_pass_arguments(parser: argparse.ArgumentParser, *kinds: str) -> None:
    """Add the flags of samples, model and refusals, and one for the shard of each kind."""
    add_samples_arguments(parser)
    parser.add_argument("--shard", default="1-of-1", help="shard of the pool, <i>-of-<n>")
    parser.add_argument("--run", required=True, help="name of the run, for the header")
    for kind in kinds:
        flag = "--" + kind.replace("_", "-")
        parser.add_argument(flag, type=Path, required=True, help=f"shard of {kind} to write")
    add_refusal_arguments(parser)
    loading.add_model_arguments(parser)


class ShardPass:
    """The rows of a pool shard, the model that runs over them, and what becomes of its values.

    Parameters
    ----------
    arguments : Namespace
        Of a parser with the flags of `add_pass_arguments`.
    script : str
        File of the program, whose code the headers name.
    load : function
        Loads the model that the flags name; one that is no VLM has no `batches`.

    Attributes
    ----------
    rows : range
        Rows of the pool that the shard consists of.
    n_images : ndarray of int, (N,)
        Images of each sample of the pool.
    faults : dict
        Messages by sample id: samples whose values cannot be stored.
    notes : list of str
        Sample ids that the program says something of in the end.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        script: str,
        load: Callable[[argparse.Namespace], VLM] = loading.load_from_arguments,
    ):
        self.samples = Samples(arguments.samples)
        self.rows = shard_rows(len(self.samples), arguments.shard)
        self.n_images = self.samples.frame(["n_images"])["n_images"].to_numpy()
        self.faults: dict[str, str] = {}
        self.notes: list[str] = []
        self._arguments, self._code = arguments, code_digest(imported_sources(script))
        self._left_out = read_left_out(arguments.left_out)
        self.model = load(arguments)
        start, stop = self.rows.start, self.rows.stop
        without = int(np.sum(self.n_images[start:stop] == 0))
        logger.info("rows %d:%d of %d", start, stop, len(self.samples))
        logger.info("%d of them without an image", without)

    @contextmanager
    def writing(
        self, label: str, kinds: Mapping[str, Kind]
    ) -> Iterator[tuple[dict[str, store.ShardWriter], list[int]]]:
        """Open a shard for each kind; yield their writers and the rows to run on, ascending.

        At the end, samples with faults are listed, and end the job unless they may be left out.
        """
        run, writers = self._arguments.run, {}
        for kind, (width, dtype, about) in kinds.items():
            about = {"kind": kind, "samples": self.samples.digest, **about}
            header = shard_header(run, self.rows, self.model, self._code, **about)
            path, shape = getattr(self._arguments, kind), (len(self.rows), width)
            writers[kind] = store.ShardWriter(path, shape, dtype, header)
        with ExitStack() as stack, log.timed(label):
            for writer in writers.values():
                stack.enter_context(writer)
            yield writers, rows_to_run(self.rows, self._left_out, writers.values())
            settle(self.faults, self._arguments.on_refused)
        for kind, writer in writers.items():
            logger.info("wrote %s %s", kind, writer.shape)

    def batches(self, rows: Sequence[int], label: str, **options) -> Iterator[Batch]:
        """Yield these rows, ascending, in batches; `options` are those of `batching.batches`."""
        images, max_pixels = self._arguments.images, self._arguments.max_pixels
        options |= {"max_pixels": max_pixels, "description": label}
        for batch in batches(self.model, self.samples, rows, images, **options):
            require_images(batch, self.n_images[batch.rows])
            yield batch

    def trial(self, run: Callable[[Batch], object], rows: Sequence[int] | None = None) -> Trial:
        """Return the trial of a pass, on these rows of the pool; it leaves no faults or notes."""

        def forgotten(batch: Batch) -> None:
            faults, notes = dict(self.faults), list(self.notes)
            run(batch)
            self.faults.clear()
            self.faults.update(faults)
            self.notes[:] = notes

        return Trial(forgotten, range(len(self.samples)) if rows is None else rows)

    @property
    def pictured(self) -> list[int]:
        """Rows of the pool that have images."""
        return np.flatnonzero(self.n_images).tolist()

    def write(
        self,
        writers: Mapping[str, store.ShardWriter],
        rows: np.ndarray,
        values: Mapping[str, np.ndarray],
        sample_ids: Sequence[str],
    ) -> None:
        """Write each kind's values of these rows of the pool; refuse samples with faults."""
        write_batch(writers, rows - self.rows.start, values, sample_ids, self.faults)

    def run(
        self,
        label: str,
        kinds: Mapping[str, Kind],
        extract: Callable[[Batch], Mapping[str, np.ndarray]],
    ) -> None:
        """Write what `extract` makes of each batch: values by kind, (B, width)."""
        with self.writing(label, kinds) as (writers, rows):
            for batch in self.batches(rows, label, trial=self.trial(extract)):
                self.write(writers, batch.rows, extract(batch), batch.sample_ids)
