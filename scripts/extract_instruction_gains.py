"""Extract what images tell about answers, and answers about questions, for one pool shard.

Four forward passes for each sample with an image: its answers with the image and without, its
questions with the image, and with the image and the answers. Samples without an image have none:
both ratios are 1 by definition, and their logarithms, which are stored, 0.
"""

import argparse
import gc
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import numpy as np

from vlselect.core import log
from vlselect.core.half import to_stored
from vlselect.core.shard_files import BLOCK
from vlselect.features.instruction_gains import (
    COLUMNS,
    answer_losses,
    encode_guessing,
    exchanges,
    log_mean_ratio,
    question_losses,
)
from vlselect.features.shard_pass import Kind, ShardPass, add_pass_arguments
from vlselect.features.token_weights import TOKEN_WEIGHTS, TokenWeights
from vlselect.pool.samples import Samples

KIND = "instruction_gains"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_pass_arguments(parser, KIND)
    about = "whether function words and punctuation weigh a tenth"
    parser.add_argument("--token-weights", choices=TOKEN_WEIGHTS, required=True, help=about)
    return parser


def with_questions(samples: Samples, rows: Sequence[int]) -> Iterator[int]:
    """Yield those of ascending rows whose samples say anything beside showing an image."""
    for _, block in groupby(rows, key=lambda row: row // BLOCK):
        own = list(block)
        for row, record in zip(own, samples.records(own), strict=True):
            if exchanges(record):
                yield row


def log_ratios(run: ShardPass, weights: TokenWeights, rows: Sequence[int]) -> np.ndarray:
    """Run all passes over rows with images, ascending: float64 (n, 2), in nats."""
    model, place = run.model, {row: i for i, row in enumerate(rows)}
    values = np.zeros((len(rows), len(COLUMNS)))
    trial = run.trial(lambda batch: answer_losses(model.model, batch, weights), run.pictured)
    for batch in run.batches(rows, "answers", trial=trial):  # the questions' batches as these
        losses = answer_losses(model.model, batch, weights)
        for row, given, without in zip(batch.rows.tolist(), *losses, strict=True):
            values[place[row], 0] = log_mean_ratio(without, given)
    asked = list(with_questions(run.samples, rows))
    questions: dict[int, np.ndarray] = {}
    for answered in (False, True):
        encode = partial(encode_guessing, model, answered=answered)
        label = "questions, given the answer" if answered else "questions"
        for batch in run.batches(asked, label, encode=encode):
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
    run, token_weights = ShardPass(arguments, __file__), arguments.token_weights
    weights = TokenWeights(token_weights, run.model.tokenizer, run.model.special)
    sample_ids = run.samples.frame(["sample_id"])["sample_id"].to_numpy(object)
    about = {"columns": COLUMNS, "token_weights": token_weights}
    kinds = {KIND: Kind(len(COLUMNS), np.float32, about)}
    with run.writing("instruction gains", kinds) as (writers, rows):
        kept = np.array(rows, dtype=np.int64)
        pictured = run.n_images[kept] > 0
        values = np.zeros((len(kept), len(COLUMNS)))
        values[pictured] = log_ratios(run, weights, kept[pictured].tolist())
        names = sample_ids[kept].tolist()
        stored = to_stored(values, np.float32, KIND, names, run.faults)
        run.write(writers, kept, {KIND: stored}, names)


if __name__ == "__main__":
    main()
