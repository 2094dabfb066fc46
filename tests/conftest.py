"""What many tests share: a tiny VLM and a tiny pool."""

import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of busy machines wait for each other

import prepare_pool
import pytest
import torch
from tiny_inputs import WORDS, make_records, write_images
from tiny_models import save_llava, word_tokenizer
from usual_flags import usual

pytest_plugins = ["mini_runs", "family_runs"]


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Let each test draw the same numbers, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_vlm(tmp_path_factory):
    """Folder of a saved LLaVA: 4 decoder layers of width 32, four image tokens an image."""
    return save_llava(tmp_path_factory.mktemp("tiny_vlm"), word_tokenizer(WORDS))


@pytest.fixture(scope="session")
def tiny_pool(tmp_path_factory):
    """Folder with mixture.json, images/ and the prepared samples.parquet of 24 records."""
    folder = tmp_path_factory.mktemp("tiny_pool")
    records = make_records()
    write_images(folder / "images", records)
    (folder / "mixture.json").write_text(json.dumps(records))
    prepare_pool.main(
        [
            *usual(prepare_pool),
            *("--records", str(folder / "mixture.json"), "--images", str(folder / "images")),
            *("--samples", str(folder / "samples.parquet")),
            *("--rejected", str(folder / "rejected.csv")),
            *("--summary", str(folder / "summary.json"), "--source-key", "task"),
        ]
    )
    return folder
