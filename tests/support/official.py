"""Real model outputs with their official scores, on machines that have them."""

import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

SCORERS = Path(__file__).resolve().parents[3] / "shared/data/scorers"

needs_scorers = pytest.mark.skipif(
    not SCORERS.is_dir(), reason=f"official scores are not here: no folder {SCORERS}"
)


def expected(name):
    """Return the official scores of one entry of expected.json."""
    return read_json("expected.json")[name]


def read_json(name):
    return json.loads((SCORERS / name).read_text(encoding="utf-8"))


def read_json_lines(name):
    return [json.loads(line) for line in (SCORERS / name).read_text(encoding="utf-8").splitlines()]


def read_sheet(name):
    """Return the rows of an .xlsx file's first sheet as dicts of texts; empty cells are ""."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(SCORERS / name) as archive:
        root = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    rows = []
    for row in root.iter(f"{space}row"):
        cells = {}
        for cell in row.iter(f"{space}c"):
            texts = [part.text or "" for tag in ("t", "v") for part in cell.iter(f"{space}{tag}")]
            cells[cell.get("r").rstrip("0123456789")] = "".join(texts)
        rows.append(cells)
    header = rows.pop(0)
    return [{header[column]: row.get(column, "") for column in header} for row in rows]
