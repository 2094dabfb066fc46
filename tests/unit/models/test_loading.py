"""Models are loaded as requested, or an error says what to do."""

import argparse
import inspect
import json
import shutil
import types
from unittest.mock import MagicMock

import pytest
import torch
from config_defaults import keywords
from huggingface_hub import constants
from transformers import AutoModel, AutoModelForImageTextToText
from usual_models import MODEL, load_vlm

from vlselect.core.errors import InputError
from vlselect.features import clip
from vlselect.features.clip import CLIP
from vlselect.models import loading
from vlselect.models.checkpoint import load_checkpoint
from vlselect.models.loading import (
    add_model_arguments,
    is_quantised,
    load_from_arguments,
    pick_device,
)
from vlselect.models.lora import attach_lora
from vlselect.models.vlm import VLM

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CODE = """
from pathlib import Path

Path(__file__).with_name("ran").touch()
raise RuntimeError("the model's own code ran")
"""


def parse(*flags):
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    usual = ["--dtype", "float32", "--device", "auto", "--batch-size", "64", "--threads", "1"]
    usual += ["--template-date", "2025-01-01"]
    return parser.parse_args([*usual, "--model", *map(str, flags)])


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty hub cache; nothing is downloaded into it (HF_HUB_OFFLINE)."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put_in_cache(cache, vlm, repository="org/tiny", commit=COMMIT):
    """Store a model as `hf download` does."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text(commit)
    shutil.copytree(vlm, folder / "snapshots" / commit)
    return folder / "snapshots" / commit


def test_flags_decide_how_a_model_is_loaded(tiny_vlm):
    flags = ("--dtype", "bfloat16", "--device", "cpu", "--attention", "eager")
    vlm = load_from_arguments(parse(tiny_vlm, *flags, "--batch-size", 3, "--max-length", 9))
    assert vlm.batch_tokens is None
    assert load_from_arguments(parse(tiny_vlm, "--batch-tokens", 50)).batch_tokens == 50
    assert vlm.model.dtype == torch.bfloat16 and vlm.device.type == "cpu"
    assert vlm.model.config._attn_implementation == "eager"
    assert (vlm.batch_size, vlm.max_length, vlm.revision) == (3, 9, "")
    assert not vlm.model.training and not is_quantised(vlm.model)


@pytest.fixture
def products_as_before():
    """Restore how this process multiplies."""
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    yield
    for backend, value in zip(backends, before, strict=True):
        backend.allow_tf32 = value


@pytest.mark.usefixtures("products_as_before")
def test_float32_is_multiplied_as_such_but_where_the_flags_say_tf32(monkeypatch):
    """On a GPU, of a float32 model; and headers have it."""
    monkeypatch.setattr(loading, "pick_device", torch.device)
    flags = ["--model", "x", "--template-date", "2025-01-01", "--threads", "1"]
    parser = argparse.ArgumentParser()
    loading.add_loading_arguments(parser)
    for dtype, device, more, name in (
        ("float32", "cuda", ["--tf32"], "tf32"),
        ("bfloat16", "cuda", ["--tf32"], "float32"),
        ("float32", "cpu", ["--tf32"], "float32"),
        ("float32", "cuda", [], "float32"),
    ):
        own = [*flags, "--dtype", dtype, "--device", device, *more]
        loading.prepare_device(parser.parse_args(own))
        assert torch.backends.cuda.matmul.allow_tf32 is (name == "tf32")
        assert torch.backends.cudnn.allow_tf32 is (name == "tf32")
        assert loading.number_format(torch.float32) == name
        assert loading.number_format(torch.bfloat16) == "bfloat16"


@pytest.mark.parametrize("function", [loading.load_vlm, VLM.__init__, attach_lora])
def test_the_library_has_no_defaults_for_what_the_config_sets(function):
    known = inspect.signature(function).parameters.values()
    assert [p.name for p in known if p.default is not p.empty] == []


def test_every_key_of_a_model_is_an_argument():
    taken = {p.name for p in keywords(loading.load_vlm).values()}
    assert taken == set(MODEL)


def test_neither_directory_nor_revision_is_named():
    with pytest.raises(FileNotFoundError, match="'no/such/model' is not a directory.*`revision`"):
        load_vlm("no/such/model")


def test_a_model_in_the_hubs_cache_loads_offline(tiny_vlm, hub_cache):
    put_in_cache(hub_cache, tiny_vlm)
    vlm, local = load_vlm("org/tiny", revision=COMMIT), load_vlm(str(tiny_vlm))
    assert (vlm.path, vlm.revision) == ("org/tiny", COMMIT)
    ours, theirs = vlm.model.state_dict(), local.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_another_revision_than_the_cached_one_is_not_taken(tiny_vlm, hub_cache):
    put_in_cache(hub_cache, tiny_vlm)
    with pytest.raises(FileNotFoundError, match="at revision 'fedcba'"):
        load_vlm("org/tiny", revision="fedcba")


def test_without_a_network_the_error_says_what_to_download(hub_cache):
    with pytest.raises(FileNotFoundError) as caught:
        load_vlm("org/tiny", revision=COMMIT)
    assert f"`hf download org/tiny --revision {COMMIT}`" in str(caught.value)
    assert f"`hf download org/tiny --revision {COMMIT} --local-dir <folder>`" in str(caught.value)


def test_a_clip_from_the_hub_says_the_same(hub_cache):
    with pytest.raises(FileNotFoundError, match=f"hf download org/clip --revision {COMMIT}"):
        CLIP.load(parse("org/clip", "--revision", COMMIT))


def test_a_directory_without_its_weights_is_named(tiny_vlm, tmp_path):
    shutil.copytree(tiny_vlm, tmp_path / "model")
    (tmp_path / "model/model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"cannot load the model in .*model") as caught:
        load_vlm(str(tmp_path / "model"))
    assert "hf download" not in str(caught.value)


@pytest.fixture
def own_code(tiny_vlm, tmp_path):
    """A model directory whose architecture is in its own Python file."""
    folder = shutil.copytree(tiny_vlm, tmp_path / "own_code")
    (folder / "modelling.py").write_text(CODE)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "something_new",
        "auto_map": {
            "AutoConfig": "modelling.NewConfig",
            "AutoModelForImageTextToText": "modelling.NewModel",
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_code_that_comes_with_a_model_is_not_run(own_code):
    with pytest.raises(InputError, match="`trust_remote_code: true`"):
        load_vlm(str(own_code), device="cpu")
    assert not (own_code / "ran").exists()


def test_code_that_comes_with_a_model_is_run_where_the_config_says_so(own_code, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(own_code / "m"))
    with pytest.raises(RuntimeError, match="the model's own code ran"):
        load_from_arguments(parse(own_code, "--device", "cpu", "--trust-remote-code"))


@pytest.mark.parametrize("quantisation", ["4bit", "8bit"])
def test_without_bitsandbytes_quantisation_is_refused(tiny_vlm, monkeypatch, quantisation):
    find = "vlselect.models.loading.importlib.util.find_spec"
    monkeypatch.setattr(find, lambda name: None)
    with pytest.raises(InputError, match="pip install bitsandbytes"):
        load_vlm(str(tiny_vlm), device="cpu", quantisation=quantisation)


def test_a_clip_is_not_quantised(tiny_vlm):
    with pytest.raises(ValueError, match="quantisation: null"):
        CLIP.load(parse(tiny_vlm, "--quantisation", "4bit"))


def test_a_gpu_that_is_not_there_is_an_error(tiny_vlm, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device 'cuda'"):
        load_vlm(str(tiny_vlm), device="cuda")


@pytest.mark.parametrize(
    ("device", "rank", "expected"),
    [
        ("cuda", "2", "cuda:2"),
        ("auto", "1", "cuda:1"),
        ("cuda:3", "1", "cuda:3"),
        ("cpu", "1", "cpu"),
    ],
)
def test_each_process_has_its_gpu(monkeypatch, device, rank, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", rank)
    assert pick_device(device) == torch.device(expected)


@pytest.fixture
def from_pretrained(monkeypatch):
    """Two GPUs, of which this process has the second; no weights are loaded."""
    load = MagicMock(side_effect=KeyboardInterrupt)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    for auto in (AutoModel, AutoModelForImageTextToText):
        monkeypatch.setattr(auto, "from_pretrained", load)
    monkeypatch.setattr(clip, "AutoProcessor", MagicMock())
    monkeypatch.setattr(clip, "AutoConfig", MagicMock())
    clip.AutoConfig.from_pretrained.return_value.model_type = "clip"
    return load


@pytest.mark.parametrize("model", ["vlm", "clip", "checkpoint"])
def test_weights_go_straight_to_the_gpu_of_their_process(from_pretrained, model, tiny_vlm):
    gpu = torch.device("cuda:1")
    base = types.SimpleNamespace(device=gpu, dtype=torch.bfloat16, config=MagicMock())
    with pytest.raises(KeyboardInterrupt):
        if model == "vlm":
            load_vlm(str(tiny_vlm), device="cuda")
        elif model == "clip":
            CLIP.load(parse(tiny_vlm, "--device", "cuda"))
        else:
            load_checkpoint(types.SimpleNamespace(model=base), tiny_vlm)
    assert from_pretrained.call_args.kwargs["device_map"] == {"": gpu}
