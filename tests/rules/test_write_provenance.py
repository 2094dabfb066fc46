"""Provenance names the files that the run was made of, though they may be others by now."""

import hashlib
import json

import pytest
import write_provenance

from vlselect.core.errors import InputError


def run(tmp_path, inputs, *flags):
    """Write the provenance of a run of these inputs; return their digests."""
    config = {"run": "x", "models": {}, "experiments": {}}
    (tmp_path / "pins.txt").write_text("numpy==2.0\n")
    write_provenance.main(
        [
            *("--config", json.dumps(config), "--pins", str(tmp_path / "pins.txt")),
            *("--inputs", *map(str, inputs), "--pool", *map(str, flags)),
            *("--out", str(tmp_path / "provenance.json")),
        ]
    )
    return json.loads((tmp_path / "provenance.json").read_text())["inputs_sha256"]


def test_records_have_the_digest_of_when_the_pool_was_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("year=1.json", "task.json"):
        (tmp_path / name).write_text("new")
    summary = {"files_sha256": {"./year=1.json": "of the old", "gone.json": "not an input"}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    new = hashlib.sha256(b"new").hexdigest()
    inputs = ("year=1.json", "task.json")
    assert run(tmp_path, inputs, "summary.json") == {"task.json": new, "year=1.json": "of the old"}
    assert run(tmp_path, inputs) == {"task.json": new, "year=1.json": new}  # of a given pool


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_broken_summary_is_named(tmp_path, content):
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(InputError, match="summary.json"):
        run(tmp_path, [tmp_path / "pins.txt"], tmp_path / "summary.json")
