"""Per-sample LoRA gradients: ours, a loop over single samples, vmap(grad), an ordinary step.

Every contender gets the same encoded samples. The ordinary step gives no per-sample gradients: it
is the floor. It and ours run on the pipeline's batches; ours once more with few tokens in a batch,
as `models.<name>.batch_tokens` sets it. The operations of matrix products (torch's own count) over
the time are compared with the rate of one large product.
"""

import math
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from clocks import in_turns, ratio, write_table
from references import (
    by_vmap,
    exact,
    loop,
    loop_on_responses,
    require_exact,
    training_step,
)
from torch.utils.flop_counter import FlopCounterMode

from models import Subject, options, subjects
from vlselect.gradients.per_sample import PerSampleGradients
from vlselect.models.batching import by_length
from vlselect.models.collation import Batch, Encoded

SIZES = {"tiny": 64, "larger": 48}  # at most a block: the pipeline's batches lie in one
STRIDE = {"tiny": 1, "larger": 4}  # every fourth batch of the larger model is run
BATCH_TOKENS = 1024  # for the contender with limited batches
WARM = {"tiny": False, "larger": True}  # a run of minutes needs no warm-up
CHECKED = 4  # samples, spread over all lengths


def ours(subject: Subject, batches: list[Batch]) -> torch.Tensor:
    """Compute whole gradients, for the check."""
    with PerSampleGradients(subject.vlm.model) as per_sample:
        return torch.cat([per_sample.gradients(batch) for batch in batches])


def stream(per_sample: PerSampleGradients, batches: list[Batch]) -> None:
    """Pass every sample's gradient of every matrix on and free it."""
    for matrix in per_sample.matrices:  # other contenders have set it
        matrix.layer.weight.requires_grad_(False)
    for batch in batches:
        per_sample.stream(batch, lambda offset, block: None)


def contenders(subject: Subject) -> tuple[list[Encoded], dict[str, Callable], dict[str, Callable]]:
    """Return the samples, the functions to time, and those that return gradients for the check."""
    vlm, stride = subject.vlm, STRIDE[subject.name]
    limits = (vlm.batch_size, BATCH_TOKENS)
    limited = f"ours, {BATCH_TOKENS:,} tokens a batch"
    chunks = list(by_length(subject.encode(), vlm.batch_size))[::stride]
    encoded = [sample for chunk in chunks for sample in chunk]
    batches = [vlm.collate(chunk) for chunk in chunks]
    small = [vlm.collate(chunk) for chunk in by_length(encoded, *limits)]
    pictured = [sample for sample in encoded if sample.image.any()]
    joint = [vlm.collate(chunk) for chunk in by_length(pictured, vlm.batch_size)]
    per_sample = PerSampleGradients(vlm.model).__enter__()  # once, as in a job
    timed = {
        "ordinary step": lambda: training_step(vlm, batches),
        "ours": lambda: stream(per_sample, batches),
        limited: lambda: stream(per_sample, small),
        "loop, batch size 1": lambda: loop(vlm, encoded),
        "loop, our loss": lambda: loop_on_responses(vlm, encoded),
        "vmap(grad), language model": lambda: [by_vmap(vlm, b, False) for b in batches],
        "vmap(grad), whole model": lambda: [by_vmap(vlm, b, True) for b in joint],
    }
    first = encoded[:: max(1, len(encoded) // CHECKED)]
    few = [vlm.collate(chunk) for chunk in by_length(first, vlm.batch_size)]
    few_limited = [vlm.collate(chunk) for chunk in by_length(first, *limits)]
    with_images = pictured[:2]
    expected = torch.stack([exact(vlm, sample) for sample in first])
    expected_images = torch.stack([exact(vlm, sample) for sample in with_images])
    checks = {
        "ours": lambda: (ours(subject, few), expected),
        limited: lambda: (ours(subject, few_limited), expected),
        "loop, batch size 1": lambda: (loop(vlm, first), expected),
        "loop, our loss": lambda: (loop_on_responses(vlm, first), expected),
        "vmap(grad), language model": lambda: (
            torch.cat([by_vmap(vlm, b, False) for b in few]),
            expected,
        ),
        "vmap(grad), whole model": lambda: (
            by_vmap(vlm, vlm.collate(with_images), True),
            expected_images,
        ),
    }
    return encoded, timed, checks


def product_rate(side: int = 2048, repeats: int = 3) -> float:
    """Measure operations a second of one thread's product of two large matrices; the best."""
    a, b = torch.rand(2, side, side)
    seconds = []
    for _ in range(repeats):
        begin = time.process_time()
        torch.mm(a, b)
        seconds.append(time.process_time() - begin)
    return 2 * side**3 / min(seconds)


def operations(run: Callable) -> int:
    """Count the floating-point operations of matrix products in one run."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def why_not(error: Exception) -> str:
    """Return with which error a contender failed, and where below its own code."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" in f.filename]
    models = [frame for frame in frames if "/torch/" not in frame.filename]
    last = (models or frames or traceback.extract_tb(error.__traceback__))[-1]
    text = " ".join(str(error).split())[:150]
    return f"{type(error).__name__} at {Path(last.filename).name}, {last.name}: {text}"


def measure(subject: Subject, rounds: int) -> list[dict]:
    """Check all contenders, time those that run, and return the table's rows."""
    encoded, timed, checks = contenders(subject)
    errors, reasons = {}, {}
    for name, check in checks.items():
        try:
            errors[name] = require_exact(name, *check())
        except (RuntimeError, NotImplementedError) as error:
            reasons[name] = why_not(error)
    running = {name: run for name, run in timed.items() if name not in reasons}
    rate, counted = product_rate(), {name: operations(run) for name, run in running.items()}
    seconds = in_turns(running, rounds, warm=WARM[subject.name])
    lengths = [len(sample) for sample in encoded]
    rows = []
    for name in timed:
        ran = name in seconds
        rows.append({
            "model": subject.name, "contender": name, "samples": len(lengths),
            "tokens": f"{min(lengths)}-{max(lengths)}",
            "ms_per_sample": 1e3 * sorted(seconds[name])[rounds // 2] / len(lengths)
            if ran else math.nan,
            "times_ordinary_step": ratio(seconds[name], seconds["ordinary step"])
            if ran else math.nan,
            "times_ours": ratio(seconds[name], seconds["ours"]) if ran else math.nan,
            "gflop_per_sample": counted[name] / 1e9 / len(lengths) if ran else math.nan,
            "share_of_product_rate": counted[name] / rate / sorted(seconds[name])[rounds // 2]
            if ran else math.nan,
            "worst_error": errors.get(name, math.nan), "rounds": rounds,
            "why_not": reasons.get(name, ""),
        })  # fmt: skip
    return rows


def main(argv: list[str] | None = None) -> None:
    arguments = options(__doc__, rounds=5).parse_args(argv)
    rows: list[dict] = []
    for subject in subjects(arguments, SIZES):
        rows += measure(subject, arguments.rounds)
        write_table(arguments.out / "per_sample_gradients.csv", rows)


if __name__ == "__main__":
    main()
