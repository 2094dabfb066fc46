"""A killed finetuning resumes from its last saved state and ends like an uninterrupted one."""

import csv
import signal

import finetune_model
import pytest
from finetune_runs import finetune_flags, start

ROWS = range(14)  # 7 micro-batches and 4 steps in an epoch, the last of one micro-batch
LORA = {"dropout": 0.1, "train_modules": ["multi_modal_projector"]}
WHOLE = {"adapter": "none", "freeze": ["vision_tower"]}
COMMON = {"gradient_accumulation": 2, "epochs": 3, "learning_rate": 1e-2}
KILLED = """
import os, signal, sys
import finetune_model
from vlselect.checkpoints.training_log import TrainingLog

on_log = TrainingLog.on_log

def kill_after(self, args, state, control, **kwargs):
    on_log(self, args, state, control, **kwargs)
    if state.global_step == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

TrainingLog.on_log = kill_after
finetune_model.main(sys.argv[2:])
"""


@pytest.fixture
def flags(tiny_vlm, tiny_pool, tmp_path):
    """Return the flags of a run that saves its states in partial/."""

    def flags(out, **settings):
        partial = ["--partial", str(tmp_path / "partial")]
        given = finetune_flags(tiny_vlm, tiny_pool, tmp_path / out, ROWS, **COMMON | settings)
        return [*given, *partial]

    return flags


def result(folder):
    """Return the bytes of the trained weights, and the training log without times."""
    weights = [path.read_bytes() for path in sorted(folder.glob("*.safetensors"))]
    with (folder / "training_log.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    seconds = [float(line.pop("seconds")) for line in lines]
    assert seconds == sorted(seconds)
    return weights, lines


def states(tmp_path):
    return sorted(path.parent.name for path in tmp_path.glob("partial/*/complete"))


@pytest.mark.parametrize(
    ("settings", "save_steps", "killed_after", "left"),
    [(LORA, 3, 8, "checkpoint-6"), (WHOLE, 4, 6, "checkpoint-4")],
    ids=["lora, inside an epoch", "none, between epochs"],
)
def test_a_killed_run_ends_as_one_that_was_not(
    flags, tmp_path, capsys, settings, save_steps, killed_after, left
):
    whole, again = flags("whole", **settings), flags("again", **settings, save_steps=save_steps)
    finetune_model.main(whole)
    (tmp_path / "killed.py").write_text(KILLED)
    done = start(["python", tmp_path / "killed.py", killed_after, *again])
    assert done.returncode == -signal.SIGKILL, done.stdout
    assert states(tmp_path) == [left]
    assert not (tmp_path / "again").exists()
    capsys.readouterr()
    finetune_model.main(again)
    assert f"resuming after step {left.rpartition('-')[2]}" in capsys.readouterr().err
    assert result(tmp_path / "again") == result(tmp_path / "whole")
    steps = [int(line["step"]) for line in result(tmp_path / "again")[1]]
    assert steps == list(range(1, 13))
    assert not (tmp_path / "partial").exists()
