"""Models in 4 and 8 bits: features and LoRA; run where bitsandbytes is installed."""

import csv
import re
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from config_defaults import finetune_settings
from safetensors.torch import load_file, save_file
from usual_models import load_vlm

from vlselect.checkpoints.finetune import prepare_model, train
from vlselect.core.store import replacing_directory
from vlselect.features.forward_pass import extract_features
from vlselect.models.checkpoint import load_checkpoint, merge_adapter, save_checkpoint
from vlselect.models.loading import is_quantised
from vlselect.models.weights import WeightsError
from vlselect.pool import images
from vlselect.pool.samples import Samples

train = partial(train, max_pixels=10**7)

bnb = pytest.importorskip("bitsandbytes")
KINDS = {"4bit": bnb.nn.Linear4bit, "8bit": bnb.nn.Linear8bitLt}
LORA = finetune_settings(
    rank=4, alpha=8, epochs=4, learning_rate=1e-2, batch_size=2, gradient_accumulation=1
)
ROWS = [0, 1, 2, 3, 5, 8]

pytestmark = pytest.mark.parametrize("quantisation", KINDS)


def load(tiny_vlm, quantisation=None):
    return load_vlm(str(tiny_vlm), device="cpu", quantisation=quantisation)


def batch(vlm, tiny_pool):
    records = Samples(tiny_pool / "samples.parquet").records(ROWS)
    load_images = [[images.load(tiny_pool / "images", n, 10**6) for n in r.images] for r in records]
    return vlm.collate([vlm.encode(r, p) for r, p in zip(records, load_images, strict=True)])


def test_linear_layers_are_quantised_and_the_output_stays_close(tiny_vlm, tiny_pool, quantisation):
    whole, small = load(tiny_vlm), load(tiny_vlm, quantisation)
    kind = KINDS[quantisation]
    assert is_quantised(small.model)
    layers = [m for m in small.model.get_decoder().modules() if isinstance(m, torch.nn.Linear)]
    assert layers and all(isinstance(layer, kind) for layer in layers)
    given = batch(whole, tiny_pool)
    with torch.no_grad():
        first, second = (v.model(**given.inputs).logits.log_softmax(-1) for v in (whole, small))
    difference = (first - second)[given.response].abs().mean() / first[given.response].std()
    assert 0 < difference < 0.5


def test_features_can_be_extracted(tiny_vlm, tiny_pool, quantisation):
    vlm = load(tiny_vlm, quantisation)
    layers = vlm.language_layers
    values = extract_features(
        vlm.model, layers, batch(vlm, tiny_pool), layers=[0, 3], variant="released"
    )
    whole = load(tiny_vlm)
    exact = extract_features(
        whole.model,
        whole.language_layers,
        batch(whole, tiny_pool),
        layers=[0, 3],
        variant="released",
    )
    for name, expected in exact.items():
        assert values[name].shape == expected.shape and np.isfinite(values[name]).all()
    cosines = (values["mean_hidden"] * exact["mean_hidden"]).sum(1, dtype=np.float64)
    cosines /= np.linalg.norm(values["mean_hidden"].astype(float), axis=1)
    cosines /= np.linalg.norm(exact["mean_hidden"].astype(float), axis=1)
    assert 0.8 < cosines.min() < cosines.max() < 1


def test_lora_learns_and_its_checkpoint_loads(tiny_vlm, tiny_pool, tmp_path, quantisation):
    vlm = load(tiny_vlm, quantisation)
    given = batch(vlm, tiny_pool)
    samples, pictures = Samples(tiny_pool / "samples.parquet"), tiny_pool / "images"
    model = train(vlm, samples, ROWS, pictures, LORA, 0, tmp_path / "log.csv")
    with (tmp_path / "log.csv").open(encoding="utf-8") as file:
        losses = [float(line["loss"]) for line in csv.DictReader(file)]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    with replacing_directory(tmp_path / "checkpoint") as directory:
        save_checkpoint(model, directory)
    loaded = load_checkpoint(load(tiny_vlm, quantisation), tmp_path / "checkpoint")
    with torch.no_grad():
        trained, read = model(**given.inputs).logits, loaded.model(**given.inputs).logits
    assert torch.equal(trained, read)
    with pytest.raises(ValueError, match="quantised"):
        merge_adapter(loaded)


def test_quantised_weights_are_not_trained_themselves(tiny_vlm, quantisation):
    with pytest.raises(ValueError, match="adapter none: quantised"):
        prepare_model(load(tiny_vlm, quantisation).model, finetune_settings(adapter="none"), 0)


@pytest.mark.parametrize(
    "part", ["multi_modal_projector", r"language_model.*layers\.1\.", "lm_head"]
)
def test_a_checkpoint_that_is_not_whole_is_refused(tiny_vlm, tmp_path, quantisation, part):
    folder = shutil.copytree(tiny_vlm, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    left = {name: weight for name, weight in weights.items() if not re.search(part, name)}
    save_file(left, folder / "model.safetensors", metadata={"format": "pt"})
    missing = len(weights) - len(left)
    with pytest.raises(WeightsError, match=rf"model: {missing} missing \(.*\)\. A"):
        load_vlm(str(folder), device="cpu", quantisation=quantisation)
    left["model.other.weight"] = torch.ones(2)
    save_file(left, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"missing .* 1 not of this model \(model\.other"):
        load_vlm(str(folder), device="cpu", quantisation=quantisation)


def test_a_weight_of_another_shape_is_refused(tiny_vlm, tmp_path, quantisation):
    """Transformers does not compare the shapes of weights that it quantises."""
    folder = shutil.copytree(tiny_vlm, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("layers.1.self_attn.q_proj.weight"))
    weights[name] = weights[name][:, :-2].contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"1 of another .*q_proj.weight: \[32, 30\] in place of"):
        load_vlm(str(folder), device="cpu", quantisation=quantisation)
