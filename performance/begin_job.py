"""Time what a job does before its work: importing its script, loading its model.

Prints a JSON object: seconds of `imports` and of `load`. Run with the scripts on PYTHONPATH.
"""

import argparse
import importlib
import json
import time

from vlselect.core import log


def load(loader: str, path: str) -> None:
    """Load a model as the job did; the job's log names the loader."""
    from vlselect.models import loading

    parser = argparse.ArgumentParser()
    loading.add_model_arguments(parser)
    arguments = parser.parse_args(
        [
            *("--model", path, "--device", "auto", "--dtype", "float32"),
            *("--batch-size", "64", "--threads", "1", "--template-date", "2025-01-01"),
        ]
    )
    if loader == "clip":
        from vlselect.features.clip import CLIP

        CLIP.load(arguments)
    else:
        loading.load_from_arguments(arguments)


def main(argv: list[str] | None = None) -> None:
    """Import, load, and print the time of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "modules", nargs="+", help="the script and the modules that its config names"
    )
    parser.add_argument("--load", nargs=2, metavar=("LOADER", "PATH"))
    arguments = parser.parse_args(argv)
    begin = time.perf_counter()
    for module in arguments.modules:
        importlib.import_module(module)
    log.start()  # as each script does next
    imported = time.perf_counter()
    if arguments.load:
        load(*arguments.load)
    end = time.perf_counter()
    print(json.dumps({"imports": imported - begin, "load": end - imported}))


if __name__ == "__main__":
    main()
