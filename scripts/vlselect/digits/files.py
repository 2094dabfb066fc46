"""The demo's samples as files, like any user's data: LLaVA records in JSON, PNG images."""

import json
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from vlselect.core import log, store
from vlselect.digits.mixture import Sample
from vlselect.digits.scenes import render


def llava_record(sample: Sample, folder: str) -> dict:
    """Convert a sample to a LLaVA record with id, task, image (if any) and conversations.

    `folder` is that of its image, relative to the image root.
    """
    example = sample.example
    record: dict = {"id": sample.sample_id, "task": example.task}
    question = example.question
    if example.scene is not None:
        record["image"] = f"{folder}/{sample.sample_id}.png"
        question = f"<image>\n{question}"
    record["conversations"] = [
        {"from": "human", "value": question},
        {"from": "gpt", "value": example.answer},
    ]
    return record


def pool_record(sample: Sample, folder: str) -> dict:
    """Convert a sample to a LLaVA record with `meta`, which says what is wrong with it.

    The pipeline does not read `meta`; it is for people who inspect the demo's subsets.
    """
    meta = {"noisy": sample.noisy, "duplicate": sample.duplicate}
    return {**llava_record(sample, folder), "meta": meta}


def benchmark_record(sample: Sample, folder: str) -> dict:
    """Convert a sample to a LLaVA record with the list of accepted answers."""
    return {**llava_record(sample, folder), "answers": [sample.example.answer]}


def write_records(records: Iterable[dict], path: Path) -> None:
    """Write a JSON list with one record on each line."""
    lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    store.write_text(f"[\n{lines}\n]\n", path)


def write_images(samples: Iterable[Sample], root: Path, folder: str) -> None:
    """Render every sample's scene to ``root/folder/<sample id>.png``."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    for sample in log.progress(samples, description=f"images of {folder}"):
        if sample.example.scene is not None:
            image = Image.fromarray(render(sample.example.scene))
            image.save(root / folder / f"{sample.sample_id}.png", compress_level=1)
