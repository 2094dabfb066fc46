import csv
import json

import finetune_model
import pandas as pd
import pytest
from config_defaults import FINETUNE
from usual_flags import usual


@pytest.fixture
def flags(tiny_vlm, tiny_pool, tmp_path):
    """Return the flags of a small run, after writing the subset file for the given rows."""

    def flags(out, *, rows=(1, 4, 2), seed=0, **settings):
        pool = pd.read_parquet(tiny_pool / "samples.parquet")
        pool.loc[list(rows), ["row", "sample_id"]].to_parquet(tmp_path / "subset.parquet")
        settings = {"rank": 2, "alpha": 4, "batch_size": 2, "gradient_accumulation": 1} | settings
        return [
            *usual(finetune_model),
            *("--samples", str(tiny_pool / "samples.parquet")),
            *("--subset", str(tmp_path / "subset.parquet")),
            *("--images", str(tiny_pool / "images"), "--settings", json.dumps(FINETUNE | settings)),
            *("--seed", str(seed), "--model", str(tiny_vlm), "--device", "cpu"),
            *("--out", str(tmp_path / out)),
        ]

    return flags


def test_adapter_and_log_are_written(flags, tmp_path):
    finetune_model.main(flags("checkpoint", epochs=2))
    names = {path.name for path in (tmp_path / "checkpoint").iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "training_log.csv"}
    with (tmp_path / "checkpoint/training_log.csv").open(encoding="utf-8") as file:
        assert [line["step"] for line in csv.DictReader(file)] == ["1", "2", "3", "4"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_whole_model_is_written(flags, tmp_path):
    settings = {"adapter": "none", "freeze": ["vision_tower"]}
    finetune_model.main(flags("checkpoint", **settings))
    names = {path.name for path in (tmp_path / "checkpoint").iterdir()}
    assert {"config.json", "model.safetensors", "training_log.csv"} <= names
    assert {path.suffix for path in (tmp_path / "checkpoint").iterdir()} <= {
        ".json",
        ".csv",
        ".safetensors",
    }


def test_order_of_the_subset_file_does_not_matter_but_the_seed_does(flags, tmp_path):
    finetune_model.main(flags("one", rows=(1, 4, 2, 7)))
    finetune_model.main(flags("two", rows=(7, 1, 2, 4)))
    finetune_model.main(flags("three", rows=(7, 1, 2, 4), seed=1))
    weights = [
        (tmp_path / name / "adapter_model.safetensors").read_bytes()
        for name in ("one", "two", "three")
    ]
    assert weights[0] == weights[1] != weights[2]


def test_a_subset_of_another_pool_is_refused(flags, tmp_path):
    arguments = flags("checkpoint")
    frame = pd.DataFrame({"row": [1, 2], "sample_id": ["sample-001", "elsewhere"]})
    frame.to_parquet(tmp_path / "subset.parquet")
    with pytest.raises(ValueError, match="row 2, sample 'elsewhere', is not in this pool"):
        finetune_model.main(arguments)
    assert not (tmp_path / "checkpoint").exists()


def test_unknown_settings_are_named(flags):
    with pytest.raises(ValueError, match="unknown finetune settings: rnak"):
        finetune_model.main(flags("checkpoint", rnak=3))
