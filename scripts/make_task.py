"""Build a task's validation and test records from a benchmark's own files.

Writes records for prepare_task.py (an empty list for a split that is not needed), the images of
benchmarks that embed them, the questions that could not be built, with reasons, and counts. Image
files are checked by prepare_task.py.
"""

import argparse
import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from vlselect.config.record_files import SPLITS
from vlselect.config.task_builds import ALL, sets
from vlselect.core import log, registry, store
from vlselect.pool.samples import REJECTED, RejectionWriter
from vlselect.tasks import held_out
from vlselect.tasks.layouts.building import group, read_questions, record
from vlselect.tasks.layouts.question import Question

logger = logging.getLogger(__name__)


def size(text: str) -> float | str:
    """Parse the size of a split: "all", a share below 1 or a number."""
    return text if text == ALL else float(text)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layout", required=True, help="module of vlselect/tasks/layouts/")
    parser.add_argument(
        "--parameters", type=json.loads, required=True, help="the layout's parameters, as JSON"
    )
    parser.add_argument(
        "--prompt", nargs="?", help="text with {question}; by default the layout's own"
    )
    parser.add_argument("--language", required=True, help="language of the layout's own prompt")
    for split in SPLITS:
        parser.add_argument(
            f"--{split}", type=size, required=True, help='"all", a share or a number'
        )
        parser.add_argument(f"--out-{split}", type=Path, required=True, help="records to write")
    parser.add_argument("--seed", type=int, required=True, help="seed of the draw")
    parser.add_argument(
        "--limit", type=int, nargs="?", help="most questions to draw from; by default all"
    )
    parser.add_argument("--images", type=Path, required=True, help="folder for embedded images")
    parser.add_argument("--rejected", type=Path, required=True, help="CSV to write")
    parser.add_argument("--summary", type=Path, required=True, help="JSON with counts to write")
    return parser


def within(questions: list[Question], limit: int | None, seed: int, whole: bool) -> list[Question]:
    """Draw as many questions as the limit allows, image by image."""
    if limit is None or limit >= len(questions):
        return questions
    rows, _ = held_out.take(held_out.grouped(*keys(questions), seed), limit, whole, "limit")
    return [questions[row] for row in rows]


def keys(questions: list[Question]) -> tuple[list[str], list[str]]:
    """Return the ids of questions, and the groups that must not be split."""
    return [question.name for question in questions], [group(question) for question in questions]


def draw(given: dict[str, list[Question]], args: argparse.Namespace, whole: bool, reject) -> tuple:
    """Return the questions of both splits; `reject` gets those of validation on a test image."""
    amounts = (args.validation, args.test, args.seed)
    if ALL in given:
        pool = test = given[ALL]
        barred = []
        only_test = [question.only_test for question in pool]
        rows = held_out.divide(*keys(pool), *amounts, whole=whole, only_test=only_test)
    else:
        pool = [question for question in given.get("validation", []) if not question.only_test]
        test = given.get("test", [])
        *rows, barred = held_out.divide_apart(keys(pool), keys(test), *amounts, whole=whole)
    for row in barred:
        detail = f"the test set has questions about {group(pool[row])}"
        reject("validation", "", pool[row].name, "image_in_test", detail)
    return [pool[row] for row in rows[0]], [test[row] for row in rows[1]]


def write_records(records: Iterable[dict], path: Path) -> None:
    """Write a JSON list with one record on each line."""
    lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    store.write_text(f"[\n{lines}\n]\n", path)


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    layout, reasons, given = registry.load("layout", args.layout), Counter(), {}
    prompt = args.prompt if args.prompt is not None else layout.PROMPTS[args.language]
    with (
        RejectionWriter(args.rejected, ("split", *REJECTED)) as rejected,
        store.replacing_directory(args.images) as images,
    ):

        def reject(split: str, position: int, name: str, reason: str, detail: str) -> None:
            reasons[reason] += 1
            rejected.write(split, position, name, reason, detail)

        for split, values in sets(args.parameters).items():
            found = read_questions(layout, values, images, partial(reject, split))
            given[split] = within(found, args.limit, args.seed, layout.WHOLE)
            logger.info("%s: %d questions, %d rejected", split, len(found), reasons.total())
        drawn = draw(given, args, layout.WHOLE, reject)
    summary: dict = {"built": sum(map(len, given.values()))}
    for split, questions in zip(SPLITS, drawn, strict=True):
        records = (record(q, prompt, with_response=split == "validation") for q in questions)
        write_records(records, getattr(args, f"out_{split}"))
        summary[split] = len(questions)
    store.write_json({**summary, "rejected": dict(sorted(reasons.items()))}, args.summary)
    logger.info("%(built)d built: %(validation)d for validation, %(test)d for the test", summary)


if __name__ == "__main__":
    main()
