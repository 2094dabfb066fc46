"""scripts/extract_representation.py against single unpadded samples; shards, parts and header."""

import json
from functools import partial

import extract_representation
import numpy as np
import pytest
import torch
from closeness import assert_close_vectors, chain
from tiny_inputs import make_records, prepare
from usual_flags import usual
from usual_models import load_vlm

from vlselect.core.store import ShardedArray
from vlselect.features.weighted_hidden import POSITIONS, position_weighted_mean
from vlselect.gradients import influence, output_gradients
from vlselect.gradients.output_gradients import random_signs
from vlselect.pool import images
from vlselect.pool.samples import Samples

N = 140  # three blocks
ROWS = [*range(30), *range(62, 66), 127, 128, 139]


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("pool"), make_records(N, seed=4))


@pytest.fixture
def run(tiny_vlm, pool):
    def run(*outs, names=("pool",), kind="hidden", positions="all", more=()):
        flags = ["--run", "test", "--names", *names, "--kind", kind]
        flags += ["--positions", positions] if kind == "hidden" else []
        flags += ["--samples", *[pool / "samples.parquet"] * len(names)]
        flags += ["--images", *[pool / "images"] * len(names), "--out", *outs]
        flags += ["--model", tiny_vlm, "--batch-size", "16", *more]
        extract_representation.main([*usual(extract_representation), *map(str, flags)])
        return outs

    return run


def slow_vector(states, tokens):
    """Average the states of these tokens, one after the other, the k-th with weight k."""
    total = sum(k * states[t].double() for k, t in enumerate(tokens, 1))
    return (total / total.norm()).numpy()


@pytest.mark.parametrize("positions", POSITIONS)
def test_rows_are_weighted_means_of_single_samples(run, tiny_vlm, pool, tmp_path, positions):
    array = ShardedArray(run(tmp_path / "hidden.safetensors", positions=positions))
    vlm, expected = load_vlm(str(tiny_vlm), device="cpu"), []
    for record in Samples(pool / "samples.parquet").records(ROWS):
        pictures = [images.load(pool / "images", name, 10**7) for name in record.images]
        sample = vlm.encode(record, pictures)
        with torch.inference_mode():
            output = vlm.model(**vlm.collate([sample]).inputs, output_hidden_states=True)
        own = range(len(sample))
        if positions != "all":
            own = np.flatnonzero(sample.response)
        if positions == "prompt":
            own = [place - 1 for place in own if place - 1 not in own]
        expected.append(slow_vector(output.hidden_states[-1][0], own))
    assert array.shape == (N, 32) and array.dtype == np.float16
    assert_close_vectors(array[ROWS], np.stack(expected), terms=chain(vlm.model), stored="float16")
    header = array.metadata[0]
    assert header["positions"] == positions and header["kind"] == "hidden"
    assert (header["model"], header["rows"], header["part"]) == (str(tiny_vlm), f"0:{N}", "pool")


def test_padding_on_either_side_and_what_is_outside_do_not_count():
    states = torch.tensor([[3.0, 1.0, 5.0, torch.nan], [torch.nan, 3.0, 1.0, 5.0]])[:, :, None]
    mask = torch.tensor([[True, True, True, False], [False, True, True, True]])
    found = position_weighted_mean(states, mask).flatten().tolist()
    assert found == pytest.approx([20 / 6, 20 / 6])
    holes = torch.tensor([[True, False, True, False]])
    assert position_weighted_mean(states[:1], holes).item() == pytest.approx(13 / 3)


def slow_gradient(model, states, logits, tokens):
    """Differentiate the loss of these tokens by the output matrix, and project its two sides."""
    weight = model.get_output_embeddings().weight.detach().double().requires_grad_()
    known = states.double() @ weight.T
    torch.testing.assert_close(known.float(), logits)
    wanted = torch.tensor([token for _, token in tokens])
    known = known[[place - 1 for place, _ in tokens]]
    torch.nn.functional.cross_entropy(known, wanted, reduction="sum").backward()
    sides = [random_signs(n, dim, seed, "cpu").double() for n, dim, seed in sides_of(model)]
    vector = (sides[0].T @ weight.grad.T @ sides[1]).flatten()
    return (vector / vector.norm()).numpy()


