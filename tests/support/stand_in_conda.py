"""The conda commands that Snakemake uses, by py-rattler: info, config, env create, clean, activate.

Run as a program, it is `conda`. Of conda's settings it knows only CONDA_CHANNEL_ALIAS, the base
address of channels.
"""

import argparse
import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rattler import Channel, Gateway, install, solve
from yaml import safe_load

VERSION = "24.7.1"  # the oldest that Snakemake accepts
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


def install_program(prefix: Path) -> Path:
    """Write `conda` and `activate` and return their folder."""
    folder = prefix / "bin"
    folder.mkdir(parents=True)
    command = shlex.join([sys.executable, str(Path(__file__).resolve())])
    (folder / "conda").write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    (folder / "conda").chmod(0o755)
    (folder / "activate").write_text(ACTIVATE)
    return folder


async def create(specification: dict, prefix: Path, cache: Path) -> None:
    """Solve the conda part of an environment file and install it."""
    alias = os.environ["CONDA_CHANNEL_ALIAS"]
    names = [name for name in specification["channels"] if name != "nodefaults"]
    specs = [entry for entry in specification["dependencies"] if isinstance(entry, str)]
    records = await solve(
        [Channel(f"{alias}/{name}") for name in names],
        specs,
        gateway=Gateway(cache_dir=cache),
        platforms=["linux-64", "noarch"],
    )
    await install(records, prefix, cache_dir=cache, show_progress=False)


def install_by_pip(specification: dict, prefix: Path) -> None:
    """Install the `pip:` part with the environment's own pip."""
    for entry in specification["dependencies"]:
        if isinstance(entry, dict):
            command = [prefix / "bin/python", "-m", "pip", "install", *entry["pip"]]
            subprocess.run(command, check=True)


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="conda", description=__doc__)
    parser.add_argument("--version", action="version", version=f"conda {VERSION}")
    parser.add_argument("words", nargs="+")
    parser.add_argument("--get")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--prefix", type=Path)
    for flag in ("--json", "--quiet", "--no-default-packages", "--tarballs", "-y"):
        parser.add_argument(flag, action="store_true")
    arguments = parser.parse_args()
    if arguments.words == ["info"]:
        root = os.environ["CONDA_STAND_IN"]
        print(json.dumps({"conda_prefix": root, "platform": "linux-64"}))
    elif arguments.words == ["config"]:
        print(json.dumps({"get": {arguments.get: "strict"}}))
    elif arguments.words == ["env", "create"]:
        specification = safe_load(arguments.file.read_text())
        with tempfile.TemporaryDirectory() as cache:
            asyncio.run(create(specification, arguments.prefix, Path(cache)))
        install_by_pip(specification, arguments.prefix)
    elif arguments.words != ["clean"]:  # its cache is already gone
        parser.error(f"the stand-in does not know {arguments.words}")


if __name__ == "__main__":
    main()
