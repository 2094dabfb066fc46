"""The workflow with a model of every family: subsets of three methods, a checkpoint, its scores.

With the files of published checkpoints, to the subsets.
"""

import json

import numpy as np
import pandas as pd
import pytest
from mini_input import make_record, write
from model_families import TEXTS, save_family
from PIL import Image
from published_models import FOLDER, save_published
from running import HERE, jobs, snakemake, succeeded
from safetensors.numpy import load_file

METHODS = ("icons", "coincide", "scalselect")
N_POOL, N_CHOSEN = 70, 14
SHAPES = [(40, 40), (96, 32), (30, 90), (64, 64)]
BENCHMARK = "results/families/benchmarks/target/icons/ratio-0.2_seed-0/alpha.json"
TO_SUBSETS = {
    *("extract_features", "extract_attention", "warm_up", "collect_gradients"),
    *("collect_validation_gradients", *(f"select_{method}" for method in METHODS)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with a pool and a task, prepared once for all families."""
    folder = tmp_path_factory.mktemp("families")
    rng = np.random.default_rng(0)
    (folder / "data/images").mkdir(parents=True)
    for i in range(40):  # the images of `make_record`, of several shapes
        pixels = rng.integers(0, 255, (*SHAPES[i % len(SHAPES)], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"data/images/{i}.png")
    pool = [make_record(rng, f"pool-{i:03d}", ("photos", "chats")[i % 2], i) for i in range(N_POOL)]
    for record in pool[3::10]:  # two images, one of them at the end
        record["image"] = [record["image"], "0.png"]
        record["conversations"][0]["value"] += "\n<image>"
    write(folder / "data/mixture.json", pool)
    for split in ("validation", "test"):
        records = [make_record(rng, f"{split}-{i}", "alpha", 1 + 4 * (i % 2)) for i in range(6)]
        records = [{**record, "answers": ["yes"]} for record in records]
        write(folder / f"data/alpha_{split}.json", records)
    return folder


def first_image(record):
    images = record.get("image")
    return images[0] if isinstance(images, list) else images


def run(folder, model, *targets):
    """Run the workflow with a model of data/; return the rules that ran."""
    config = folder / f"{model}.yaml"
    config.write_text((HERE / "families.yaml").read_text().replace("MODEL", model))
    return jobs(succeeded(snakemake(folder, config, "--cores", "2", *targets)))


def check_subsets(folder):
    """Check subsets, and features that say something of every sample."""
    results = folder / "results/families"
    for method in METHODS:
        rows = pd.read_parquet(results / f"subsets/{method}/ratio-0.2_seed-0.parquet")
        assert len(rows) == rows["row"].nunique() == N_CHOSEN
    pool = json.loads((folder / "data/mixture.json").read_text())
    # An image before the question does not depend on it; one after it is not seen.
    n_shown = len({first_image(record) for record in pool})
    for kind, distinct in (("activations", 60), ("likelihood", 60), ("attended", n_shown)):
        (shard,) = (results / f"features/target/{kind}").glob("*.safetensors")
        values = load_file(shard)["values"]
        assert len(values) == N_POOL and len(np.unique(values, axis=0)) >= distinct


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no files of published checkpoints")
def test_from_the_pool_to_subsets(folder, published_model):
    save_published(published_model, folder / f"data/{published_model}", TEXTS)
    assert run(folder, published_model, "subsets") >= TO_SUBSETS
    check_subsets(folder)


def test_from_the_pool_to_scores(folder, workflow_family):
    save_family(workflow_family, folder / f"data/{workflow_family}", TEXTS, layers=2)
    ran = run(folder, workflow_family, "subsets", BENCHMARK)
    assert ran >= TO_SUBSETS | {"finetune_model", "run_benchmarks"}
    check_subsets(folder)
    results = folder / "results/families"
    checkpoint = results / "checkpoints/target/icons/ratio-0.2_seed-0"
    losses = pd.read_csv(checkpoint / "training_log.csv")["loss"]
    assert losses.iloc[-1] < losses.iloc[0] and np.isfinite(losses).all()
    adapter = load_file(checkpoint / "adapter_model.safetensors")
    assert all("vision" not in name and "visual" not in name for name in adapter)
    assert any(np.abs(values).max() > 0 for name, values in adapter.items() if "lora_B" in name)
    score = json.loads((folder / BENCHMARK).read_text())
    assert score["n"] == 6 and 0 <= score["score"] <= 100
