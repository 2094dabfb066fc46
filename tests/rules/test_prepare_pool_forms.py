"""prepare_pool: the same records in every form, with images in every place, give the same pool."""

import json
from itertools import product

import numpy as np
import pandas as pd
import prepare_pool
import pytest
from PIL import Image
from record_forms import embed, write_json, write_lines, write_parquet, write_saved, write_tar
from usual_flags import usual

from vlselect.config.record_files import record_files
from vlselect.pool import images
from vlselect.pool.image_roots import ImageRoots
from vlselect.pool.samples import Samples

N = 23
FORMS = {"json": write_json, "lines": write_lines, "parquet": write_parquet, "saved": write_saved}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Folder of images: one is cut off and one is not an image at all."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(12):
        (folder / f"s{i % 3}").mkdir(exist_ok=True)
        pixels = rng.integers(0, 255, (9, 7, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"s{i % 3}/{i}.png")
    content = (folder / "s0/0.png").read_bytes()
    (folder / "s0/cut.png").write_bytes(content[:150])
    (folder / "s0/text.png").write_text("hello")
    return folder


def make_records(messages=True):
    """Return records with no, one or two images; four of them bad."""
    rng = np.random.default_rng(1)
    records = []
    for i in range(N):
        names = [f"s{k % 3}/{k}.png" for k in rng.integers(12, size=i % 3).tolist()]
        names = {5: ["s0/cut.png"] * 2, 7: ["s0/text.png"]}.get(i, names)
        said = [("user", "<image>" * len(names) + f"é{i}?"), ("assistant", f"“{i}”")]
        said = said[: 1 if i == 9 else 2]
        roles = ("role", "content") if messages else ("from", "value")
        turns = [dict(zip(roles, turn, strict=True)) for turn in said]
        key = "messages" if messages else "conversations"
        name = f"id-{i - (i == 11)}"
        records.append({"id": name, "kind": f"k{i % 4}", key: turns, "images": names})
    return records


def run(tmp_path, records, images=None, **flags):
    """Run the script; return samples, rejections, and the roots of the images."""
    out = {name: tmp_path / f"out.{name}" for name in ("samples", "rejected", "summary")}
    listed = {"records": records, "images": images, **flags}
    listed = {k: v if isinstance(v, list) else [v] for k, v in listed.items() if v is not None}
    argv = [text for key, values in listed.items() for text in (f"--{key}", *map(str, values))]
    argv += [text for key, path in out.items() for text in (f"--{key}", str(path))]
    prepare_pool.main([*usual(prepare_pool), *argv])
    rejected = pd.read_csv(out["rejected"], keep_default_na=False)
    summary = json.loads(out["summary"].read_text())
    return Samples(out["samples"]), rejected, summary


def describe(samples, roots):
    """Return what has to be the same: ids, sources, turns, and the pixels."""
    found = []
    for record in samples.records(range(len(samples))):
        pixels = [np.asarray(images.load(roots, name, 10**6)).tolist() for name in record.images]
        found.append((record.sample_id, record.source, record.turns, pixels))
    return found


@pytest.mark.parametrize("messages", [True, False])
def test_forms_and_places_agree(tmp_path, root, messages):
    records = make_records(messages)
    files = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.png")}
    places = {"folder": root, "tar": write_tar(files, tmp_path / "images.tar"), "bytes": None}
    found, digests = {}, {}
    for form, place in product(FORMS, places):
        if place == "bytes" and form in ("json", "lines"):
            continue
        folder = tmp_path / f"{form}-{place}"
        folder.mkdir()
        suffix = {"parquet": ".parquet", "saved": ""}.get(form, ".json")
        given = embed(records, root) if place == "bytes" else records
        location = FORMS[form](given, folder / f"records{suffix}")
        flags = {"source-key": "kind"}
        samples, rejected, summary = run(folder, location, places[place], **flags)
        assert list(summary.pop("files_sha256")) == record_files(location)
        roots = ImageRoots.parse(places[place] or location)
        reasons = rejected[["position", "sample_id", "reason"]].to_numpy().tolist()
        found[form, place] = (describe(samples, roots), reasons, summary)
        digests[form, place] = samples.frame()["digest"].tolist()
    expected = found["json", "folder"]
    assert [reason for *_, reason in expected[1]] == [
        "truncated_image",
        "unreadable_image",
        "one_sided_conversation",
        "duplicate_id",
    ]
    assert len(expected[0]) == N - 4 == expected[2]["accepted"]
    for case, value in found.items():
        assert value == expected, case
    for (form, place), values in digests.items():
        named = "bytes" if place == "bytes" else "folder"
        assert values == digests["parquet", named], (form, place)


def test_bytes_with_the_same_path_are_not_the_same_image(tmp_path, root):
    """Without an id, a record's content identifies it: paths in tables may repeat."""
    turns = [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "Yes."}]
    contents = [(root / f"s{i % 3}/{i}.png").read_bytes() for i in (0, 1, 0)]
    records = [
        {"messages": turns, "images": [{"bytes": content, "path": "image.png"}]}
        for content in contents
    ]
    samples, rejected, _ = run(tmp_path, write_parquet(records, tmp_path / "x.parquet"))
    assert len(samples) == 2 and samples.frame()["digest"].nunique() == 2
    assert rejected[["position", "reason"]].to_numpy().tolist() == [[2, "duplicate_id"]]


