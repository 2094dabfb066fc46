import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import warm_up
from config_defaults import FINETUNE
from safetensors.torch import load_file
from torch.optim.optimizer import register_optimizer_step_pre_hook
from usual_flags import usual

from vlselect.core.store import from_cell
from vlselect.models.lora import MOMENTS
from vlselect.pool.samples import Samples

SETTINGS = {
    "rank": 2,
    "alpha": 4,
    "learning_rate": 0.01,
    "batch_size": 2,
    "gradient_accumulation": 1,
}


def run(tiny_vlm, tiny_pool, out, *more, seed=0, settings=SETTINGS, fraction="0.25"):
    warm_up.main(
        [
            *usual(warm_up),
            *("--samples", str(tiny_pool / "samples.parquet")),
            *("--images", str(tiny_pool / "images"), "--fraction", fraction),
            *(
                "--settings",
                json.dumps(FINETUNE | settings),
                "--seed",
                str(seed),
                "--out",
                str(out),
            ),
            *("--model", str(tiny_vlm), "--device", "cpu", *more),
        ]
    )
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_adapter_log_and_rows_of_a_fraction_of_the_pool(tiny_vlm, tiny_pool, tmp_path):
    files = run(tiny_vlm, tiny_pool, tmp_path / "out")
    assert set(files) == {
        *("adapter_model.safetensors", "adapter_config.json", "training_log.csv", "rows.csv")
    }
    rows = pd.read_csv(tmp_path / "out/rows.csv")
    assert len(rows) == 6  # a quarter of 24
    assert rows["row"].is_monotonic_increasing and rows["row"].is_unique
    pool = Samples(tiny_pool / "samples.parquet").frame(["row", "sample_id", "source"])
    pd.testing.assert_frame_equal(rows, pool.iloc[rows["row"]].reset_index(drop=True))
    assert len(pd.read_csv(tmp_path / "out/training_log.csv")) == 3  # steps of two samples
    weights = load_file(tmp_path / "out/adapter_model.safetensors")
    assert any(weight.abs().sum() > 0 for name, weight in weights.items() if "lora_B" in name)


def test_no_id_or_source_is_a_formula_in_rows(tiny_vlm, tiny_pool, tmp_path):
    pool, names = tmp_path / "pool", {"sample_id": "=cmd|'/c calc'!A{}", "source": "@SUM({})"}
    table = pq.read_table(tiny_pool / "samples.parquet")
    for name, text in names.items():
        place = table.schema.get_field_index(name)
        texts = [text.format(i) for i in range(len(table))]
        table = table.set_column(place, table.schema.field(place), [texts])
    pool.mkdir()
    pq.write_table(table, pool / "samples.parquet")
    (pool / "images").symlink_to(tiny_pool / "images")
    run(tiny_vlm, pool, tmp_path / "out")
    rows = pd.read_csv(tmp_path / "out/rows.csv")
    for name, text in names.items():
        assert rows[name].str.startswith(f"'{text[0]}").all()
        assert rows[name].map(from_cell).tolist() == [text.format(i) for i in rows["row"]]


def test_all_weights_are_trained_on_the_same_rows(tiny_vlm, tiny_pool, tmp_path):
    lora = run(tiny_vlm, tiny_pool, tmp_path / "lora")
    whole = run(tiny_vlm, tiny_pool, tmp_path / "whole", settings=SETTINGS | {"adapter": "none"})
    assert whole["rows.csv"] == lora["rows.csv"]
    assert {"model.safetensors", "config.json", "training_log.csv"} <= set(whole)
    assert "adapter_model.safetensors" not in whole
    base, trained = load_file(tiny_vlm / "model.safetensors"), tmp_path / "whole/model.safetensors"
    weights = load_file(trained)
    assert any(not weights[name].equal(base[name]) for name in base)


def test_same_seed_gives_the_same_bytes_and_another_one_does_not(tiny_vlm, tiny_pool, tmp_path):
    files = [run(tiny_vlm, tiny_pool, tmp_path / str(i), seed=i // 2) for i in range(3)]
    for name in ("adapter_model.safetensors", "adapter_config.json", "rows.csv"):
        assert files[0][name] == files[1][name]
    assert files[0]["adapter_model.safetensors"] != files[2]["adapter_model.safetensors"]
    assert files[0]["rows.csv"] != files[2]["rows.csv"]


def test_second_moments_are_those_of_adamw_step_by_step(tiny_vlm, tiny_pool, tmp_path):
    """A running mean of squared gradients, kept beside the training and corrected for its bias."""
    means, steps, beta = {}, [], FINETUNE["betas"][1]

    def remember(optimizer, *_):
        steps.append(optimizer)
        for group in optimizer.param_groups:
            for weight in group["params"]:
                old = means.setdefault(weight, torch.zeros_like(weight, dtype=torch.float64))
                old.mul_(beta).add_((1 - beta) * weight.grad.double().square())

    handle = register_optimizer_step_pre_hook(remember)
    files = run(tiny_vlm, tiny_pool, tmp_path / "out", "--second-moments")
    handle.remove()
    plain = run(tiny_vlm, tiny_pool, tmp_path / "plain")
    assert set(files) - set(plain) == {MOMENTS}
    same = ("adapter_model.safetensors", "adapter_config.json", "rows.csv")
    assert all(files[name] == plain[name] for name in same)
    found = load_file(tmp_path / "out" / MOMENTS)
    assert len(steps) == 3 and len(found) == len(means) == 56
    expected = [mean / (1 - beta**3) for mean in means.values()]
    for name, value in found.items():
        assert ".lora_" in name and value.dtype == torch.float32
    assert sorted(float(v.double().norm()) for v in found.values()) == pytest.approx(
        sorted(float(v.norm()) for v in expected), rel=1e-5
    )


def test_rows_are_drawn_without_replacement_and_follow_the_sample_not_its_place():
    names = [f"s{i}" for i in range(1000)]
    rows = warm_up.draw_rows(names, 0.05, seed=0)
    assert len(set(rows.tolist())) == 50
    backwards = warm_up.draw_rows(names[::-1], 0.05, seed=0)
    assert sorted(999 - backwards) == rows.tolist()
    assert warm_up.draw_rows(names, 1.0, seed=3).tolist() == list(range(1000))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fraction": "0"}, "ratio"),
        ({"fraction": "1.5"}, "ratio"),
        ({"settings": {"ranks": 3}}, "ranks"),
    ],
)
def test_bad_settings_are_named_and_leave_nothing(tiny_vlm, tiny_pool, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        run(tiny_vlm, tiny_pool, tmp_path / "out", **change)
    assert not list(tmp_path.iterdir())
