"""Passes without gradients keep no graph: all of them run in torch's inference mode."""

from functools import partial

import pytest
import torch
from tiny_inputs import WORDS
from usual_models import load_vlm

from vlselect.benchmarks.generation import generate
from vlselect.digits.architecture import build_clip, build_clip_processor, vision_config
from vlselect.features.attended import extract_attended
from vlselect.features.clip import CLIP, extract_clip
from vlselect.features.forward_pass import extract_features
from vlselect.models.batching import batches
from vlselect.pool.samples import Samples

generate = partial(generate, max_pixels=10**7)
extract_clip = partial(extract_clip, max_pixels=10**7)
batches = partial(batches, max_pixels=10**7)

ROWS = range(4)


def features(vlm, batch, samples, root):
    extract_features(vlm.model, vlm.language_layers, batch, layers=[0], variant="released")


def attended(vlm, batch, samples, root):
    rows = batch.instruction
    extract_attended(vlm.model, vlm.language_layers, batch, rows, layer=1, mass=0.9)


def answers(vlm, batch, samples, root):
    generate(vlm, samples, ROWS, root, max_new_tokens=2)


def clip(vlm, batch, samples, root):
    list(extract_clip(vlm, samples, ROWS, root))


def make_clip():
    processor = build_clip_processor(WORDS, 32)
    vision = vision_config(32, 16, hidden=32, layers=2, heads=2)
    return CLIP(build_clip(processor, vision), processor, "clip", "", 4)


@pytest.mark.parametrize("stage", [features, attended, answers, clip])
def test_every_layer_runs_in_inference_mode(stage, tiny_vlm, tiny_pool):
    samples, root, batch = Samples(tiny_pool / "samples.parquet"), tiny_pool / "images", None
    if stage is clip:
        vlm = make_clip()
    else:
        vlm = load_vlm(str(tiny_vlm), device="cpu", attention="eager")
        batch = next(batches(vlm, samples, ROWS, root))
    modes = []
    for module in vlm.model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(
                lambda module, args: modes.append(torch.is_inference_mode_enabled())
            )
    stage(vlm, batch, samples, root)
    assert len(modes) > 10 and all(modes)
