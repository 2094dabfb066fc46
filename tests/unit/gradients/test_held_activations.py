"""What is held between forward and backward: every layer input once, in the model's own dtype."""

import pytest
import torch
from held_activations import held_by_hooks
from model_families import FAMILIES, TEXTS, open_family, save_family
from usual_models import attach_lora

from vlselect.gradients.per_sample import PerSampleGradients
from vlselect.models.lora import load_adapter
from vlselect.pool.records import Record, Turn

pytestmark = pytest.mark.numeric

TALKS = [("tell me more please", "no"), ("which is this: one, two?", "the second one is green.")]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """A family's model in bfloat16, a batch of texts, and the folder of an adapter with B set."""
    folder = tmp_path_factory.mktemp("family")
    save_family(request.param, folder / "model", TEXTS)
    vlm = open_family(folder / "model")
    adapted = attach_lora(vlm.model, rank=2, alpha=4, seed=0)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted.save_pretrained(folder / "adapter")

    def load(dtype, **options):
        vlm = open_family(folder / "model")
        vlm.model.to(getattr(torch, dtype))
        return load_adapter(vlm, folder / "adapter", **options).model

    turns = [tuple(map(Turn, ("user", "assistant"), talk)) for talk in TALKS]
    records = [Record(str(i), "x", (), talk) for i, talk in enumerate(turns)]
    return load, vlm.collate([vlm.encode(record, []) for record in records])


@pytest.mark.parametrize("as_model", [False, True])
def test_a_bfloat16_input_is_held_once_and_never_as_float32(family, as_model):
    load, batch = family
    model = load("bfloat16", as_model=as_model)
    kept, _, _ = held_by_hooks(model, batch)
    inputs = [tensor for name, tensor in kept if ".lora_A." in name]
    assert {tensor.dtype for tensor in inputs} == {torch.bfloat16}
    # Queries, keys and values share an input, and so do gate and up.
    shared = {tensor.data_ptr() for tensor in inputs}
    layers = len(model.get_decoder().layers)
    assert len(inputs) == 7 * layers and len(shared) == 4 * layers


@pytest.mark.parametrize(("dtype", "added"), [("bfloat16", 0.01), ("float16", 0.002)])
def test_an_adapter_in_the_models_dtype_holds_less_and_changes_rounding_only(family, dtype, added):
    load, batch = family
    models = [load("float32"), load(dtype), load(dtype, as_model=True)]
    exact, wide, narrow = (held_by_hooks(model, batch)[1] for model in models)
    assert narrow < wide < exact
    rows = []
    for model in models:
        with PerSampleGradients(model) as per_sample:
            rows.append(per_sample.gradients(batch))
    wide, narrow = ((row - rows[0]).norm(dim=1) / rows[0].norm(dim=1) for row in rows[1:])
    # Both are off by what the model rounds, to which the adapter's rounding adds little.
    assert (narrow < 1.5 * wide + added).all()
