"""Every export is a pool again: the same ids, sources, turns and images, wherever these are."""

import json
import os

import pytest
from export_pool import RECORDS, choose, draw, export, prepare
from record_forms import write_tar

from vlselect.pool.image_roots import ImageRoots
from vlselect.pool.samples import Samples

FILES = {
    "llava": "train.json",
    "ms_swift": "train.jsonl",
    "llama_factory": "train.jsonl",
    "trl": "train.parquet",
}
COLUMNS = ["sample_id", "source", "images", "digest"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("round") / "images"
    draw(folder)
    return folder


def again(form: str, samples: Samples, images: str, folder) -> Samples:
    """Export a pool to runs/o/, and read the export as a pool with its images in the same place."""
    rows = list(range(len(samples)))
    subset = choose(samples, rows, folder / "subset.parquet")
    out = export(form, samples, subset, [images], folder / "runs/o")
    (folder / "back").mkdir()
    return prepare(folder / "back", [images], out / FILES[form])


def described(samples: Samples) -> tuple:
    frame = samples.frame(COLUMNS)
    frame["images"] = frame["images"].map(list)
    turns = [record.turns for record in samples.records(range(len(samples)))]
    return frame.to_dict("list"), turns


@pytest.mark.parametrize("form", FILES)
def test_an_export_read_as_a_pool_is_the_pool(root, tmp_path, form):
    samples = prepare(tmp_path, [str(root)], RECORDS)
    assert described(again(form, samples, str(root), tmp_path)) == described(samples)
    assert len(samples) == len(RECORDS)


@pytest.mark.parametrize("form", FILES)
def test_images_that_links_lead_to_keep_their_names(root, tmp_path, form, monkeypatch):
    """As in a snapshot of a hub's cache, whose files are links to others without suffixes."""
    linked = tmp_path / "linked"
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        (tmp_path / "blobs").mkdir(exist_ok=True)
        (tmp_path / f"blobs/{number}").write_bytes(path.read_bytes())
        name = linked / path.relative_to(root)
        name.parent.mkdir(parents=True, exist_ok=True)
        name.symlink_to(os.path.relpath(tmp_path / f"blobs/{number}", name.parent))
    monkeypatch.setattr("export_pool.LINKS", ["--follow-links", "root"])
    samples = prepare(tmp_path, [str(linked)], RECORDS)
    found = described(again(form, samples, str(linked), tmp_path))
    assert found == described(samples) and len(samples) == len(RECORDS)
    monkeypatch.undo()
    (tmp_path / "strict").mkdir()
    text_only = prepare(tmp_path / "strict", [str(linked)], RECORDS)
    assert not any(map(len, text_only.frame(["images"])["images"]))


@pytest.mark.parametrize("form", FILES)
def test_an_export_that_holds_its_images_is_a_pool_of_its_own(root, tmp_path, form):
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.png")}
    tar = str(write_tar(files, tmp_path / "images.tar"))
    samples = prepare(tmp_path, [tar], RECORDS)
    subset = choose(samples, list(range(len(samples))), tmp_path / "subset.parquet")
    out = export(form, samples, subset, [tar], tmp_path / "o")
    (tmp_path / "back").mkdir()
    back = prepare(tmp_path / "back", [str(out)], out / FILES[form])
    old, new = (described(pool) for pool in (samples, back))
    assert new[0]["sample_id"] == old[0]["sample_id"] and new[1] == old[1]
    assert new[0]["images"] == [[f"images/{n}" for n in names] for names in old[0]["images"]]
    roots = ImageRoots.parse(out)
    for names in old[0]["images"]:
        for name in names:
            assert roots.read(f"images/{name}") == files[name]


@pytest.mark.parametrize("form", FILES)
def test_an_export_of_a_mixture_is_a_pool_of_one_root(tmp_path, form):
    for part in ("one", "two"):
        draw(tmp_path / "data" / part)
    places = [f"{part}={tmp_path}/data/{part}" for part in ("one", "two")]
    samples = prepare(tmp_path, places, {"one": RECORDS[:8], "two": RECORDS[1:]})
    subset = choose(samples, list(range(len(samples))), tmp_path / "subset.parquet")
    out = export(form, samples, subset, places, tmp_path / "runs/o")
    (tmp_path / "back").mkdir()
    back = prepare(tmp_path / "back", [f"{tmp_path}/data"], out / FILES[form])
    old, new = (described(pool) for pool in (samples, back))
    assert new[0]["sample_id"] == old[0]["sample_id"] and new[1] == old[1]
    as_paths = [[name.replace(":", "/", 1) for name in names] for names in old[0]["images"]]
    assert new[0]["images"] == as_paths


def test_a_system_prompt_comes_back_from_llava(root, tmp_path):
    samples = prepare(tmp_path, [str(root)], RECORDS)
    again("llava", samples, str(root), tmp_path)
    entries = {e["id"]: e for e in json.loads((tmp_path / "runs/o/train.json").read_text())}
    assert entries["text system"]["conversations"][0]["value"] == "Be brief.\n\nWhy?"
    back = Samples(tmp_path / "back/samples.parquet")
    record = {r.sample_id: r for r in back.records(range(len(back)))}["text system"]
    assert [turn.role for turn in record.turns][:2] == ["system", "user"]
