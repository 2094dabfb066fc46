"""Look at a user's records and write a first config for them.

Reads the beginning of the records with their images and counts all of them; writes a commented YAML
file, and says what it saw. Where records, images or the model are missing among the flags, it asks
for all that was not given.
"""

import argparse
import logging
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from vlselect.config.record_files import image_location, is_table, record_files
from vlselect.core import log
from vlselect.core.errors import InputError
from vlselect.core.store import write_text
from vlselect.plan import first_config
from vlselect.pool.image_roots import ImageRoots
from vlselect.pool.intake import examine, read_location
from vlselect.pool.records import parse_record

logger = logging.getLogger(__name__)

LOOK = 2000  # records
MAX_PIXELS = 50_000_000
ASKED = {
    "records": "Records (a JSON, JSONL or Parquet file, a glob or a folder)",
    "images": "Folder that their image paths begin in (empty: they are in the tables)",
    "model": "Folder of the model to finetune, or its id on the hub",
    "ratio": f"Share of the pool to choose (empty: {first_config.RATIO})",
    "methods": "Methods, with blanks between (empty: those that need no more than there is)",
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("records", "images", "model"):
        parser.add_argument(f"--{name}", help=ASKED[name])
    parser.add_argument("--ratio", help=ASKED["ratio"])
    parser.add_argument("--methods", nargs="*", help=ASKED["methods"])
    parser.add_argument("--revision", help="commit of a model on the hub")
    what = "<name>=<validation file>,<test file>,<metric> (one file is enough); may come again"
    parser.add_argument("--task", action="append", default=[], help=what)
    parser.add_argument("--run", help="name of the run, if not that of the file")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    return parser


def share(text: str) -> float:
    """Read a share of the pool: above 0, at most 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise InputError(f"{text!r} is no share of the pool: a number such as 0.2, at most 1")
    return value


def ask(arguments: argparse.Namespace) -> None:
    """Ask for what is missing, on a terminal; elsewhere it is an error.

    A budget and methods need not be given, nor a model for methods that run none.
    """
    runs_no_model = arguments.methods and set(arguments.methods) <= first_config.WITHOUT_MODEL
    needed = ["records", *([] if runs_no_model else ["model"])]
    missing = [name for name in needed if getattr(arguments, name) is None]
    if not missing:
        return
    if not sys.stdin.isatty():
        flags, words = ([form.format(name) for name in missing] for form in ("--{}", "{}=…"))
        with_make = ", ".join(words).upper()
        raise InputError(f"missing: {', '.join(flags)} (with make: {with_make})")
    for name in [name for name in ASKED if getattr(arguments, name) is None]:
        said = input(f"{ASKED[name]}: ").strip()
        if not said and name in needed:
            raise InputError(f"--{name} is needed")
        if said:
            setattr(arguments, name, names_in([said]) if name == "methods" else said)


def names_in(texts: Sequence[str]) -> list[str]:
    """Return names that stand with blanks or commas between them."""
    return " ".join(texts).replace(",", " ").split()


def look_at(records: str, images: str | None) -> first_config.Look:
    """Examine the first records of a location, and count all of them.

    InputError if there are none, or more are rejected than accepted.
    """
    if not any(Path(path).is_file() for path in record_files(records)):
        raise InputError(f"no such records: {records} (in {Path.cwd()})")
    if images is None and not is_table(records):
        raise InputError("records in JSON need --images: the folder that image paths begin in")
    location = images or image_location(records)
    roots = ImageRoots({None: location}, None)
    roots.require()
    parse = partial(parse_record, locate=roots.locator(None, records))
    texts = islice(read_location(records, images), LOOK)
    outcomes = examine(texts, parse, roots, max_pixels=MAX_PIXELS, repeated_ids="reject")
    total = sum(1 for _ in read_location(records, images))
    look = first_config.take(outcomes, total)
    if look.tally.accepted < look.tally.reasons.total():
        hint = elsewhere(Path(location), look.tally.examples.get("missing_image", ""))
        raise InputError(f"most records are not good:\n{look.tally.describe()}{hint}")
    return look


def elsewhere(images: Path, example: str) -> str:
    """Return a hint if the image that an example names is in the folder above, or in one below."""
    name = re.search(r": '([^']+)': ", example)
    if not name or not images.is_dir():
        return ""
    folders = [images.resolve().parent, *sorted(path for path in images.iterdir() if path.is_dir())]
    found = [folder for folder in folders if (folder / name[1]).is_file()]
    return f"\n  it is in {found[0]}: is that the folder of the images?" if found else ""


def require_sound(model: str) -> None:
    """Check that a folder has a model's files; that it is one at all is checked elsewhere."""
    from vlselect.models.failures import find_fault  # transformers, which takes seconds to import

    fault = find_fault(Path(model)) if Path(model, "config.json").is_file() else None
    if fault:
        raise InputError(f"model {model}: {fault}")


def require_new(path: Path) -> None:
    """Check that a file is not there yet."""
    if path.exists():
        raise InputError(f"{path} is there already: name another (--out; with make: OUT=…)")


def read_tasks(texts: Sequence[str], methods: Sequence[str]) -> list[first_config.Task]:
    """Read what `--task` says, and check that methods have the tasks that they need."""
    tasks = [first_config.Task.parse(text) for text in texts]
    first_config.require_tasks(tasks, methods)
    return tasks


def all_of(*steps: Callable[[], object]) -> list:
    """Return what each step returns, or raise one InputError of all that is wrong."""
    found, wrong = [], []
    for step in steps:
        try:
            found.append(step())
        except InputError as error:
            wrong.append(str(error))
    if wrong:
        raise InputError("\n".join(wrong))
    return found


def main(argv: list[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start(form=log.BY_HAND)
    if arguments.methods is not None:
        arguments.methods = names_in(arguments.methods)
    ask(arguments)
    methods, model = arguments.methods or [], arguments.model
    _, ratio, half, _, tasks, look = all_of(
        lambda: require_new(arguments.out),
        lambda: None if arguments.ratio is None else share(arguments.ratio),
        lambda: model is not None and first_config.half_precision(model, arguments.revision),
        lambda: model is not None and arguments.revision is None and require_sound(model),
        lambda: read_tasks(arguments.task, methods),
        lambda: look_at(arguments.records, arguments.images),
    )
    given = sys.argv[1:] if argv is None else argv
    text = first_config.write_config(
        *(look, tasks),
        run=arguments.run or first_config.run_name(arguments.out.stem),
        records=arguments.records,
        images=arguments.images,
        model=model,
        revision=arguments.revision,
        half=half,
        ratio=ratio,
        methods=methods,
        command=shlex.join(["start_config.py", *given]),
    )
    write_text(text, arguments.out)
    print("\n".join(look.lines()))
    out = shlex.quote(str(arguments.out))
    print(f"Wrote {out}.")


if __name__ == "__main__":
    main()
