"""Export a pool with every kind of record, and read each format back."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import export_subset
import numpy as np
import prepare_pool
import pyarrow.parquet as pq
from PIL import Image
from usual_flags import usual

from vlselect.pool.conversations import SYSTEM_BREAK, SYSTEM_KEY
from vlselect.pool.samples import Samples


def llava(name, *texts, system=None, **keys):
    turns = [{"from": "system", "value": system}] if system else []
    turns += [{"from": ("human", "gpt")[i % 2], "value": text} for i, text in enumerate(texts)]
    return {"id": name, "conversations": turns, **keys}


def sharegpt(*texts, system=None, **keys):
    turns = [{"role": "system", "content": system}] if system else []
    turns += [
        {"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)
    ]
    return {"messages": turns, **keys}


ODD = 'äß 汉字 🐈‍⬛ עברית \u2028 \u0085 "quoted" \\n \\ \t {{x}} {% y %} </s> line\r\nbreak  '
MANY = [f"c/{i}.png" for i in range(7)]
RECORDS = [
    llava("text", "Why?", "Because."),
    llava("one", "<image>\nWhat is it?", "A cat.", image="a/1.png"),
    llava("turns", "<image>\nWhat?", "A.", "And?", "B.", " So? ", "C.\n", image="a/2.png"),
    llava("two", "<image>\n<image>\nWhich?", "The first.", image=["a/1.png", "b/3.png"]),
    llava("over turns", "<image> one", "1", "two <image>", "2", image=["a/1.png", "a/2.png"]),
    llava("middle", "Is <image> like<image>, say?", "Yes.", image=["b/3.png", "b/3.png"]),
    llava("system", "<image>\nWhat?", "A.", system="Be brief.\n\n", image="a/1.png"),
    llava("text system", "Why?", "So.", "Why?", "So.", system="Be brief."),
    llava("odd é\u2028", ODD + "<image>" + ODD, ODD, image="d ä/é 4.png"),
    llava(12, "<image>", "A.", image="a/1.png"),
    llava("many", "<image>" * 4 + "and" + "<image>" * 3, "Seven.", image=MANY),
    sharegpt("<image>What?", "A.", "Why?", "B.", images=["a/2.png"], id="sharegpt"),
    sharegpt("What?", "A.", system="Be kind."),
    sharegpt(ODD, ODD, images=[], id="no images"),
]
LINKS: list[str] = []  # flags of prepare_pool, for tests about links
PATHS = ("a/1.png", "a/2.png", "b/3.png", "d ä/é 4.png", *MANY)


@dataclass(frozen=True)
class Sample:
    """What an export has to keep: id, (role, text) of each turn, bytes of each image."""

    name: str
    turns: tuple[tuple[str, str], ...]
    images: tuple[bytes, ...]


def draw(folder: Path) -> None:
    """Draw the pictures of RECORDS, each different."""
    for i, name in enumerate(PATHS):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 255, (24 + i, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


def prepare(folder: Path, images: list[str], records) -> Samples:
    """Make samples.parquet from a list of records, lists by part, or the path of a table."""
    if isinstance(records, Path):
        given = [str(records)]
    elif isinstance(records, dict):
        given = [f"{part}={_write(folder / f'{part}.jsonl', records[part])}" for part in records]
    else:
        given = [str(_write(folder / "records.jsonl", records))]
    prepare_pool.main(
        [
            *usual(prepare_pool),
            *("--records", *given, "--images", *images, *LINKS),
            *("--samples", str(folder / "samples.parquet")),
            *("--rejected", str(folder / "rejected.csv")),
            *("--summary", str(folder / "summary.json")),
        ]
    )
    return Samples(folder / "samples.parquet")


def _write(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def choose(samples: Samples, rows: list[int], path: Path) -> Path:
    """Write a subset as select_subset does."""
    frame = samples.frame(["row", "sample_id"]).iloc[rows]
    frame.assign(rank=range(1, len(rows) + 1), score=0.5).to_parquet(path, index=False)
    return path


def export(form: str, samples: Samples, subset: Path, images: list[str], out: Path) -> Path:
    """Run the entry script."""
    export_subset.main(
        [
            *("--format", form, "--samples", str(samples.path), "--subset", str(subset)),
            *("--images", *images, "--out", str(out)),
        ]
    )
    return out


def expected(samples: Samples, rows: list[int], read) -> list[Sample]:
    """Return what RECORDS say, read directly from the pool."""
    return [
        Sample(
            record.sample_id,
            tuple((turn.role, turn.text) for turn in record.turns),
            tuple(read(reference) for reference in record.images),
        )
        for record in samples.records(rows)
    ]


def read_back(form: str, folder: Path, image_folder: Path | None = None) -> list[Sample]:
    """Read an export from its files alone; LLaVA's with its image folder."""
    return list(READERS[form](folder, image_folder or folder))


def _read_llava(folder: Path, image_folder: Path):
    for entry in json.loads((folder / "train.json").read_text(encoding="ascii")):
        assert set(entry) <= {"id", "image", "conversations", SYSTEM_KEY}
        paths = entry.get("image", [])
        assert paths or "image" not in entry
        texts = [turn["value"] for turn in entry["conversations"]]
        assert [t["from"] for t in entry["conversations"]] == ["human", "gpt"] * (len(texts) // 2)
        turns = []
        if system := entry.get(SYSTEM_KEY):
            turns, texts[0] = [("system", system)], texts[0].removeprefix(system + SYSTEM_BREAK)
        turns += [(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]
        paths = [paths] if isinstance(paths, str) else paths
        images = [Path(os.path.join(image_folder, p)).read_bytes() for p in paths]  # noqa: PTH118
        yield Sample(entry["id"], tuple(turns), tuple(images))


def _read_lines(folder: Path, image_folder: Path):
    for line in (folder / "train.jsonl").read_bytes().splitlines():
        entry = json.loads(line)
        assert list(entry) == ["id", "messages", "images"]
        turns = tuple((m["role"], m["content"]) for m in entry["messages"])
        images = tuple(Path(image_folder, path).read_bytes() for path in entry["images"])
        yield Sample(entry["id"], turns, images)


def _read_trl(folder: Path, _: Path):
    for row in pq.read_table(folder / "train.parquet").to_pylist():
        turns = tuple((m["role"], _joined(m["content"])) for m in row["messages"])
        images = tuple(Path(image["path"]).read_bytes() for image in row["images"])
        assert all(image["bytes"] is None for image in row["images"])
        yield Sample(row["id"], turns, images)


def _joined(parts: list[dict]) -> str:
    assert all((part["text"] is None) == (part["type"] == "image") for part in parts)
    return "".join("<image>" if part["text"] is None else part["text"] for part in parts)


READERS = {
    "llava": _read_llava,
    "llama_factory": _read_lines,
    "ms_swift": _read_lines,
    "trl": _read_trl,
}
