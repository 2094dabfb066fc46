"""Answer every task's test set with lmms_eval and score the answers, in place of run_benchmarks.py.

lmms_eval runs in an environment of its own, offline, on task files written for it. Its answers are
scored with the tasks' own metrics; its exact match is in <out>/<task>.json too.
"""

import argparse
import json
import logging
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vlselect.benchmarks import lmms_tasks
from vlselect.benchmarks.lmms_documents import documents
from vlselect.benchmarks.predictions import Benchmark, read_examples, score_task
from vlselect.core import log
from vlselect.core.errors import InputError

logger = logging.getLogger(__name__)
SCRIPTS = Path(__file__).resolve().parent


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--task",
        nargs=6,
        action="append",
        required=True,
        metavar=("NAME", "METRIC", "OPTIONS", "TEST", "IMAGES", "TOKENS"),
        help="a task, its metric, the metric's options as JSON, test.parquet, image root and the "
        "most tokens in an answer",
    )
    parser.add_argument("--model", required=True, help="model directory, or hub id")
    parser.add_argument("--adapter", required=True, help="lmms_eval's name of the model class")
    parser.add_argument(
        "--arguments", type=json.loads, required=True, help="the adapter's arguments, as JSON"
    )
    parser.add_argument("--device", required=True, help="auto, cpu, cuda or cuda:<n>")
    parser.add_argument(
        "--python", required=True, help="interpreter of an environment with lmms_eval"
    )
    parser.add_argument("--threads", type=int, required=True, help="of the model")
    parser.add_argument("--max-pixels", type=int, required=True, help="largest image allowed")
    parser.add_argument("--out", type=Path, required=True, help="directory for the tasks' files")
    return parser


def ask(python: str, *lines: str) -> str:
    """Return what lines of Python print in lmms_eval's environment."""
    done = subprocess.run(
        [python, "-c", "; ".join(lines)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InputError(f"{python} has no working lmms_eval:\n{done.stderr[-2000:]}")
    return done.stdout.strip()


def run(command: list[str], cache: Path, threads: int) -> None:
    """Run lmms_eval offline, with its output in our log.

    Raises
    ------
    InputError
        If it fails, or logs a failure that it skipped.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(SCRIPTS),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(cache),
        "OMP_NUM_THREADS": str(threads),
    }
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    logger.info("lmms_eval printed:\n%s", done.stdout)
    if done.returncode:
        raise InputError(f"lmms_eval ended with {done.returncode}:\n{done.stdout[-3000:]}")
    lmms_tasks.check_output(done.stdout)


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    tasks = [(Benchmark.parse(*task[:4]), task[4], int(task[5])) for task in args.task]
    version = ask(
        args.python, "from importlib.metadata import version", "print(version('lmms_eval'))"
    )
    device = args.device
    if device == "auto":
        line = "print('cuda' if torch.cuda.is_available() else 'cpu')"
        device = ask(args.python, "import torch", line)
    arguments = {"pretrained": args.model, **args.arguments}
    arguments.setdefault("device_map", device)
    with tempfile.TemporaryDirectory(prefix="lmms_eval_") as temporary:
        folder = Path(temporary)
        for benchmark, images, max_new_tokens in tasks:
            written = list(documents(benchmark.test, images, args.max_pixels))
            n_text_only = sum(document["images"] == "[]" for document in written)
            lmms_tasks.check_adapter(args.adapter, benchmark.task, n_text_only)
            lmms_tasks.write_task(folder, benchmark.task, written, max_new_tokens)
        names = [benchmark.task for benchmark, *_ in tasks]
        command = lmms_tasks.command(args.python, folder, names, args.adapter, arguments, device)
        with log.timed(f"lmms_eval {version}, {args.adapter}: {len(tasks)} tasks"):
            run(command, folder / "cache", args.threads)
        for benchmark, _, max_new_tokens in tasks:
            examples = read_examples(benchmark.test)
            answers, exact, lengths = lmms_tasks.read_answers(folder, benchmark.task, len(examples))
            cut = lengths and sum(length >= max_new_tokens for length in lengths)
            backend = {"version": version, "adapter": args.adapter, "exact_match": exact}
            score_task(benchmark, examples, answers, args.out, cut=cut, lmms_eval=backend)


if __name__ == "__main__":
    main()