def test_paths_beside_bytes_count_where_images_are_given(tmp_path, root):
    records = embed(make_records(), root)
    path = write_parquet(records, tmp_path / "x.parquet")
    samples, _, _ = run(tmp_path, path, root)
    names = [list(record.images) for record in samples.records(range(3))]
    assert names == [record["images"] for record in make_records()[:3]]


def test_a_path_without_bytes_in_a_table(tmp_path, root):
    records = embed(make_records()[:3], root)
    inside = {"bytes": None, "path": str(root / "s0/0.png")}
    outside = [{"bytes": None, "path": path} for path in (str(tmp_path / "x.png"), "../x.png")]
    plain = {"bytes": None, "path": "s0/0.png"}
    for i, image in enumerate([*outside, inside, plain]):
        records.append({**records[1], "id": f"bad-{i}", "images": [image]})
    _, rejected, _ = run(tmp_path, write_parquet(records, tmp_path / "x.parquet"))
    assert rejected["reason"].tolist() == ["image_outside_root"] * 3 + ["missing_image"]
    assert rejected["detail"].str.contains("but a path; set `images` to its folder").all()
    _, rejected, _ = run(tmp_path, tmp_path / "x.parquet", root)
    assert rejected["reason"].tolist() == ["image_outside_root"] * 2


def test_a_mixture_is_its_parts_in_order(tmp_path, root):
    records = make_records()
    files = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.png")}
    locations = {
        "one": (write_json(records, tmp_path / "one.json"), root),
        "two": (write_parquet(embed(records, root), tmp_path / "two/x.parquet").parent, None),
        "three": (write_lines(records, tmp_path / "3.jsonl"), write_tar(files, tmp_path / "3.tar")),
    }
    given = [f"{name}={place[0]}" for name, place in locations.items()]
    pictures = [f"{name}={place[1]}" for name, place in locations.items() if place[1]]
    samples, rejected, summary = run(
        tmp_path, given, pictures, **{"source-key": ["one=kind"], "workers": "3"}
    )
    assert rejected.columns.tolist() == ["position", "sample_id", "reason", "detail", "part"]
    assert rejected["part"].tolist() == ["one"] * 4 + ["two"] * 4 + ["three"] * 4
    assert rejected["position"].tolist() == [5, 7, 9, 11] * 3
    assert summary["read"] == 3 * N == summary["accepted"] + summary["rejected"]
    counts = {"read": N, "accepted": N - 4, "rejected": 4}
    assert summary["parts"] == dict.fromkeys(locations, counts)
    assert set(samples.frame()["source"]) == {"k0", "k1", "k2", "k3", "two", "three"}
    roots = ImageRoots.parse([*pictures, f"two={tmp_path}/two/*.parquet"])
    found = [(name, *rest) for name, _, *rest in describe(samples, roots)]
    alone, _, _ = run(tmp_path, locations["one"][0], root)
    expected = [(name, *rest) for name, _, *rest in describe(alone, ImageRoots.parse(root))]
    assert found == [(f"{part}:{name}", *rest) for part in locations for name, *rest in expected]


def test_the_part_that_lacks_its_key_of_sources_is_named(tmp_path, root):
    given = [f"{part}={write_json(make_records(), tmp_path / f'{part}.json')}" for part in "ab"]
    flags = {"source-key": ["a=kind", "b=sort"]}
    with pytest.raises(ValueError, match=r"^\S+/b\.json: no record has 'sort', the key of sources"):
        run(tmp_path, given, [f"a={root}", f"b={root}"], **flags)


def test_a_path_that_looks_like_a_part(tmp_path, root, monkeypatch):
    write_parquet(embed(make_records(), root), tmp_path / "year=2024/x.parquet")
    monkeypatch.chdir(tmp_path)
    location = "./year=2024/x.parquet"
    samples, _, _ = run(tmp_path, location, location)
    found = describe(samples, ImageRoots.parse([location]))
    assert len(found) == N - 4 and any(pixels for *_, pixels in found)


def test_several_files_count_on(tmp_path, root):
    records = make_records()
    for i, start in enumerate(range(0, N, 10)):
        write_parquet(embed(records[start : start + 10], root), tmp_path / f"p/{i}.parquet")
        write_lines(records[start : start + 10], tmp_path / f"{i}.jsonl")
    a, rejected, _ = run(tmp_path, tmp_path / "p")
    assert rejected["position"].tolist() == [5, 7, 9, 11]
    expected = describe(a, ImageRoots.parse(f"{tmp_path}/p/*.parquet"))
    b, rejected, _ = run(tmp_path, f"{tmp_path}/*.jsonl", root)
    assert rejected["position"].tolist() == [5, 7, 9, 11]
    same = [(name, *rest) for name, _, *rest in expected]
    assert [(name, *rest) for name, _, *rest in describe(b, root)] == same


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"images": ["other=x"]}, "no records are given for 'other'"),
        ({"source-key": ["other=x"]}, "no records are given for 'other'"),
    ],
)
def test_parts_without_records_are_an_error(tmp_path, root, flags, message):
    records = write_json(make_records(), tmp_path / "x.json")
    flags = {"images": [f"one={root}"]} | flags
    with pytest.raises(ValueError, match=message):
        run(tmp_path, [f"one={records}"], **flags)
