"""What cannot be loaded or trained is named before any job."""

import copy

import pytest
from config_defaults import FINETUNE

from vlselect.config.checks import ConfigError
from vlselect.config.model_checks import check_models

MODEL = {"path": "base", "revision": None, "quantisation": None, "device": "cuda"}
GOOD = {
    "run": "test",
    "trial": None,
    "models": {
        "target": MODEL,
        "hub": MODEL | {"path": "owner/model", "revision": "abc"},
        "made": MODEL | {"path": "results/test/models/base"},
        "small": MODEL | {"quantisation": "4bit"},
    },
    "finetune": FINETUNE,
    "generate": {"merge_adapters": False},
    "tasks": {},
    "gradients": {
        "model": "target",
        "representation": "lora",
        "normalise_subtasks": True,
        "precondition": "none",
        "projection": {"type": "sjlt", "dim": 64, "nonzeros": 3, "implementation": "auto"},
        "warm_up": {"finetune": FINETUNE},
    },
    "methods": {"random": {}, "self_filter": {"model": "target", "finetune": FINETUNE}},
    "experiments": {"main": {"models": ["target"]}},
}


@pytest.fixture(autouse=True)
def base(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()


def changed(**values):
    """GOOD with changed keys; two underscores stand for a step down."""
    config = copy.deepcopy(GOOD)
    for path, value in values.items():
        *parents, last = path.split("__")
        section = config
        for key in parents:
            section = section[key]
        section[last] = FINETUNE | value if last == "finetune" else value
    return config


@pytest.mark.parametrize(
    "config",
    [
        GOOD,
        changed(finetune={"adapter": "none"}),  # `small` is not trained
        changed(finetune={"processes": 4}),
        changed(experiments__main__models=["small"]),
        changed(
            gradients__representation="hidden",
            gradients__warm_up__finetune={"adapter": "none"},
        ),
        {key: value for key, value in GOOD.items() if key != "gradients"},
    ],
)
def test_a_good_config_passes(config):
    check_models(config)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (
            changed(models__target__path="owner/model"),
            r"models\.target\.path: no directory owner/model.*`revision`",
        ),
        (changed(models__target__revision="abc"), r"models\.target\.revision: base is a directory"),
        (
            changed(experiments__main__models=["small"], finetune={"adapter": "none"}),
            r"finetune\.adapter: none, but models\.small\.quantisation is 4bit",
        ),
        (
            changed(experiments__main__models=["small"], generate={"merge_adapters": True}),
            r"generate\.merge_adapters: true, but models\.small\.quantisation is 4bit",
        ),
        (
            changed(gradients__store="influence"),
            r"gradients\.store: influence, but no task has a validation set",
        ),
        (
            changed(models__target__device="cuda:1", finetune={"processes": 2}),
            r"finetune\.processes: 2, but models\.target\.device is cuda:1",
        ),
        (changed(finetune={"processes": 3}), r"finetune: .*processes 3 does not divide"),
        (changed(finetune={"adapter": "none", "train_modules": ["x"]}), r"finetune: .*freeze"),
        (
            changed(gradients__warm_up__finetune={"processes": 5}),
            r"gradients\.warm_up\.finetune: .*processes 5",
        ),
        (
            changed(gradients__warm_up__finetune={"adapter": "none"}),
            r"gradients\.warm_up\.finetune\.adapter: none, but gradients\.representation is lora",
        ),
        (
            changed(gradients__projection__nonzeros=65),
            r"gradients\.projection\.nonzeros: 65, which is more than .*\.dim, 64",
        ),
        (
            changed(gradients__projection__implementation="cuda", models__target__device="cpu"),
            r"gradients\.projection\.implementation: cuda, but models\.target\.device is cpu",
        ),
        (
            changed(gradients__representation="output", gradients__normalise_subtasks=False),
            r"gradients\.normalise_subtasks: false, but gradients\.representation is output",
        ),
        (
            changed(gradients__representation="hidden", gradients__precondition="adam"),
            r"gradients\.precondition: adam, but gradients\.representation is hidden",
        ),
        (
            changed(methods__self_filter__finetune={"gradient_accumulation": 3, "processes": 2}),
            r"methods\.self_filter\.finetune: .*processes 2",
        ),
        (
            changed(
                methods__self_filter__model="small",
                methods__self_filter__finetune={"adapter": "none"},
            ),
            r"methods\.self_filter\.finetune\.adapter: none, but models\.small",
        ),
    ],
)
def test_a_wrong_config_names_the_key(config, complaint):
    with pytest.raises(ConfigError, match=complaint):
        check_models(config)
