"""Files that a location of records in the config stands for. Standard library only.

A location is a file, a glob, or a folder: of Parquet files, or a dataset that the library
`datasets` saved to disk. Tables (``.parquet``, ``.arrow``) are known by their suffixes; anything
else that is not JSON is refused where it is read (`core.json_stream`).
"""

import glob
import json
import os
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from vlselect.core.errors import InputError, MissingFileError

SPLITS = ("validation", "test")  # the files of a task
TABLES = (".parquet", ".arrow")
JSON = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".json.zst", ".jsonl.zst")
LOOKED_AT = 100_000  # files of a folder, for advice
_PART = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)=(.*)", re.DOTALL)


def by_part(values: Iterable[str]) -> dict[str | None, str]:
    """Read ``name=value`` flags, one for each part of a mixture; a plain value has the key None.

    Raises
    ------
    ValueError
        If a name comes twice, or a plain value is not the only one.
    """
    found: dict[str | None, str] = {}
    for value in values:
        match = _PART.fullmatch(value)
        name, rest = (match[1], match[2]) if match else (None, value)
        if name in found:
            raise InputError(f"{value!r}: {name or 'a value without a name'} is given twice")
        found[name] = rest
    if None in found and len(found) > 1:
        raise InputError(f"{found[None]!r} names no part, where others do")
    return found


def is_glob(location: str | Path) -> bool:
    """Return whether a location is a pattern and no file of that name exists."""
    return glob.has_magic(str(location)) and not Path(location).exists()


def record_files(location: str | Path) -> list[str]:
    """List the files of a location, in the order in which their records count.

    A file that does not exist (yet) is listed. The files of a pattern or a folder come sorted by
    name, those of a saved dataset as the dataset lists them.

    Raises
    ------
    FileNotFoundError
        If a pattern or a folder has no file of records; names where there are some.
    ValueError
        If a saved dataset has several splits, or rows that were taken out without being rewritten;
        if tables and JSON are mixed, or a pattern means a folder.
    """
    path = Path(location)
    if is_glob(location):
        found = glob.glob(str(location), recursive=True)  # noqa: PTH207 (absolute ones too)
        files = sorted(found)
        folder = next((file for file in files if Path(file).is_dir()), None)
        if folder is not None:
            raise InputError(f"{location} means the folder {folder} too{_advice(Path(folder))}")
    elif (path / "dataset_dict.json").is_file():
        splits = _beside(path / "dataset_dict.json", "splits")
        if len(splits) != 1:
            raise InputError(
                f"{location} holds the splits {', '.join(splits)}: name the folder of one"
            )
        return record_files(path / splits[0])
    elif (path / "state.json").is_file():
        files = _saved_files(path)
    elif path.is_dir():
        files = sorted(map(str, path.glob("*.parquet")))
    else:
        return [str(location)]
    if not files:
        raise MissingFileError(f"{location}: no file of records there{_advice(path)}")
    if len({is_table(file) for file in files}) > 1:
        raise InputError(f"{location}: both tables and other files: {files[0]} … {files[-1]}")
    return files


def is_table(location: str | Path) -> bool:
    """Return whether a location holds tables, which may have images in them, and not JSON."""
    path = Path(location)
    return path.suffix in TABLES or path.is_dir()


def record_folder(location: str | Path) -> str | None:
    """Return the folder of a location's files, links followed; None if they lie in several."""
    folders = {os.path.realpath(Path(file).parent) for file in record_files(location)}
    return folders.pop() if len(folders) == 1 else None


def image_location(location: str | Path) -> str:
    """Return a table's name as the place of its images, where a folder would mean image files."""
    path = Path(location)
    return str(path / "*.parquet") if path.is_dir() and not is_saved_dataset(path) else str(path)


def is_saved_dataset(folder: str | Path) -> bool:
    """Return whether a folder was written by the save_to_disk of `datasets`."""
    return any((Path(folder) / name).is_file() for name in ("state.json", "dataset_dict.json"))


def _advice(folder: Path) -> str:
    """Return what to write for a folder whose records lie in JSON files or in folders below it."""
    for found in islice(folder.rglob("*"), LOOKED_AT):
        suffix = next((end for end in (*TABLES, *JSON, ".zip") if found.name.endswith(end)), None)
        if suffix == ".zip":
            return f"; unpack {found}"
        if suffix and found.is_file():
            pattern = folder / ("*/" * (len(found.relative_to(folder).parts) - 1) + "*" + suffix)
            what = f"JSON files are named by a pattern: {pattern}"
            return (
                f"; {what if suffix in JSON else f'there are tables in {found.parent}: {pattern}'}"
            )
    return ""


def _saved_files(folder: Path) -> list[str]:
    if _saved(folder / "state.json", "_indices_data_files", []):
        raise InputError(f"{folder}: a choice of rows; call flatten_indices() and save it again")
    return [str(folder / name) for name in _beside(folder / "state.json", "_data_files")]


def _beside(file: Path, key: str) -> list[str]:
    """Return the files or splits that a saved dataset lists; InputError if one lies elsewhere."""
    entries = _saved(file, key)
    names = [entry.get("filename") if isinstance(entry, dict) else entry for entry in entries]
    for name in names:
        if not isinstance(name, str) or "/" in name or name in ("", ".", ".."):
            raise InputError(f"{file} lists {name!r}, which is nothing in its folder")
    return names


def _saved(file: Path, key: str, default: list | None = None) -> list:
    """Return a list of a saved dataset's description; InputError if the file is not one."""
    try:
        found = json.loads(file.read_text(encoding="utf-8")).get(key)
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{file} is broken; copy it again, or save the dataset anew") from error
    found = default if found is None else found
    if not isinstance(found, list):
        raise InputError(f"{file} has no {key!r}: it was not written by save_to_disk")
    return found
