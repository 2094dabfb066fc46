"""Operations by arithmetic are those that torch counts on a small model."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from usual_models import attach_lora, load_vlm

from vlselect.gradients.per_sample import PerSampleGradients
from vlselect.models.batching import batches
from vlselect.plan import arithmetic
from vlselect.plan.arithmetic import Sample
from vlselect.plan.shapes import shape_of
from vlselect.pool.samples import Samples

RANK = 8


@pytest.fixture(scope="module")
def vlm(tiny_vlm):
    return load_vlm(str(tiny_vlm), attention="eager")


@pytest.fixture(scope="module")
def shape(vlm):
    return shape_of(vlm.model)  # before an adapter is attached


@pytest.fixture(scope="module")
def batch(vlm, tiny_pool):
    samples = Samples(tiny_pool / "samples.parquet")
    alone = [int(row) for row in samples.frame(["n_images"]).query("n_images == 1").index[:1]]
    (batch,) = batches(vlm, samples, alone, tiny_pool / "images", max_pixels=10**7)
    return batch


def count(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def sample_of(vlm, batch, responses):
    vision = vlm.model.config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2 + 1  # with the class token
    return Sample(batch.response.shape[1], responses, patches)


def test_a_forward_pass_has_the_operations_that_torch_counts(vlm, shape, batch):
    with torch.no_grad():
        counted = count(lambda: vlm.model(**batch.inputs, use_cache=False))
    sample = sample_of(vlm, batch, batch.response.shape[1])
    patches = arithmetic.tower(shape, sample)
    assert arithmetic.decoder(shape, sample) == pytest.approx(counted - patches, rel=0.05)
    assert arithmetic.forward(shape, sample) == pytest.approx(counted, rel=0.05)


@pytest.mark.parametrize("trained", [False, True])
def test_gradients_and_a_training_step_have_them_too(tiny_vlm, shape, batch, trained):
    vlm = load_vlm(str(tiny_vlm), attention="eager")
    vlm.model = attach_lora(vlm.model, rank=RANK, alpha=RANK, seed=0).eval()
    sample = sample_of(vlm, batch, int(batch.response[:, 1:].sum()))
    if trained:

        def run():
            vlm.model(**batch.inputs, labels=batch.labels, use_cache=False).loss.backward()

        sample = sample_of(vlm, batch, batch.response.shape[1])
        expected = arithmetic.training(shape, RANK, sample, checkpointing=False)
    else:

        def run():
            with PerSampleGradients(vlm.model) as per_sample:
                per_sample.stream(batch, lambda offset, block: None)

        expected = arithmetic.gradients(shape, RANK, sample)
    assert expected == pytest.approx(count(run), rel=0.08)


def test_an_adapter_of_llava_7b_has_the_published_size():
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    with torch.device("meta"):  # transformers' defaults are those of llava-1.5-7b
        shape = shape_of(LlavaForConditionalGeneration(LlavaConfig()))
    assert 128 * shape.lora == 319_815_680
    assert 6.9e9 < shape.weights < 7.1e9 and 0.3e9 < shape.vision < 0.35e9
    whole = arithmetic.training(shape, 128, Sample(760, 200, 577), checkpointing=True)
    assert 3e13 < whole < 4e13


def test_patches_of_a_tile_attend_to_each_other_alone():
    sizes = {"weights": 1, "language": 1, "head": 1, "vision": 7, "layers": 1, "attention": 1}
    sizes |= {"hidden": 1, "vision_layers": 3, "vision_attention": 5, "lora": 1}
    one, four = arithmetic.Sample(1, 1, 10), arithmetic.Sample(1, 1, 40)
    tiled = arithmetic.Shape(**sizes, tile=10)
    assert arithmetic.tower(tiled, four) == 4 * arithmetic.tower(tiled, one)
    whole = arithmetic.Shape(**sizes)
    assert arithmetic.tower(whole, four) == 2 * 7 * 40 + 4 * 3 * 5 * 40**2
