"""Saved states of a run, and states that it refuses to resume from."""

import csv
import pickle
import shutil
from functools import partial

import pytest
import torch
from config_defaults import finetune_settings
from disk_faults import files_of_at_most
from safetensors.torch import load_file, save_file
from usual_models import load_vlm

from vlselect.checkpoints.finetune import train
from vlselect.checkpoints.training_log import TrainingLog
from vlselect.checkpoints.training_state import changing, whole_or_nothing
from vlselect.core.errors import InputError
from vlselect.models.weights import WeightsError
from vlselect.pool.samples import Samples

train = partial(train, max_pixels=10**7)

ROWS = [0, 1, 2, 3, 5, 8]
SETTINGS = {
    "rank": 2,
    "alpha": 4,
    "learning_rate": 1e-2,
    "batch_size": 2,
    "gradient_accumulation": 1,
    "epochs": 2,
    "save_steps": 2,
}


@pytest.fixture
def run(tiny_vlm, tiny_pool, tmp_path, monkeypatch):
    """Train with states in partial/, up to an optional step; return weights and steps."""
    on_log = TrainingLog.on_log

    def run(break_after=None, rows=ROWS, seed=0, path=tiny_vlm, partial="partial", **changes):
        def stop(self, args, state, control, **kwargs):
            on_log(self, args, state, control, **kwargs)
            if state.global_step == break_after:
                raise KeyboardInterrupt

        monkeypatch.setattr(TrainingLog, "on_log", stop)
        vlm = load_vlm(str(path), device="cpu")
        log = tmp_path / "log.csv"
        model = train(
            *(vlm, Samples(tiny_pool / "samples.parquet"), rows, tiny_pool / "images"),
            *(finetune_settings(**SETTINGS | changes), seed, log),
            partial=partial and tmp_path / partial,
        )
        with log.open(encoding="utf-8") as file:
            steps = [int(line["step"]) for line in csv.DictReader(file)]
        return {k: v.detach().clone() for k, v in changing(model).items()}, steps

    return run


def break_off(run, after, **options):
    with pytest.raises(KeyboardInterrupt):
        run(break_after=after, **options)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def folders(tmp_path):
    return sorted(path.name for path in (tmp_path / "partial").iterdir())


def test_only_what_is_trained_is_saved_and_only_the_last_state_stays(run, tmp_path):
    weights, _ = run()
    assert folders(tmp_path) == ["checkpoint-4", "inputs.json"]  # none after the last step, 6
    saved = load_file(tmp_path / "partial/checkpoint-4/trained.safetensors")
    assert saved.keys() == weights.keys() and all("lora_" in name for name in saved)


def test_no_state_is_saved_where_none_is_asked_for(run, tmp_path):
    run(save_steps=0)
    run(partial=None)
    assert not (tmp_path / "partial").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda name, weight: {}, r"1 missing \(.*lora_A"),
        (lambda name, weight: {name: weight[:1]}, r"1 of another shape .*\[1, .* in place of \[2,"),
        (lambda name, weight: {name: weight, "x": weight + 1}, r"1 not of this model \(x\)"),
    ],
    ids=["missing", "shape", "extra"],
)
def test_a_state_that_lacks_a_weight_is_refused(run, tmp_path, change, expected):
    """`copy_` would have broadcast the first row to all rows."""
    break_off(run, 3)
    path = tmp_path / "partial/checkpoint-2/trained.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if "lora_A" in name)
    weights |= change(name, weights.pop(name).clone())
    save_file({name: weight.contiguous() for name, weight in weights.items()}, path)
    with pytest.raises(WeightsError, match=expected):
        run()


@pytest.mark.parametrize(
    "other",
    [{"seed": 1}, {"rows": [0, 1, 2, 3, 5, 9]}, {"learning_rate": 2e-2}, {"dropout": 0.5}],
    ids=lambda other: next(iter(other)),
)
def test_a_state_of_other_inputs_is_not_gone_on_from(run, capsys, caplog, other):
    fresh, _ = run(**other, partial=None)
    break_off(run, 3)
    found, steps = run(**other)
    assert same(found, fresh) and steps == [1, 2, 3, 4, 5, 6]
    assert "starting over, changed" in caplog.text


def test_a_model_that_was_replaced_in_place_is_other_input(run, tiny_vlm, tmp_path, caplog):
    copy = tmp_path / "model"
    copy.mkdir()
    for path in tiny_vlm.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    break_off(run, 3, path=copy)
    (copy / "model.safetensors").write_bytes((tiny_vlm / "model.safetensors").read_bytes())
    run(path=copy)
    assert "starting over, changed: model_files" in caplog.text


def test_settings_without_effect_may_change_between_kill_and_rerun(run, caplog):
    whole, _ = run(partial=None, dropout=0.1)
    break_off(run, 5, dropout=0.1)
    with caplog.at_level("INFO"):
        found, steps = run(dropout=0.1, cache_mb=0, workers=1)
    assert "resuming after step 4" in caplog.text
    assert same(found, whole) and steps == [1, 2, 3, 4, 5, 6]


def test_a_state_that_was_not_completed_does_not_count(run, tmp_path, caplog):
    whole, _ = run(partial=None)
    break_off(run, 5)
    (tmp_path / "partial/checkpoint-4/complete").unlink()
    found, steps = run()
    assert "resuming" not in caplog.text
    assert same(found, whole) and steps == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", ["trained.safetensors", "optimizer.pt", "rng_state.pth"])
def test_a_state_that_does_not_fit_on_the_disk_is_named_and_removed(run, tmp_path, name):
    break_off(run, 3)
    size = (tmp_path / "partial/checkpoint-2" / name).stat().st_size
    shutil.rmtree(tmp_path / "partial")
    full = pytest.raises(InputError, match="partial/checkpoint-2 cannot be written: .*make room")
    with full, files_of_at_most(size - 1):
        run()
    assert folders(tmp_path) == ["inputs.json"]


def test_a_state_that_another_process_cannot_write_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("vlselect.checkpoints.processes.any_of", lambda flag: True)
    elsewhere = pytest.raises(InputError, match="state cannot be written: another process")
    with elsewhere, whole_or_nothing(tmp_path / "state"):
        (tmp_path / "state").mkdir()
    assert not list(tmp_path.iterdir())


class Planted:
    """An attack by unpickling."""

    def __reduce__(self):
        """Leave a trace."""
        return (open, ("planted", "w"))


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_code_in_a_state_is_not_run(run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    break_off(run, 3)
    torch.save({"state": Planted()}, tmp_path / "partial/checkpoint-2" / name)
    with pytest.raises(pickle.UnpicklingError, match="[Ww]eights"):
        run()
    assert not (tmp_path / "planted").exists()
