"""Input of the mini workflow: a pool of 330 good records and three bad ones, tasks, a model."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from tiny_models import save_llava, word_tokenizer

N_GOOD = 330  # more than three blocks of 64, so that no shard is empty
THINGS = ["one", "two", "three", "red", "green", "blue", "cat", "dog", "house", "tree", "car"]
OTHERS = ["is", "there", "a", "tell", "me", "more", "please", "yes", "no", ".", "?"]
SOURCES = ("photos", "charts", "chats")
BAD = {
    "bad-image": {"image": "no/such.png"},
    "bad-turns": {"conversations": []},
    "pool-000": {},  # an id that is taken
}


def make_input(folder: Path) -> None:
    """Write what mini.yaml names: ``data/mixture.json``, images, task files and ``data/model``."""
    rng = np.random.default_rng(0)
    images = folder / "data/images"
    images.mkdir(parents=True)
    for i in range(40):
        pixels = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{i}.png")
    pool = [make_record(rng, f"pool-{i:03d}", SOURCES[i % 3], i) for i in range(N_GOOD)]
    for place, (name, changes) in enumerate(BAD.items(), start=1):
        pool.insert(100 * place, {**pool[0], "id": name, **changes})
    write(folder / "data/mixture.json", pool)
    for task in ("alpha", "beta"):
        for split, n in (("validation", 10), ("test", 12)):
            records = [make_record(rng, f"{task}-{split}-{i}", task, 1) for i in range(n)]
            write(
                folder / f"data/{task}_{split}.json",
                [{**record, "answers": ["yes"] * 8 + ["no"] * 2} for record in records],
            )
    save_llava(folder / "data/model", word_tokenizer(THINGS + OTHERS), layers=2)


def make_record(rng: np.random.Generator, name: str, source: str, kind: int) -> dict:
    """Make a question with the answer yes; every fifth has no image, every seventh is longer."""
    record = {"id": name, "task": source}
    mark = ""
    if kind % 5:
        record["image"] = f"{rng.integers(40)}.png"
        mark = "<image>\n"
    question = f"is there a {' '.join(rng.choice(THINGS, rng.integers(1, 9)))} ?"
    turns = [("human", mark + question), ("gpt", "yes")]
    if kind % 7 == 0:
        turns += [("human", "tell me more please"), ("gpt", " ".join(rng.choice(THINGS, 3)))]
    record["conversations"] = [{"from": role, "value": text} for role, text in turns]
    return record


def write(path: Path, records: list[dict]) -> None:
    """Write records as a JSON list."""
    path.write_text(json.dumps(records), encoding="utf-8")