def sides_of(model):
    vocabulary, width = model.get_output_embeddings().weight.shape
    return [(width, output_gradients.HIDDEN, 0), (vocabulary, output_gradients.TOKENS, 1)]


@pytest.mark.parametrize("sides", [(128, 64), (20, 50)])
def test_rows_are_projected_gradients_of_the_output_layer(
    run, tiny_vlm, pool, tmp_path, monkeypatch, sides
):
    monkeypatch.setattr(output_gradients, "HIDDEN", sides[0])
    monkeypatch.setattr(output_gradients, "TOKENS", sides[1])
    array = ShardedArray(run(tmp_path / "output.safetensors", kind="output"))
    vlm, expected = load_vlm(str(tiny_vlm), device="cpu"), []
    for record in Samples(pool / "samples.parquet").records(ROWS):
        pictures = [images.load(pool / "images", name, 10**7) for name in record.images]
        sample = vlm.encode(record, pictures)
        with torch.no_grad():
            inputs = vlm.collate([sample]).inputs
            output = vlm.model(**inputs, output_hidden_states=True)
        ids = inputs["input_ids"][0].tolist()
        tokens = [(place, ids[place]) for place in np.flatnonzero(sample.response)]
        states = output.hidden_states[-1][0]
        expected.append(slow_gradient(vlm.model, states, output.logits[0], tokens))
    assert array.shape == (N, len(expected[0])) and array.dtype == np.float16
    assert_close_vectors(array[ROWS], np.stack(expected), terms=chain(vlm.model), stored="float16")
    header = array.metadata[0]
    assert header["kind"] == "output"
    about = {"type": "output", "hidden": sides[0], "tokens": sides[1]}
    assert json.loads(header["projection"]) == about


def test_signs_are_balanced_and_independent_of_the_number_of_rows():
    signs = random_signs(5000, 64, 1, "cpu")
    assert set(signs.unique().tolist()) == {-0.125, 0.125}
    products = signs.T @ signs / len(signs) * 64
    off = products - torch.eye(64)
    assert products.diagonal().tolist() == pytest.approx([1] * 64)
    assert off.abs().max() < 5 / 5000**0.5
    assert torch.equal(random_signs(70, 64, 1, "cpu"), signs[:70])
    assert not torch.equal(random_signs(70, 64, 0, "cpu"), signs[:70])


def test_a_sample_that_is_predicted_without_an_error_has_zeros(tiny_vlm):
    projection = output_gradients.OutputProjection(load_vlm(str(tiny_vlm), device="cpu").model)
    targets = torch.tensor([3, 5])
    logits = torch.full((2, len(projection.tokens)), -1e9)
    logits[[0, 1], targets] = 0
    assert not projection.errors(logits, targets).any()


@pytest.mark.parametrize("kind", ["hidden", "output"])
def test_shards_and_parts_hold_the_same_bits_and_compare(run, tmp_path, kind):
    run = partial(run, kind=kind)
    whole = ShardedArray(run(tmp_path / "whole.safetensors"))
    paths = [tmp_path / f"shard-{i}-of-3.safetensors" for i in (1, 2, 3)]
    for i, path in enumerate(paths, 1):
        run(path, more=["--shard", f"{i}-of-3"])
    assert np.array_equal(ShardedArray(paths)[:].view(np.uint16), whole[:].view(np.uint16))
    files = run(tmp_path / "a", tmp_path / "b", names=("alpha", "beta"))
    parts = [ShardedArray([path]) for path in files]
    for name, part in zip(("alpha", "beta"), parts, strict=True):
        assert np.array_equal(part[:], whole[:]) and part.metadata[0]["part"] == name
    influence.require_comparable({"pool": whole, "alpha": parts[0], "beta": parts[1]})
