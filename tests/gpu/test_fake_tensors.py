"""Every pass with a model of every family, on torch's fake CUDA tensors: none mixes devices.

FakeTensorMode stops where code reads values, which each pass of ours does with its masks and each
model with its images. On a `FakeGPU` passes run to their end, with the CPU's results.
"""

import copy

import pytest
import torch
from closeness import assert_close_vectors, chain
from fake_gpu import GPU, STOPS, FakeGPU
from masked_images import encode_all
from model_families import FAMILIES, TEXTS, open_family, save_family
from other_families import qwen3_5
from published_models import FOLDER, save_published
from usual_models import attach_lora, make_vlm

from vlselect.features import forward_pass
from vlselect.features.attended import extract_attended, instruction_rows
from vlselect.features.gains import extract_gains
from vlselect.features.signatures import extract_signatures
from vlselect.features.visual import extract_visual
from vlselect.features.weighted_hidden import hidden_and_losses
from vlselect.gradients import projection
from vlselect.gradients.output_gradients import OutputProjection, gradients_and_losses
from vlselect.gradients.per_sample import PerSampleGradients
from vlselect.gradients.shifted import ShiftedSum

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="for a torch without a GPU")
PUBLISHED = ("qwen3-vl-instruct", "glm-4.1v-9b-thinking")  # of architectures not in FAMILIES
STREAMED = ("shifted", "sjlt")


def features(vlm, batch):
    given, chosen = (vlm.model, vlm.language_layers, batch), [len(vlm.language_layers) - 1]
    return forward_pass.extract_features(*given, layers=chosen, variant="paper").values()


def attended(vlm, batch):
    rows, last = instruction_rows(batch, "prompt", vlm.special), len(vlm.language_layers)
    return extract_attended(vlm.model, vlm.language_layers, batch, rows, layer=last, mass=0.9)[:1]


def signatures(vlm, batch):
    chosen = [len(vlm.language_layers) - 1]
    return extract_signatures(vlm.model, vlm.language_layers, batch, layers=chosen).values()


def gradients(vlm, batch):
    with PerSampleGradients(vlm.model) as per_sample:
        settings = {"size": per_sample.size, "dim": 64, "seed": 0, "device": vlm.device}
        settings |= {"nonzeros": 3, "implementation": "auto"}
        sums = [projection.make(kind, **settings).begin(len(batch)) for kind in STREAMED]
        losses = per_sample.stream(batch, lambda *block: [one.add(*block) for one in sums])
    return losses, *(one.result() for one in sums)


PASSES = {
    "features": features,
    "attended": attended,
    "signatures": signatures,
    "gains": lambda vlm, batch: extract_gains(vlm.model, batch).values(),
    "visual": lambda vlm, batch: [extract_visual(vlm.model, vlm.language_layers, batch, layer=1)],
    "hidden": lambda vlm, batch: hidden_and_losses(vlm.model, batch, positions="prompt"),
    "output": lambda vlm, batch: gradients_and_losses(
        vlm.model, batch, OutputProjection(vlm.model)
    ),
    "gradients": gradients,
}


def loaded(name, folder):
    if name in FAMILIES:
        return open_family(save_family(name, folder, TEXTS, layers=2))
    if name not in PUBLISHED:
        return make_vlm(*reversed(qwen3_5(TEXTS, 4, 32)), name)
    if not FOLDER.is_dir():
        pytest.skip("no files of published checkpoints")
    return open_family(save_published(name, folder, TEXTS))


@pytest.fixture(scope="module", params=[*FAMILIES, *PUBLISHED, "qwen3_5"])
def both(request, tmp_path_factory):
    """A model with an adapter on the CPU, the same on a fake GPU, two samples, and that GPU."""
    vlm, gpu = loaded(request.param, tmp_path_factory.mktemp("family") / request.param), FakeGPU()
    samples = encode_all(vlm)[:2]  # with an image, and without
    vlm.model = attach_lora(vlm.model, rank=2, alpha=4, seed=0).eval()
    for name, weight in vlm.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    moved = copy.copy(vlm)
    moved.model = copy.deepcopy(vlm.model)
    with gpu.on():
        moved.model.to(GPU)
    return vlm, moved, samples, gpu


def run(name, vlm, samples):
    """Run a pass on a batch that is made and moved as ours are; return its arrays."""
    eager = name in ("attended", "signatures")  # which read the weights of attention
    vlm.model.get_base_model().set_attn_implementation("eager" if eager else "sdpa")
    chosen = samples[:1] if name == "signatures" else samples
    found = PASSES[name](vlm, vlm.collate(chosen, device="cpu").to(vlm.device))
    return [one.cpu().numpy() if isinstance(one, torch.Tensor) else one for one in found]


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_mixes_no_devices_and_has_the_results_of_the_cpu(name, both):
    vlm, moved, samples, gpu = both
    expected = run(name, vlm, samples)
    with gpu.on():
        assert moved.device == GPU
        found = run(name, moved, samples)
    for one, other in zip(found, expected, strict=True):
        assert_close_vectors(one, other, terms=2 * chain(vlm.model), stored=str(other.dtype))


FORGETFUL = {  # passes, a function of each, and what it is given in place of its arguments
    "features": (forward_pass, "last_hidden", lambda hidden, mask: (hidden, mask.cpu())),
    "gradients": (ShiftedSum, "add", lambda own, offset, block: (own, offset, block.cpu())),
}


@pytest.mark.parametrize("both", ["llava"], indirect=True)
@pytest.mark.parametrize("name", FORGETFUL)
def test_a_tensor_that_a_pass_forgets_on_the_cpu_is_found(name, both, monkeypatch):
    _, moved, samples, gpu = both
    place, function, forget = FORGETFUL[name]
    whole = getattr(place, function)
    monkeypatch.setattr(place, function, lambda *given: whole(*forget(*given)))
    with gpu.on(), pytest.raises(RuntimeError, match=r"cuda:0 and cpu|cpu and cuda:0"):
        run(name, moved, samples)


@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="fewer stop in a torch for CUDA")
@pytest.mark.parametrize("func", STOPS, ids=str)
def test_fake_tensors_alone_stop_where_it_is_listed(func):
    gpu = FakeGPU()
    with gpu.on():
        STOPS[func](torch.ones(4, device=GPU))
    assert func in gpu.stopped
