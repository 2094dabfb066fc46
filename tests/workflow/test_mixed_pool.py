"""A mixture of parts in a config: from JSON and tables to a subset, and what makes it rerun."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from record_forms import embed, write_json, write_parquet, write_tar
from running import jobs, snakemake, succeeded

SAMPLES = "results/mixture/pool/samples.parquet"


def record(i, name):
    turns = [("user", f"<image>What is in {i}?"), ("assistant", f"Thing {i}.")]
    messages = [{"role": role, "content": text} for role, text in turns]
    return {"id": i, "messages": messages, "images": [name]}


@pytest.fixture
def folder(tmp_path):
    """Folder with a part in JSON with images in tars, and one of two Parquet files with images."""
    files = {}
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        files[f"x/{i}.png"] = stream.getvalue()
    for name, content in files.items():
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(content)
    records = [record(i, name) for i, name in enumerate(files)]
    write_json(records, tmp_path / "photos.json")
    write_tar(dict(list(files.items())[:2]), tmp_path / "0.tar")
    write_tar(dict(list(files.items())[2:]), tmp_path / "1.tar")
    tables = embed(records, tmp_path / "images")
    for i in range(2):
        write_parquet(tables[2 * i : 2 * i + 2], tmp_path / f"charts/{i}.parquet")
    sources = {
        "photos": {"records": "photos.json", "images": "*.tar"},
        "charts": {"records": "charts"},
    }
    config = {"run": "mixture", "pool": {"sources": sources}, "tasks": {}, "ratios": [0.5]}
    config["models"] = {"target": {"path": "model"}}
    config |= {"methods": {"random": {}}, "experiments": {"main": {"methods": ["random"]}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (tmp_path / "model").mkdir()
    return tmp_path


def test_from_parts_to_a_subset(folder):
    config = folder / "config.yaml"
    succeeded(snakemake(folder, config, "--cores", "2", "subsets"))
    pool = pd.read_parquet(folder / SAMPLES)
    names = [f"{part}:{i}" for part in ("photos", "charts") for i in range(4)]
    assert pool["sample_id"].tolist() == names
    assert pool["source"].tolist() == ["photos"] * 4 + ["charts"] * 4
    assert pool["images"].str[0].tolist()[:4] == [f"photos:x/{i}.png" for i in range(4)]
    chosen = json.loads(
        (folder / "results/mixture/subsets/random/ratio-0.5_seed-0.json").read_text()
    )
    assert len(chosen) == 4
    assert "prepare_pool" not in jobs(succeeded(snakemake(folder, config, "-n", SAMPLES)))
    extra = embed([record(9, "x/0.png")], folder / "images")
    write_parquet(extra, folder / "charts/2.parquet")
    assert "prepare_pool" in jobs(succeeded(snakemake(folder, config, "-n", SAMPLES)))


def test_a_part_without_images_is_an_error(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    del config["pool"]["sources"]["photos"]["images"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    done = snakemake(folder, folder / "config.yaml", "-n", SAMPLES)
    assert done.returncode != 0 and "pool.sources.photos.images: missing" in done.stdout
