"""Write the provenance of a run: config, versions, models, commit, digests of every input."""

import argparse
import json
import logging
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from vlselect.core import log
from vlselect.core.digests import file_digest
from vlselect.core.errors import naming_file
from vlselect.core.sources import SCRIPTS
from vlselect.core.store import write_json

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="the whole config, as JSON")
    parser.add_argument("--pins", required=True, help="requirements file of the pinned versions")
    parser.add_argument("--inputs", nargs="+", required=True, help="files and folders to digest")
    what = "pool/summary.json: the digests of the records' files when they were read"
    parser.add_argument("--pool", type=Path, nargs="?", help=what)
    parser.add_argument("--out", required=True)
    return parser


def commit() -> str | None:
    """Return this program's git commit, marked if files differ from it; None outside a checkout."""
    command = ["git", "-C", str(SCRIPTS), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def versions(pins: Path) -> dict[str, dict[str, str | None]]:
    """Return the pinned version of every package, and the one installed here, if any."""
    found: dict[str, dict[str, str | None]] = {}
    for line in pins.read_text(encoding="utf-8").splitlines():
        name, separator, version = line.partition("==")
        if separator and not name.startswith("#"):
            try:
                installed = metadata.version(name)
            except metadata.PackageNotFoundError:
                installed = None
            found[name] = {"pinned": version.strip(), "installed": installed}
    return found


def digests(paths: Iterable[str], pool: Path | None) -> dict[str, str]:
    """Return the digest of each input; of those that the pool was made of, that of its summary."""
    read = {}
    if pool is not None:
        with naming_file(pool):
            summary = json.loads(pool.read_text(encoding="utf-8"))
            read = summary.get("files_sha256", {})  # which earlier versions did not write
    known = {Path(path): digest for path, digest in read.items()}
    return {path: known.get(Path(path)) or file_digest(Path(path)) for path in sorted(set(paths))}


def main(argv: list[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    config = json.loads(arguments.config)
    inputs = digests(arguments.inputs, arguments.pool)
    provenance = {
        "run": config["run"],
        "commit": commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions(Path(arguments.pins)),
        "models": {
            name: {"path": model["path"], "revision": model["revision"]}
            for name, model in config["models"].items()
        },
        "seeds": {name: entry["seeds"] for name, entry in config["experiments"].items()},
        "inputs_sha256": inputs,
        "config": config,
    }
    write_json(provenance, arguments.out)
    logger.info("digested %d inputs into %s", len(inputs), arguments.out)


if __name__ == "__main__":
    main()
