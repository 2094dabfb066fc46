"""The same records in every form, with images in every kind of location, to test the intake."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def write_json(records: Sequence[Mapping], path: Path) -> Path:
    """Write a JSON list."""
    path.write_text(json.dumps(records, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def write_lines(records: Sequence[Mapping], path: Path) -> Path:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def write_parquet(records: Sequence[Mapping], path: Path, rows: int = 7) -> Path:
    """Write a Parquet file with row groups of a few rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(_table(records), path, row_group_size=rows)
    return path


def write_saved(records: Sequence[Mapping], folder: Path, shards: int = 2, rows: int = 5) -> Path:
    """Write a folder as `datasets` 5.2 does: streams of batches, and a file with their order."""
    folder.mkdir(parents=True)
    table = _table(records)
    names = [f"data-{i:05d}-of-{shards:05d}.arrow" for i in range(shards)]
    size = -(-len(table) // shards)
    for i, name in enumerate(names):
        with pa.ipc.new_stream(folder / name, table.schema) as stream:
            stream.write_table(table.slice(i * size, size), max_chunksize=rows)
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def write_tar(files: Mapping[str, bytes], path: Path) -> Path:
    """Write a tar with these members."""
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def embed(records: Sequence[Mapping], root: Path) -> list[dict]:
    """Return the records with the bytes of their images beside the paths."""
    return [
        {
            **record,
            "images": [
                {"bytes": (root / name).read_bytes(), "path": name} for name in record["images"]
            ],
        }
        for record in records
    ]


def _table(records: Sequence[Mapping]) -> pa.Table:
    table = pa.Table.from_pylist(list(records))
    place = table.schema.get_field_index("images")
    embedded = any(isinstance(i, dict) for record in records for i in record["images"])
    kind = pa.list_(IMAGE if embedded else pa.string())
    return table.set_column(place, "images", table["images"].cast(kind))
