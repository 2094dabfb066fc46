"""Trials of mutated record files: prepare_pool and prepare_task read or reject each record.

Each trial changes one record of a good file, or the bytes of the file. What is not changed has to
be accepted; what is, accepted, rejected, or refused with the file by an InputError that names it.
"""

import csv
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from random import Random

import byte_mutations
import json_mutations
import prepare_pool
import prepare_task
import table_mutations
from fault_trials import READ, REFUSED, Trials
from PIL import Image
from usual_flags import usual

from vlselect.core.errors import InputError
from vlselect.pool.samples import Samples

FORMS = ("llava", "sharegpt", "parts", "cauldron")
N_RECORDS = 6
KINDS = [f"{form}, {what}" for form in FORMS for what in ("record", "list", "lines", "task")]
KINDS += [f"{form}, {what}" for form in FORMS for what in ("table", "table's bytes")]


def kind_of(number: int) -> str:
    """Return the form and what is changed in it."""
    return KINDS[number % len(KINDS)]


def make_images(folder: Path) -> Path:
    """Write images, and what is none, into a folder; return it."""
    (folder / "sub").mkdir(parents=True)
    for i in range(N_RECORDS):
        Image.new("RGB", (8 + i, 8), (40 * i, 0, 0)).save(folder / f"p{i}.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "link.png").symlink_to("/etc/passwd")
    (folder / "loop.png").symlink_to("loop.png")
    return folder


def records(form: str, images: Path | None = None) -> list[dict]:
    """Return good records in a form; with `images`, they hold the bytes of theirs."""
    return [_record(form, i, images) for i in range(N_RECORDS)]


def _record(form: str, i: int, images: Path | None) -> dict:
    name = f"p{i}.png"
    image = name if images is None else {"bytes": (images / name).read_bytes(), "path": name}
    question, answer = f"What is número {i}? 😀", f"It is {i}."
    own = {"id": f"{form}-{i}"} | ({} if i % 2 else {"source": "made"})
    if form == "llava":
        said = [
            ("human", f"<image>\n{question}"),
            ("gpt", answer),
            ("human", "Sure?"),
            ("gpt", "Yes."),
        ]
        turns = [{"from": role, "value": text} for role, text in said]
        return own | {"image": image, "conversations": turns}
    if form == "sharegpt":
        said = [("system", "Be brief."), ("user", f"<image>{question}"), ("assistant", answer)]
        turns = [{"role": role, "content": text} for role, text in said]
        return own | {"messages": turns, "images": [image]}
    if form == "parts":
        shown = {"type": "image"} if images else {"type": "image", "path": name}
        parts = [shown, {"type": "text", "text": question}]
        said = [("user", parts), ("assistant", [{"type": "text", "text": answer}])]
        turns = [{"role": role, "content": content} for role, content in said]
        return own | {"messages": turns} | ({"images": [image]} if images else {})
    return own | {
        "images": [image],
        "texts": [{"user": question, "assistant": answer, "source": "c"}],
    }


class RecordTrials(Trials):
    """Trials on record files; `seed` and a trial's number are all that it depends on."""

    def __init__(self, folder: Path, seed: int):
        self._folder, self._seed = folder, seed
        self._images = make_images(folder / "images")

    def __call__(self, number: int) -> str:
        random = Random(f"{self._seed} {number}")
        form, _, what = kind_of(number).partition(", ")
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            folder = Path(name)
            if what.startswith("table"):
                path, others = folder / "records.parquet", None
                good = records(form, self._images)
                change = table_mutations.write if what == "table" else table_mutations.write_broken
                change(good, path, random)
                return self._pool(folder, path, [], images=None)
            path, others = folder / "records.json", ()
            good = records(form)
            if what in ("record", "task"):
                place = random.randrange(N_RECORDS)
                others = [r["id"] for i, r in enumerate(good) if i != place]
                good[place] = json_mutations.mutate(good[place], random)[1]
                path.write_bytes(self._written(good, random))
            else:
                content = self._written(good, random, lines=what == "lines")
                path.write_bytes(byte_mutations.mutate_text(content, random)[1])
            if what == "task":
                return self._task(folder, path, others)
            return self._pool(folder, path, others, images=self._images)

    @staticmethod
    def _written(values: list, random: Random, lines: bool = False) -> bytes:
        texts = [json_mutations.encode(value, random) for value in values]
        text = "\n".join(texts) if lines else "[" + ",\n".join(texts) + "]\n"
        return text.encode("utf-8", "surrogatepass")

    def _pool(self, folder: Path, path: Path, others: list[str], images: Path | None) -> str:
        flags = [
            "--records",
            path,
            "--samples",
            folder / "s.parquet",
            "--rejected",
            folder / "r.csv",
        ]
        flags += ["--summary", folder / "s.json", "--source-key", "source"]
        flags += ["--images", images] if images else []
        try:
            prepare_pool.main([*usual(prepare_pool), *map(str, flags)])
        except InputError as error:
            return refused(error, path, folder, others)
        ids = accepted(folder / "s.parquet")
        summary, rejected = (
            json.loads((folder / "s.json").read_text()),
            rejections(folder / "r.csv"),
        )
        assert summary["accepted"] == len(ids) and summary["rejected"] == len(rejected)
        assert summary["read"] == len(ids) + len(rejected)
        require(others, ids, rejected, summary["read"])
        return READ

    def _task(self, folder: Path, path: Path, others: list[str]) -> str:
        flags = ["--task", "made", "--rejected", folder / "r.csv", "--source-key", "source"]
        flags += ["--images", self._images]
        for split in ("validation", "test"):
            flags += [f"--{split}", path, f"--out-{split}", folder / f"{split}.parquet"]
        try:
            prepare_task.main([*usual(prepare_task), *map(str, flags)])
        except InputError as error:
            return refused(error, path, folder, others)
        rejected = rejections(folder / "r.csv")
        for split in ("validation", "test"):
            own = [row for row in rejected if row["split"] == split]
            require(others, accepted(folder / f"{split}.parquet"), own, N_RECORDS)
        return READ


def refused(error: InputError, path: Path, folder: Path, others: list[str]) -> str:
    """Check that an error names the file, is short, and left nothing behind."""
    assert str(path) in str(error), f"the message does not name the file: {error}"
    assert len(str(error)) < 10_000, f"a message of {len(str(error))} characters"
    assert not [p for p in folder.iterdir() if p != path], sorted(folder.iterdir())
    return REFUSED


def accepted(path: Path) -> list[str]:
    """Return the ids in a table of samples, after reading it as later stages do."""
    samples = Samples(path)
    found = samples.records(range(len(samples)))
    assert all(json.loads(raw) for raw in samples.raw(range(len(samples))))
    return [record.sample_id for record in found]


def rejections(path: Path) -> list[dict]:
    """Read the rejected records."""
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))


def require(others: list[str], ids: list[str], rejected: list[dict], n: int) -> None:
    """Check that every unchanged record is accepted, and every other one is so or is rejected."""
    if not others:
        return
    assert len(ids) + len(rejected) == n == N_RECORDS
    lost = [i for i in others if i not in ids and not _copied(i, rejected)]
    assert not lost, f"{lost} were not changed, but rejected: {rejected}"


def _copied(name: str, rejected: list[dict]) -> bool:
    """Return whether the changed record has taken an id, so that its bearer is the second."""
    return any(row["reason"] == "duplicate_id" and row["sample_id"] == name for row in rejected)


def clear(folder: Path) -> None:
    """Remove what a crashed trial left."""
    shutil.rmtree(folder, ignore_errors=True)
