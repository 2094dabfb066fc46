"""Two processes that share the micro-batches of a step, started like the rule does."""

import csv
from functools import partial

import finetune_model
import pytest
from closeness import assert_close_vectors, chain, rounding
from config_defaults import finetune_settings
from finetune_runs import SCRIPT, finetune_flags, start
from safetensors.torch import load_file
from usual_models import load_vlm

from vlselect.checkpoints.finetune import train
from vlselect.checkpoints.launching import launch_command
from vlselect.pool.samples import Samples

train = partial(train, max_pixels=10**7)

ROWS = range(16)  # some without images, so that the projector has no gradient
SETTINGS = {
    "dropout": 0.0,
    "train_modules": ["multi_modal_projector"],
    "gradient_accumulation": 2,
    "epochs": 2,
    "learning_rate": 1e-2,
}
BREAKS = f"""
import os, runpy, sys
sys.argv[0] = {str(SCRIPT)!r}
from vlselect.checkpoints.training_log import TrainingLog

on_log = TrainingLog.on_log

def break_second(self, args, state, control, **kwargs):
    on_log(self, args, state, control, **kwargs)
    if state.global_step == 4 and os.environ["RANK"] == "1":
        raise RuntimeError("the second process breaks")

TrainingLog.on_log = break_second
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def steps(folder):
    with (folder / "training_log.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_two_processes_give_what_one_does_and_go_on_after_one_broke(tiny_vlm, tiny_pool, tmp_path):
    def flags(out, **settings):
        given = finetune_flags(tiny_vlm, tiny_pool, tmp_path / out, ROWS, **SETTINGS, **settings)
        return [*given, "--partial", str(tmp_path / f"{out}.partial")]

    (tmp_path / "breaks.py").write_text(BREAKS)
    finetune_model.main(flags("one"))
    two = flags("two", processes=2, save_steps=3)
    launch = launch_command(2, 1)
    broken = start([*launch, tmp_path / "breaks.py", *two])
    assert broken.returncode != 0 and "the second process breaks" in broken.stdout
    assert not (tmp_path / "two").exists()
    assert (tmp_path / "two.partial/checkpoint-3/complete").exists()

    done = start([*launch, SCRIPT, *two])
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("resuming after step 3") == 1  # the second does not log
    assert "batch_size 2, 1 micro-batches on each of 2" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} >= {"one", "two"}
    assert not (tmp_path / "two.partial").exists()
    terms = 8 * 2 * chain(load_vlm(str(tiny_vlm), device="cpu").model)  # of eight steps
    one, two = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, weight in one.items():
        assert_close_vectors(two[name].flatten(), weight.flatten(), terms=terms, name=name)
    alone, together = steps(tmp_path / "one"), steps(tmp_path / "two")
    assert [line["step"] for line in together] == [str(i) for i in range(1, 9)]
    for first, second in zip(alone, together, strict=True):
        assert float(second["loss"]) == pytest.approx(float(first["loss"]), rel=rounding(terms))
        assert second["learning_rate"] == first["learning_rate"]


def test_as_many_processes_have_to_be_started_as_the_settings_say(tiny_vlm, tiny_pool, tmp_path):
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    samples = Samples(tiny_pool / "samples.parquet")
    settings = finetune_settings(processes=2)
    with pytest.raises(ValueError, match="finetune.processes is 2, but 1 were started"):
        train(vlm, samples, [0, 1], tiny_pool / "images", settings, 0, tmp_path / "log.csv")
