"""Extract what images tell about answers, and answers about questions, for one pool shard.

Four forward passes for each sample with an image: its answers with the image and without, its
questions with the image, and with the image and the answers. Samples without an image have none:
both ratios are 1 by definition, and their logarithms, which are stored, 0.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from vlselect.core import log, store
from vlselect.core.half import to_stored
from vlselect.core.refused import read_left_out
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.forward_pass import require_images, shard_header
from vlselect.features.instruction_gains import (
    COLUMNS,
    answer_losses,
    encode_guessing,
    exchanges,
    log_mean_ratio,
    question_losses,
)
from vlselect.features.refusals import (
    add_refusal_arguments,
    rows_to_run,
    settle,
    write_batch,
)
from vlselect.features.token_weights import TOKEN_WEIGHTS, TokenWeights
from vlselect.models import loading, vlm
from vlselect.models.batching import batches
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)
KIND = "instruction_gains"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_samples_arguments(parser)
    parser.add_argument("--shard", default="1-of-1", help="shard of the pool, <i>-of-<n>")
    parser.add_argument("--run", required=True, help="name of the run, for the header")
    about = "whether function words and punctuation weigh a tenth"
    parser.add_argument("--token-weights", choices=TOKEN_WEIGHTS, required=True, help=about)
    parser.add_argument("--instruction-gains", type=Path, required=True, help="shard to write")
    add_refusal_arguments(parser)
    loading.add_model_arguments(parser)
    return parser


def with_questions(samples: Samples, rows: Sequence[int]) -> Iterator[int]:
    """Yield those of ascending rows whose samples say anything beside showing an image."""
    for _, block in groupby(rows, key=lambda row: row // store.BLOCK):
        own = list(block)
        for row, record in zip(own, samples.records(own), strict=True):
            if exchanges(record):
                yield row


def log_ratios(
    arguments: argparse.Namespace, model: vlm.VLM, samples: Samples, rows: Sequence[int]
) -> np.ndarray:
    """Run all passes over rows with images, ascending: float64 (n, 2), in nats."""
    weights = TokenWeights(arguments.token_weights, model.tokenizer, model.special)
    of_rows = partial(batches, model, samples, image_root=arguments.images)
    of_rows = partial(of_rows, max_pixels=arguments.max_pixels)
    place = {row: i for i, row in enumerate(rows)}
    values = np.zeros((len(rows), len(COLUMNS)))
    n_images = samples.frame(["n_images"])["n_images"].to_numpy()
    for batch in of_rows(rows, description="answers"):
        require_images(batch, n_images[batch.rows])
        losses = answer_losses(model.model, batch, weights)
        for row, given, without in zip(batch.rows.tolist(), *losses, strict=True):
            values[place[row], 0] = log_mean_ratio(without, given)
    asked = list(with_questions(samples, rows))
    questions: dict[int, np.ndarray] = {}
    for answered in (False, True):
        encode = partial(encode_guessing, model, answered=answered)
        label = "questions, given the answer" if answered else "questions"
        for batch in of_rows(asked, encode=encode, description=label):
            found = question_losses(model.model, batch, weights)
            for row, losses in zip(batch.rows.tolist(), found, strict=True):
                if answered:
                    values[place[row], 1] = log_mean_ratio(questions.pop(row), losses)
                else:
                    questions[row] = losses
    return values


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    samples = Samples(arguments.samples)
    rows = store.shard_rows(len(samples), arguments.shard)
    frame = samples.frame(["sample_id", "n_images"])
    left_out = read_left_out(arguments.left_out)
    model = loading.load_from_arguments(arguments)
    logger.info("rows %d:%d of %d", rows.start, rows.stop, len(samples))
    header = shard_header(
        *(arguments.run, rows, model, code_digest(imported_sources(__file__))),
        kind=KIND,
        columns=COLUMNS,
        token_weights=arguments.token_weights,
    )
    shape = (len(rows), len(COLUMNS))
    out = store.ShardWriter(arguments.instruction_gains, shape, np.float32, header)
    with log.timed("instruction gains"), out as writer:
        kept = np.array(rows_to_run(rows, left_out, [writer]), dtype=np.int64)
        pictured = frame["n_images"].to_numpy()[kept] > 0
        values, faults = np.zeros((len(kept), len(COLUMNS))), {}
        values[pictured] = log_ratios(arguments, model, samples, kept[pictured].tolist())
        names = frame["sample_id"].to_numpy(object)[kept].tolist()
        stored = to_stored(values, np.float32, KIND, names, faults)
        write_batch({KIND: writer}, kept - rows.start, {KIND: stored}, names, faults)
        settle(faults, arguments.on_refused)


if __name__ == "__main__":
    main()
