"""A checkpoint that is incomplete, or of another model, is an error that lists what is wrong."""

import json
import re
import shutil

import pytest
import torch
from model_families import FAMILIES, TEXTS, save_family
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, CLIPModel
from usual_flags import clip_flags
from usual_models import attach_lora, load_vlm

from vlselect.digits.architecture import build_clip, build_clip_processor, vision_config
from vlselect.features.clip import CLIP
from vlselect.models.checkpoint import load_checkpoint, merge_adapter, save_checkpoint
from vlselect.models.lora import WEIGHTS, load_adapter
from vlselect.models.weights import SHOWN, WeightsError, load_pretrained, require_none

TOWER = re.compile(r"vision_tower|visual|vision_model")
PROJECTOR = re.compile(r"multi_modal_projector|connector|merger")
LANGUAGE = r"(?<!encoder\.)(?<!vision_tower\.)layers\.1\."


def without(pattern):
    return lambda weights: {k: w for k, w in weights.items() if not re.search(pattern, k)}


def reshaped(weights):
    name = next(k for k in weights if re.search(LANGUAGE + r".*q_proj\.weight", k))
    return weights | {name: weights[name][:, 1:].contiguous()}


DAMAGE = {
    "projector left out": (without(PROJECTOR), r"\d+ missing \(model\..*{projector}"),
    "tower renamed": (
        lambda weights: {TOWER.sub("eye", k): w for k, w in weights.items()},
        r"\d+ missing .* and \d+ more\); \d+ not of this model .*eye.* and \d+ more\)",
    ),
    "layer missing": (without(LANGUAGE), r"missing \(.*layers\.1\.input_layernorm\.weight"),
    "wrong shape": (reshaped, r"1 of another shape \(.*q_proj\.weight: \[32, 31\] in place of"),
    "extra weight": (
        lambda weights: weights | {"model.other.weight": torch.ones(2)},
        r"model: 1 not of this model \(.*other\.weight\)",
    ),
    "head missing": (without(r"lm_head"), r"model: 1 missing \(lm_head\.weight\)"),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    return save_family(request.param, tmp_path_factory.mktemp("f") / "model", TEXTS, layers=2)


def damage(folder, target, change, file="model.safetensors"):
    shutil.copytree(folder, target)
    weights = change(load_file(folder / file))
    save_file(weights, target / file, metadata={"format": "pt"})
    return target


def test_sound_checkpoints_load(family):
    saved = load_vlm(str(family), device="cpu").model.state_dict()
    again = load_vlm(str(family), device="cpu").model.state_dict()
    assert all(torch.equal(saved[name], again[name]) for name in saved)


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_refused(family, tmp_path, kind):
    change, expected = DAMAGE[kind]
    folder = damage(family, tmp_path / "model", change)
    expected = expected.replace("{projector}", f"(?:{PROJECTOR.pattern})")
    with pytest.raises(WeightsError, match=expected) as caught:
        load_vlm(str(folder), device="cpu")
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", FAMILIES)
def test_tied_embeddings_are_saved_once_and_load(name, tmp_path):
    processor, model = FAMILIES[name](TEXTS, 2, 32)
    config = model.config
    config.tie_word_embeddings = config.get_text_config().tie_word_embeddings = True
    folder = tmp_path / "model"
    type(model)(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    names = load_file(folder / "model.safetensors")
    assert not any("lm_head" in key for key in names)
    model = load_vlm(str(folder), device="cpu").model
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    bare = damage(folder, tmp_path / "bare", without("embed_tokens"))
    with pytest.raises(WeightsError, match=r"missing \(.*embed_tokens\.weight"):
        load_vlm(str(bare), device="cpu")


def test_everything_is_counted_and_the_first_are_listed():
    names = [f"layer.{i:03d}" for i in range(300)]
    with pytest.raises(WeightsError) as caught:
        require_none("here", names, [], ["a: [1] in place of [2]"])
    message = str(caught.value)
    assert "300 missing (layer.000, " in message and f" and {300 - SHOWN} more)" in message
    assert "1 of another shape (a: [1] in place of [2])" in message and "not of" not in message
    require_none("here", [], [], [])


@pytest.mark.parametrize("part", ["visual_projection", "text_model.final_layer_norm", "layers.0"])
def test_a_clip_is_whole(tmp_path, part):
    processor = build_clip_processor(["a", "b"], 32)
    model = build_clip(processor, vision_config(32, 16, hidden=32, layers=2, heads=2))
    model.save_pretrained(tmp_path / "clip")
    processor.save_pretrained(tmp_path / "clip")
    CLIP.load(clip_flags(tmp_path / "clip"))
    folder = damage(tmp_path / "clip", tmp_path / "bare", without(re.escape(part)))
    with pytest.raises(WeightsError, match=f"missing .*{part}"):
        CLIP.load(clip_flags(folder))
    with pytest.raises(WeightsError, match=f"missing .*{part}"):
        load_pretrained(
            CLIPModel, folder, device=torch.device("cpu")
        )  # as the demo's base model loads its tower


@pytest.fixture
def adapter(tiny_vlm, tmp_path):
    """Folder of an adapter of the language model, with a module that is fully trained."""
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    modules = {"modules_to_save": ("multi_modal_projector",)}
    save_checkpoint(attach_lora(vlm.model, rank=2, alpha=4, seed=0, **modules), tmp_path)
    return tmp_path


MATRIX = "base_model.model.model.language_model.layers.2.mlp.up_proj.lora_B.weight"
ADAPTERS = {
    "matrix missing": (without(re.escape(MATRIX)), rf"model: 1 missing \({MATRIX}\)\. A"),
    "module missing": (without("projector"), r"4 missing \(.*projector\.linear_1\.bias"),
    "extra": (
        lambda weights: weights | {MATRIX.replace("up", "side"): torch.ones(64, 2)},
        r"model: 1 not of this model \(.*side_proj",
    ),
    "shape": (
        lambda weights: weights | {MATRIX: torch.ones(64, 3)},
        r"1 of another shape \(.*up_proj.lora_B.weight: \[64, 3\] in place of \[64, 2\]",
    ),
    "renamed": (
        lambda weights: {k.replace("language_model", "text"): w for k, w in weights.items()},
        r"56 missing \(.* and 36 more\); 56 not of this model \(.* and 36 more\)",
    ),
}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_a_damaged_adapter_is_refused(tiny_vlm, adapter, tmp_path, kind):
    change, expected = ADAPTERS[kind]
    folder = damage(adapter, tmp_path / "damaged", change, WEIGHTS)
    for load in (load_adapter, load_checkpoint):
        with pytest.raises(WeightsError, match=expected):
            load(load_vlm(str(tiny_vlm), device="cpu"), folder)


def test_an_adapter_that_is_cut_off_is_named(tiny_vlm, adapter):
    (adapter / WEIGHTS).write_bytes((adapter / WEIGHTS).read_bytes()[:-100])
    with pytest.raises(WeightsError, match=rf"{WEIGHTS} is broken or cut off \(.*\): delete it"):
        load_checkpoint(load_vlm(str(tiny_vlm), device="cpu"), adapter)


def test_an_adapter_with_names_of_older_transformers_loads(tiny_vlm, tmp_path):
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    save_checkpoint(attach_lora(vlm.model, rank=2, alpha=4, seed=0), tmp_path)
    new = load_adapter(load_vlm(str(tiny_vlm), device="cpu"), tmp_path).model.state_dict()
    weights = load_file(tmp_path / WEIGHTS)
    names = {
        k: k.replace("model.model.language_model.", "model.language_model.model.") for k in weights
    }
    save_file({names[k]: w for k, w in weights.items()}, tmp_path / WEIGHTS)
    old = load_adapter(load_vlm(str(tiny_vlm), device="cpu"), tmp_path).model.state_dict()
    assert names.keys() != set(names.values())
    assert all(torch.equal(old[name], new[name]) for name in new)


@pytest.mark.parametrize(
    ("target", "modules"), [(("embed_tokens", "q_proj"), ()), (None, ("embed_tokens",))]
)
def test_an_adapter_of_the_embeddings_loads(tiny_vlm, tmp_path, target, modules):
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    model = attach_lora(
        vlm.model, rank=2, alpha=4, seed=0, target_modules=target, modules_to_save=modules
    )
    save_checkpoint(model, tmp_path)
    loaded = load_adapter(load_vlm(str(tiny_vlm), device="cpu"), tmp_path).model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())


def test_a_whole_or_merged_checkpoint_has_all_its_weights(tiny_vlm, adapter, tmp_path):
    vlm = merge_adapter(load_checkpoint(load_vlm(str(tiny_vlm), device="cpu"), adapter))
    (tmp_path / "merged").mkdir()
    save_checkpoint(vlm.model, tmp_path / "merged")
    load_checkpoint(load_vlm(str(tiny_vlm), device="cpu"), tmp_path / "merged")
    folder = damage(tmp_path / "merged", tmp_path / "bare", without(PROJECTOR))
    with pytest.raises(WeightsError, match="4 missing"):
        load_checkpoint(load_vlm(str(tiny_vlm), device="cpu"), folder)


def test_a_model_folder_with_an_adapter_in_it_is_refused(tiny_vlm, adapter, tmp_path):
    """Transformers would load it, and then list only the adapter's missing weights."""
    folder = tmp_path / "both"
    shutil.copytree(tiny_vlm, folder)
    for name in (WEIGHTS, "adapter_config.json"):
        shutil.copy(adapter / name, folder)
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["modules_to_save"] = None  # transformers cannot load them
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    save_file(without("projector")(load_file(folder / WEIGHTS)), folder / WEIGHTS)
    assert AutoModelForImageTextToText.from_pretrained(folder)._hf_peft_config_loaded
    with pytest.raises(WeightsError, match="both holds an adapter"):
        load_vlm(str(folder), device="cpu")
