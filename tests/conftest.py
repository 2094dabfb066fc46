"""What many tests share: a tiny VLM and a tiny pool.

Heavy libraries are imported by the fixtures, here and in the plugins: a process that only hands out
the tests to others (pytest -n) does without them.
"""

import gc
import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of busy machines wait for each other

import pytest

pytest_plugins = ["warm_python", "mini_runs", "family_runs"]
gc.disable()  # until all tests are collected: what is made until then stays


def pytest_collection_finish():
    """Look for garbage from now on, and not in what was imported and collected."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Let each test draw the same numbers, whatever ran before it."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_vlm(tmp_path_factory):
    """Folder of a saved LLaVA: 4 decoder layers of width 32, four image tokens an image."""
    from tiny_inputs import WORDS
    from tiny_models import save_llava, word_tokenizer

    return save_llava(tmp_path_factory.mktemp("tiny_vlm"), word_tokenizer(WORDS))


@pytest.fixture(scope="session")
def tiny_pool(tmp_path_factory):
    """Folder with mixture.json, images/ and the prepared samples.parquet of 24 records."""
    import prepare_pool
    from tiny_inputs import make_records, write_images
    from usual_flags import usual

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
