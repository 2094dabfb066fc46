import json
import sys

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForImageTextToText
from usual_models import attach_lora, load_vlm

from vlselect.core.errors import InputError
from vlselect.models.checkpoint import weights_digest
from vlselect.models.lora import language_linears, load_adapter


@pytest.fixture
def model(tiny_vlm):
    return AutoModelForImageTextToText.from_pretrained(tiny_vlm)


def lora_weights(model):
    return {name: p for name, p in model.named_parameters() if "lora_" in name}


def test_all_linear_layers_of_the_language_model_and_no_other_are_adapted(model):
    expected = {
        f"model.language_model.layers.{i}.{name}"
        for i in range(4)
        for name in (
            *(f"self_attn.{x}_proj" for x in "qkvo"),
            *(f"mlp.{x}_proj" for x in ("gate", "up", "down")),
        )
    }
    adapted = attach_lora(model, rank=2, alpha=4, seed=0)
    names = {
        name.removeprefix("base_model.model.").partition(".lora_")[0]
        for name in lora_weights(adapted)
    }
    assert names == expected
    assert len(lora_weights(adapted)) == 2 * 28


def test_only_lora_is_trainable_and_nothing_changes_before_training(model):
    tokens = torch.tensor([[1, 9, 10, 11]])
    before = model(input_ids=tokens).logits.detach()
    adapted = attach_lora(model, rank=2, alpha=4, seed=0)
    assert {name for name, p in adapted.named_parameters() if p.requires_grad} == set(
        lora_weights(adapted)
    )
    assert torch.equal(adapted(input_ids=tokens).logits, before)


def test_a_regular_expression_or_ends_of_names_choose_other_modules(model, tiny_vlm):
    pattern = attach_lora(model, rank=2, alpha=4, seed=0, target_modules=r".*layers\.0\..*q_proj")
    assert all(".layers.0." in name and "q_proj" in name for name in lora_weights(pattern))
    other = AutoModelForImageTextToText.from_pretrained(tiny_vlm)
    ends = attach_lora(other, rank=2, alpha=4, seed=0, target_modules=("up_proj", "k_proj"))
    ours = {name.split(".lora_")[0].rpartition(".")[2] for name in lora_weights(ends)}
    assert ours == {"up_proj", "k_proj"}


def test_a_pattern_that_matches_nothing_is_an_error(model):
    with pytest.raises(ValueError, match="no_such"):
        attach_lora(model, rank=2, alpha=4, seed=0, target_modules="no_such")


def test_seed_alone_decides_the_first_weights(tiny_vlm):
    weights = []
    for global_seed, seed in ((0, 5), (1, 5), (1, 6)):
        model = AutoModelForImageTextToText.from_pretrained(tiny_vlm)
        torch.manual_seed(global_seed)
        state = torch.get_rng_state()
        weights.append(lora_weights(attach_lora(model, rank=2, alpha=4, seed=seed)))
        assert torch.equal(torch.get_rng_state(), state)
    first, same, other = weights
    assert all(torch.equal(first[name], same[name]) for name in first)
    for name in first:
        assert (first[name] == 0).all() == (".lora_B." in name)
        if ".lora_A." in name:
            assert not torch.equal(first[name], other[name])
            bound = first[name].shape[1] ** -0.5
            assert first[name].abs().max() <= bound
            assert first[name].abs().max() > 0.7 * bound


def test_adapter_is_float32_on_a_bfloat16_model(tiny_vlm):
    model = AutoModelForImageTextToText.from_pretrained(tiny_vlm, dtype=torch.bfloat16)
    adapted = attach_lora(model, rank=2, alpha=4, seed=0)
    assert {p.dtype for p in lora_weights(adapted).values()} == {torch.float32}


def test_saved_adapter_loads_frozen_with_the_same_output(model, tiny_vlm, tmp_path):
    tokens = torch.tensor([[1, 9, 10, 11]])
    adapted = attach_lora(
        model, rank=2, alpha=4, dropout=0.5, modules_to_save=["multi_modal_projector"], seed=0
    ).eval()
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.1)
        expected = adapted(input_ids=tokens).logits
    adapted.save_pretrained(tmp_path)
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    assert load_adapter(vlm, tmp_path) is vlm
    assert isinstance(vlm.model, PeftModel)
    assert not any(module.training for module in vlm.model.modules())
    assert not any(parameter.requires_grad for parameter in vlm.model.parameters())
    torch.testing.assert_close(vlm.model(input_ids=tokens).logits, expected)
    assert len(vlm.language_layers) == 4
    stored = load_file(tmp_path / "adapter_model.safetensors")
    assert sum("lora_" in name for name in stored) == 56
    assert sum("multi_modal_projector" in name for name in stored) == 4


