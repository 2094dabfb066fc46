"""prepare_pool on small files: accepted + rejected = read, every reason, the same bytes."""

import hashlib
import json

import pandas as pd
import prepare_pool
import pytest
from PIL import Image
from usual_flags import usual

from vlselect.core.errors import InputError
from vlselect.core.json_stream import RecordsFileError
from vlselect.pool.samples import Samples, SamplesWriter

GOOD = {
    "id": "good-0",
    "task": "vqa",
    "image": "a/good.png",
    "conversations": [
        {"from": "human", "value": "<image>\nWhat?"},
        {"from": "gpt", "value": "A cat."},
    ],
}
QUESTION, ANSWER = GOOD["conversations"]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    (folder / "a").mkdir(parents=True)
    Image.effect_noise((32, 32), 90).save(folder / "a/good.png")
    Image.new("RGB", (100, 100)).save(folder / "large.png")
    content = (folder / "a/good.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    (folder / "text.png").write_text("hello")
    (tmp_path / "outside.png").write_bytes(content)
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    return folder


def broken_records() -> list[tuple[str, object]]:
    """Return one or more broken records for each reason that a JSON list can contain."""
    sides = [QUESTION, ANSWER]
    talk = {
        "empty_conversation": [],
        "one_sided_conversation": [QUESTION],
        "wrong_turn_order": sides[::-1],
        "empty_turn": [QUESTION, {"from": "gpt", "value": ""}],
        "unknown_role": [QUESTION, {"from": "robot", "value": "x"}],
        "bad_type": [QUESTION, {"from": "gpt", "value": 3}],
        "invalid_unicode": [QUESTION, {"from": "gpt", "value": "\ud800"}],
        "image_count_mismatch": [{"from": "human", "value": "What?"}, ANSWER],
    }
    cases = [(reason, GOOD | {"id": reason, "conversations": t}) for reason, t in talk.items()]
    pictures = {
        "missing_image": "a/none.png",
        "unreadable_image": "text.png",
        "truncated_image": "cut.png",
        "oversized_image": "large.png",
        "image_outside_root": "../outside.png",
    }
    cases += [(reason, GOOD | {"id": reason, "image": name}) for reason, name in pictures.items()]
    cases += [
        ("image_outside_root", GOOD | {"id": "by a link", "image": "link.png"}),
        ("not_an_object", ["id", "x"]),
        ("no_id", GOOD | {"id": ""}),
        ("image_url", GOOD | {"id": "url", "image": "https://example.org/1.png"}),
        ("duplicate_id", GOOD),
        ("bad_number", GOOD | {"id": "number", "score": float("nan")}),
        ("unsupported_media", GOOD | {"id": "film", "video": "x.mp4"}),
    ]
    return cases


def run(tmp_path, images, records, name="out", **flags):
    """Run the script; return (samples, rejected, summary)."""
    out = tmp_path / name
    outputs = (out / "samples.parquet", out / "rejected.csv", out / "summary.json")
    flags = {"max-pixels": 5000, "source-key": "task", "workers": 2} | flags
    prepare_pool.main(
        [
            *usual(prepare_pool),
            *("--records", str(records), "--images", str(images)),
            *("--samples", str(outputs[0]), "--rejected", str(outputs[1])),
            *("--summary", str(outputs[2])),
            *(text for key, value in flags.items() for text in (f"--{key}", str(value))),
        ]
    )
    rejected = pd.read_csv(outputs[1], keep_default_na=False)
    return Samples(outputs[0]), rejected, json.loads(outputs[2].read_text())


def test_every_bad_record_is_named_and_every_good_one_kept(tmp_path, images):
    broken = broken_records()
    good = [GOOD | {"id": f"good-{i}", "n": 1.50} for i in range(len(broken) + 1)]
    mixed = [good[0]]
    for (_, bad), record in zip(broken, good[1:], strict=True):
        mixed += [bad, record]
    (tmp_path / "mixture.json").write_text(json.dumps(mixed, indent=1))
    samples, rejected, summary = run(tmp_path, images, tmp_path / "mixture.json")
    assert [json.loads(raw) for raw in samples.raw(range(len(samples)))] == good
    assert rejected["position"].tolist() == list(range(1, 2 * len(broken), 2))
    assert rejected["reason"].tolist() == [reason for reason, _ in broken]
    assert rejected["detail"].str.len().min() > 5
    names = [bad.get("id", "") if isinstance(bad, dict) else "" for _, bad in broken]
    assert rejected["sample_id"].tolist() == names
    assert summary["read"] == len(mixed) == summary["accepted"] + summary["rejected"]
    assert summary["accepted"] == len(samples) and summary["rejected"] == len(rejected)
    assert summary["rejected_by_reason"] == rejected["reason"].value_counts().to_dict()
    assert summary["accepted_by_source"] == {"vqa": len(good)}


def test_broken_lines_are_rejected_where_they_stand(tmp_path, images):
    lines = [json.dumps(GOOD | {"id": i}).encode() for i in range(3)]
    lines[1:1] = [b'{"id": "x", ', b'{"id": "\xff"}', b"", b"7"]
    (tmp_path / "mixture.txt").write_bytes(b"\n".join(lines))
    samples, rejected, _ = run(tmp_path, images, tmp_path / "mixture.txt")
    assert rejected["reason"].tolist() == ["invalid_json", "invalid_unicode", "not_an_object"]
    assert rejected["position"].tolist() == [1, 2, 3]
    assert samples.frame(["sample_id"])["sample_id"].tolist() == ["0", "1", "2"]


def test_forms_and_runs_give_the_same(tmp_path, images):
    records = [GOOD | {"id": f"s{i}"} for i in range(5)]
    (tmp_path / "a").write_text(json.dumps(records))
    (tmp_path / "b").write_text("\n".join(map(json.dumps, records)))
    *_, first = run(tmp_path, images, tmp_path / "a", "a-out")
    *_, second = run(tmp_path, images, tmp_path / "b", "b-out", workers=1)
    for name, summary in (("a", first), ("b", second)):
        path = tmp_path / name
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert summary.pop("files_sha256") == {str(path): digest}
    assert first == second
    for name in ("samples.parquet", "rejected.csv"):
        assert (tmp_path / "a-out" / name).read_bytes() == (tmp_path / "b-out" / name).read_bytes()
    assert (tmp_path / "a-out/rejected.csv").read_text() == "position,sample_id,reason,detail\n"


def test_records_that_change_while_they_are_read_are_named(tmp_path, images, monkeypatch):
    path, write = tmp_path / "mixture.json", SamplesWriter.write

    def write_late(self, *sample):
        path.write_text(json.dumps([GOOD]))  # another program's, meanwhile
        write(self, *sample)

    path.write_text(json.dumps([GOOD, GOOD | {"id": "b"}]))
    monkeypatch.setattr(SamplesWriter, "write", write_late)
    with pytest.raises(InputError, match="mixture.json was changed while it was read: run again"):
        run(tmp_path, images, path)
    assert not list((tmp_path / "out").iterdir())


def test_sharegpt(tmp_path, images):
    turns = [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "Cat"}]
    records = [{"messages": turns, "images": ["a/good.png"]}] * 2
    (tmp_path / "chats.json").write_text(json.dumps(records))
    samples, rejected, _ = run(tmp_path, images, tmp_path / "chats.json", **{"source-key": ""})
    assert samples.frame()["source"].tolist() == ["a"]
    assert rejected["reason"].tolist() == ["duplicate_id"]
    assert rejected["sample_id"].tolist() == samples.frame()["sample_id"].tolist()


@pytest.mark.parametrize(
    ("content", "position"), [("not json", 0), ('{\n"data": []}', 1), ('[{"id": "é"}, oops]', 15)]
)
def test_what_is_no_list_of_records_fails_with_its_byte(tmp_path, images, content, position):
    (tmp_path / "mixture.json").write_text(content, encoding="utf-8")
    with pytest.raises(RecordsFileError, match=f"byte {position}:"):
        run(tmp_path, images, tmp_path / "mixture.json")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("records", [[], [GOOD | {"id": " "}, GOOD | {"image": "none.png"}]])
def test_a_pool_without_a_good_record_fails_and_says_why(tmp_path, images, records):
    (tmp_path / "mixture.json").write_text(json.dumps(records))
    with pytest.raises(ValueError, match="no record was accepted") as caught:
        run(tmp_path, images, tmp_path / "mixture.json")
    assert not records or "missing_image: 1, first record 1, id 'good-0'" in str(caught.value)
    assert not list((tmp_path / "out").iterdir())
