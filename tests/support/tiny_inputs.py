"""Words, records and images that the tests of models and features share."""

import json

import numpy as np
import prepare_pool
from PIL import Image
from usual_flags import usual

TEXT = """what which colour digit is this the in image how many a b c d red green blue one two three
four yes no there are describe it is very and then tell me more please 1 2 3 4 . ? ,"""
WORDS = TEXT.split()


def make_records(n: int = 24, seed: int = 0) -> list[dict]:
    """Make LLaVA records: single and multi-turn, with zero to two images, from three sources."""
    rng = np.random.default_rng(seed)

    def say(low: int, high: int) -> str:
        return " ".join(rng.choice(WORDS[:-3], size=rng.integers(low, high)))

    records = []
    for i in range(n):
        images = [f"{'ab'[i % 2]}/{i}-{j}.png" for j in range((1, 1, 0, 1, 2, 1)[i % 6])]
        turns = []
        for turn in range(1 + 2 * (i % 5 == 0)):
            marks = "<image>\n" * len(images) if turn == 0 else ""
            turns.append({"from": "human", "value": marks + say(2, 9)})
            turns.append({"from": "gpt", "value": say(1, 6)})
        record = {"id": f"sample-{i:03d}", "task": "xyz"[i % 3], "conversations": turns}
        if images:
            record["image"] = images[0] if len(images) == 1 else images
        records.append(record)
    return records


def write_images(folder, records, size: int = 40) -> None:
    """Draw a random picture for every image that the records name."""
    rng = np.random.default_rng(1)
    for record in records:
        names = record.get("image") or []
        for name in [names] if isinstance(names, str) else names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 255, (size, size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name)


def prepare(folder, records, pictures=()):
    """Write records with their pictures and samples.parquet; return the folder.

    `pictures`, pairs of a name and an image, are in the place of those of these names.
    """
    write_images(folder / "images", records)
    for name, picture in pictures:
        picture.save(folder / "images" / name)
    (folder / "mixture.json").write_text(json.dumps(records))
    flags = ["--records", folder / "mixture.json", "--images", folder / "images"]
    flags += ["--samples", folder / "samples.parquet", "--rejected", folder / "rejected.csv"]
    flags += ["--summary", folder / "summary.json", "--source-key", "task"]
    prepare_pool.main([*usual(prepare_pool), *map(str, flags)])
    return folder