def test_config_on_disk_is_the_same_every_time_and_readable(tiny_vlm, tmp_path):
    model = AutoModelForImageTextToText.from_pretrained(tiny_vlm)
    attach_lora(model, rank=2, alpha=4, seed=0).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    targets = config["target_modules"].split("|")
    assert len(targets) == 7  # layer numbers are wildcards
    assert targets == sorted(targets)


def test_digest_follows_the_weights(tiny_vlm, tmp_path):
    digests = []
    for seed in (0, 0, 1):
        model = AutoModelForImageTextToText.from_pretrained(tiny_vlm)
        folder = tmp_path / str(len(digests))
        attach_lora(model, rank=2, alpha=4, seed=seed).save_pretrained(folder)
        digests.append(weights_digest(folder))
    assert digests[0] == digests[1] != digests[2]


def test_folder_without_a_safetensors_adapter_is_refused(tiny_vlm, tmp_path):
    (tmp_path / "adapter_model.bin").write_bytes(b"never unpickled")
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    with pytest.raises(FileNotFoundError, match="holds no LoRA adapter"):
        load_adapter(vlm, tmp_path)


STRANGE = {
    "no JSON": "{",
    "a list": "[]",
    "no kind": "{}",
    "an unknown kind": '{"peft_type": "EVIL"}',
    "another kind": '{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 2}',
    "a rank that is none": '{"peft_type": "LORA", "r": "2", "target_modules": "all-linear"}',
    "nothing adapted": '{"peft_type": "LORA", "target_modules": ["none"]}',
    "settings of another start": '{"peft_type": "LORA", "init_lora_weights": "corda"}',
}


@pytest.mark.parametrize("what", STRANGE)
def test_a_config_that_is_none_of_ours_is_refused_by_its_name(tiny_vlm, tmp_path, what):
    model = AutoModelForImageTextToText.from_pretrained(tiny_vlm)
    attach_lora(model, rank=2, alpha=4, seed=0).save_pretrained(tmp_path)
    (tmp_path / "adapter_config.json").write_text(STRANGE[what])
    with pytest.raises(InputError, match=r"adapter_config\.json"):
        load_adapter(load_vlm(str(tiny_vlm), device="cpu"), tmp_path)


def test_an_adapter_of_another_base_goes_onto_ours(tiny_vlm, tmp_path):
    """What the file names is not opened, asked for or imported."""
    model = AutoModelForImageTextToText.from_pretrained(tiny_vlm)
    attach_lora(model, rank=2, alpha=4, seed=0).save_pretrained(tmp_path)
    path = tmp_path / "adapter_config.json"
    config = json.loads(path.read_text()) | {"base_model_name_or_path": "https://example/evil"}
    path.write_text(json.dumps(config | {"auto_mapping": {"parent_library": "antigravity"}}))
    loaded = load_adapter(load_vlm(str(tiny_vlm), device="cpu"), tmp_path)
    assert loaded.path == str(tiny_vlm) and "antigravity" not in sys.modules


class Toy(nn.Module):
    """A language model with numbered layers of several kinds."""

    def __init__(self, *layers):
        super().__init__()
        self.text = nn.Module()
        self.text.layers = nn.ModuleList(nn.ModuleDict({"proj": layer}) for layer in layers)
        self.text.head = nn.Linear(2, 3)
        self.vision = nn.Linear(2, 2)

    def get_decoder(self):
        return self.text

    def get_output_embeddings(self):
        return self.text.head


def test_output_layer_inside_the_decoder_is_left_out():
    model = Toy(nn.Linear(2, 2), nn.Linear(2, 2))
    assert language_linears(model) == r"text\.layers\.\d+\.proj"


def test_names_that_also_fit_another_kind_of_layer_are_refused():
    with pytest.raises(ValueError, match=r"'text.layers.1.proj' has the name of an adapted layer"):
        language_linears(Toy(nn.Linear(2, 2), nn.LayerNorm(2)))


def test_language_model_without_linear_layers_is_refused():
    with pytest.raises(ValueError, match="no linear layer"):
        language_linears(Toy(nn.LayerNorm(2)))
