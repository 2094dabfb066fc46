"""A conda channel in a folder, built from the packages of the Python that runs the tests.

Its packages are small: each links to the folders of one installed distribution. An environment
made from them sees only these distributions, so it reveals what an environment file forgets.
"""

import asyncio
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from rattler.index import index_fs

SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
CONDA_NAMES = {"torch": "pytorch"}  # where conda's name differs


def make_channel(folder: Path, names: Iterable[str], python: str) -> None:
    """Write packages of the named distributions, of all their requirements, and of Python.

    Parameters
    ----------
    folder : Path
        The channel's folder, which is created.
    names : iterable of str
        Distributions, by pip's names.
    python : str
        Version to declare for this Python, whichever it is.
    """
    for subdir in ("noarch", "linux-64"):
        (folder / subdir).mkdir(parents=True)
    home = Path(sys.base_prefix).resolve() / "bin"
    settings = f"home = {home}\ninclude-system-site-packages = false\n"
    interpreter = home / f"python{sys.version_info.major}.{sys.version_info.minor}"
    links = {"bin/python": interpreter}
    write_package(folder, "python", python, [], links, {"pyvenv.cfg": settings})
    for distribution in closure(names).values():
        links = {f"{SITE}/{part}": path for part, path in parts(distribution).items()}
        depends = ["python", *map(conda_name, required(distribution))]
        name = conda_name(distribution.name)
        write_package(folder, name, version(distribution), depends, links, {})
    asyncio.run(index_fs(folder))


def make_wheel(folder: Path, name: str) -> None:
    """Pack an installed pure-Python distribution as the wheel that it came from."""
    distribution = metadata.distribution(name)
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{distribution.version}-py3-none-any.whl", "w") as wheel:
        for file in distribution.files:
            if ".." not in file.parts and file.suffix != ".pyc":
                wheel.write(distribution.locate_file(file), str(file))


def normal(name: str) -> str:
    return name.lower().replace("_", "-")


def conda_name(name: str) -> str:
    return CONDA_NAMES.get(normal(name), normal(name))


def version(distribution: metadata.Distribution) -> str:
    """Return a distribution's version without its build label (2.13.0 of 2.13.0+cpu)."""
    return distribution.version.partition("+")[0]


def required(distribution: metadata.Distribution) -> list[str]:
    """Return the names of a distribution's requirements on this machine."""
    found = map(Requirement, distribution.requires or [])
    return [r.name for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]


def closure(names: Iterable[str]) -> dict[str, metadata.Distribution]:
    """Return distributions of these names and all their requirements."""
    found, queue = {}, list(names)
    while queue:
        name = normal(queue.pop())
        if name not in found:
            found[name] = metadata.distribution(name)
            queue += required(found[name])
    return found


def parts(distribution: metadata.Distribution) -> dict[str, Path]:
    """Return the files and folders that a distribution installed into site-packages."""
    names = {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}
    return {name: Path(distribution.locate_file(name)).resolve() for name in names}


def write_package(
    channel: Path,
    name: str,
    version: str,
    depends: list[str],
    links: Mapping[str, Path],
    files: Mapping[str, str],
) -> None:
    """Write a package of links and texts for every platform."""
    index = {"name": name, "version": version, "build": "0", "build_number": 0}
    index |= {"depends": depends, "subdir": "noarch", "noarch": "generic"}
    kinds = [(path, "softlink") for path in links] + [(path, "hardlink") for path in files]
    entries = [{"_path": path, "path_type": kind} for path, kind in kinds]
    texts = {
        "info/index.json": json.dumps(index),
        "info/paths.json": json.dumps({"paths": entries, "paths_version": 1}),
        **files,
    }
    with tarfile.open(channel / f"noarch/{name}-{version}-0.tar.bz2", "w:bz2") as package:
        for path, text in texts.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text.encode())
            package.addfile(entry, io.BytesIO(text.encode()))
        for path, target in links.items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, str(target)
            package.addfile(entry)
