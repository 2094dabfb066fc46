"""Padding: sequences on either side, image tensors of different shapes, samples without images."""

import numpy as np
import pytest
import torch

from vlselect.models.collation import Encoded, collate, join


def sample(length, row, **images):
    ids = torch.arange(1, length + 1)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **images}
    mask = np.arange(length) % 2 == 0
    return Encoded(f"s{row}", inputs, mask, ~mask, np.zeros(length, bool), row)


def pad_slowly(values, length, side, fill):
    values = values.tolist()
    missing = [fill] * (length - len(values))
    return missing + values if side == "left" else values + missing


@pytest.mark.parametrize("side", ["left", "right"])
def test_sequences_and_masks_are_padded_alike(side):
    samples = [sample(3, 5), sample(6, 2), sample(1, 9)]
    batch = collate(samples, side, 77, torch.device("cpu"), torch.float32)
    for i, one in enumerate(samples):
        assert batch.inputs["input_ids"][i].tolist() == pad_slowly(
            one.inputs["input_ids"], 6, side, 77
        )
        assert batch.inputs["attention_mask"][i].tolist() == pad_slowly(
            one.inputs["attention_mask"], 6, side, 0
        )
        assert batch.response[i].tolist() == pad_slowly(one.response, 6, side, False)
        assert batch.instruction[i].tolist() == pad_slowly(one.instruction, 6, side, False)
    assert batch.rows.tolist() == [5, 2, 9] and batch.sample_ids == ["s5", "s2", "s9"]
    assert (batch.labels[~batch.response] == -100).all()


def test_image_tensors_are_filled_up_with_zeros_and_follow_each_other():
    large, small = torch.ones(1, 3, 2, 4, 2), torch.ones(2, 1, 2, 2, 4)
    joined = join([large, small])
    assert joined.shape == (3, 3, 2, 4, 4)
    assert (joined[:1, :, :, :, :2] == 1).all() and (joined[1:, :1, :, :2] == 1).all()
    assert joined.sum() == large.sum() + small.sum()
    grids = join([torch.tensor([[1, 2, 3]]), torch.tensor([[4, 5, 6], [7, 8, 9]])])
    assert grids.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_only_some_samples_have_images_and_floats_get_the_models_dtype():
    samples = [sample(2, 0), sample(2, 1, pixel_values=torch.ones(1, 3), grid=torch.ones(1).long())]
    batch = collate(samples, "right", 0, torch.device("cpu"), torch.bfloat16)
    assert batch.inputs["pixel_values"].shape == (1, 3)
    assert batch.inputs["pixel_values"].dtype == torch.bfloat16
    assert batch.inputs["grid"].dtype == torch.int64
    assert (
        "pixel_values"
        not in collate(samples[:1], "left", 0, torch.device("cpu"), torch.float32).inputs
    )


def test_the_first_tokens_of_a_sample_keep_its_images():
    whole = sample(6, 4, pixel_values=torch.ones(1, 3))
    cut = whole.first(4)
    assert len(cut) == 4 and cut.row == 4 and cut.inputs["input_ids"].tolist() == [1, 2, 3, 4]
    assert cut.inputs["pixel_values"].shape == (1, 3)
    whole.image[5] = True
    with pytest.raises(ValueError, match="'s4' has image tokens beyond max_length 4"):
        whole.first(4)
