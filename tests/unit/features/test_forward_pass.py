"""One forward pass over a batch against slow single-sample references on a tiny LLaVA."""

from itertools import combinations

import numpy as np
import pytest
import torch
from closeness import assert_close_vectors, chain, distances, rounding
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    Gemma2Config,
    GPTNeoXConfig,
    LlavaConfig,
    PhiConfig,
)
from usual_models import load_vlm

from vlselect.features.activations import VARIANTS
from vlselect.features.attended import extract_attended
from vlselect.features.forward_pass import (
    KINDS,
    extract_features,
    last_hidden,
    require_images,
    shard_header,
)
from vlselect.models.vlm import Batch
from vlselect.pool.records import Record, Turn

pytestmark = pytest.mark.numeric

LAYERS = [0, 2, 3]
CONVERSATIONS = [
    (1, ["<image>\nwhat digit is this", "three"]),
    (0, ["how many a b c d are there", "four . very red"]),
    (1, ["<image>\nwhich colour", "blue", "and then", "tell me more please", "is it 2", "yes"]),
    (2, ["<image><image>\ndescribe the image please", "a red digit and a very blue one"]),
    (1, ["is there a green digit ? <image>", "no"]),
    (0, ["what is 1 and 2", "3", "and then 2", "no 4 4"]),
]


def make_records():
    records = []
    for i, (n_images, texts) in enumerate(CONVERSATIONS):
        turns = tuple(Turn(("user", "assistant")[j % 2], text) for j, text in enumerate(texts))
        names = tuple(f"{i}-{j}.png" for j in range(n_images))
        records.append(Record(f"sample-{i}", "test", names, turns))
    return records


def encode_all(vlm):
    rng = np.random.default_rng(0)
    encoded = []
    for row, record in enumerate(make_records()):
        pixels = [rng.integers(0, 255, (40, 40, 3), dtype=np.uint8) for _ in record.images]
        encoded.append(vlm.encode(record, [Image.fromarray(p) for p in pixels]))
        encoded[-1].row = row
    return encoded


@pytest.fixture(scope="module")
def vlm(tiny_vlm):
    return load_vlm(str(tiny_vlm), device="cpu", attention="eager")


@pytest.fixture(scope="module")
def encoded(vlm):
    return encode_all(vlm)


def extract(vlm, batch, variant="released"):
    return extract_features(vlm.model, vlm.language_layers, batch, layers=LAYERS, variant=variant)


@torch.no_grad()
def slow_attention(layer, hidden, weights):
    """Compute MSA(LN(x)) after the output projection, from weights (H, T, T) and x (T, d)."""
    attention = layer.self_attn
    values = attention.v_proj(layer.input_layernorm(hidden))  # (T, G·h)
    values = values.unflatten(-1, (-1, attention.head_dim))  # (T, G, h)
    values = values.repeat_interleave(weights.shape[0] // values.shape[1], dim=1)  # (T, H, h)
    heads = [weights[h] @ values[:, h] for h in range(weights.shape[0])]
    return attention.o_proj(torch.cat(heads, dim=-1))


@torch.no_grad()
def slow_features(vlm, sample, variant):
    """Compute the four kinds for one sample, alone and unpadded, from the model's own outputs."""
    batch = vlm.collate([sample])
    output = vlm.model(**batch.inputs, output_hidden_states=True, output_attentions=True)
    parts = []
    for i in LAYERS:
        x = output.hidden_states[i][0]
        z = slow_attention(vlm.language_layers[i], x, output.attentions[i][0])
        for mask in (sample.image, sample.instruction | sample.response):
            if not mask.any():
                parts.append(torch.zeros(x.shape[-1]))
            elif variant == "paper":
                parts.append(torch.tanh(z + x)[mask].mean(dim=0))
            else:
                parts.append(torch.tanh(z[mask].mean(dim=0)))
    parts = [u / u.norm() if u.any() else u for u in parts]
    vector = torch.cat(parts)
    signals = []
    for t in np.flatnonzero(sample.response):
        p = torch.softmax(output.logits[0, t - 1].double(), dim=0)
        true = int(batch.inputs["input_ids"][0, t])
        onehot = torch.zeros_like(p)
        onehot[true] = 1
        others = torch.cat([p[:true], p[true + 1 :]])
        signals.append([-p[true].log(), (p - onehot).norm(), p[true] - others.max()])
    final = output.hidden_states[-1][0]
    return {
        "activations": vector / vector.norm(),
        "last_token": final[-1],
        "mean_hidden": final.mean(dim=0),
        "likelihood": torch.tensor(signals).mean(dim=0),
    }


def assert_close(vlm, kind, values, expected):
    assert_close_vectors(values, expected, terms=chain(vlm.model), stored=KINDS[kind], name=kind)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_batch_agrees_with_single_samples(vlm, encoded, variant, side):
    got = extract(vlm, vlm.collate(encoded, padding_side=side), variant)
    for i, sample in enumerate(encoded):
        for kind, expected in slow_features(vlm, sample, variant).items():
            assert_close(vlm, kind, got[kind][i], expected)


def test_shapes_and_dtypes_are_those_of_the_contract(vlm, encoded):
    got = extract(vlm, vlm.collate(encoded))
    assert {kind: values.dtype for kind, values in got.items()} == {
        kind: np.dtype(dtype) for kind, dtype in KINDS.items()
    }
    assert got["activations"].shape == (6, 2 * len(LAYERS) * 32)
    assert got["last_token"].shape == got["mean_hidden"].shape == (6, 32)
    assert got["likelihood"].shape == (6, 3)


def test_activations_have_unit_length_with_or_without_an_image(vlm, encoded):
    vectors = extract(vlm, vlm.collate(encoded))["activations"].astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(norms, 1, rtol=rounding(192, stored="float16"))
    visual = vectors.reshape(6, len(LAYERS), 2, 32)[:, :, 0]
    assert [bool(v.any()) for v in visual] == [bool(n) for n, _ in CONVERSATIONS]


def test_batch_size_and_order_change_nothing(vlm, encoded):
    whole = extract(vlm, vlm.collate(encoded))
    backwards = extract(vlm, vlm.collate(encoded[::-1]))
    singles = [extract(vlm, vlm.collate([sample])) for sample in encoded]
    for kind in KINDS:
        alone = np.concatenate([single[kind] for single in singles])
        assert_close(vlm, kind, whole[kind], alone)
        assert_close(vlm, kind, backwards[kind][::-1], alone)


def test_the_faster_attention_gives_the_same(tiny_vlm, vlm, encoded):
    faster = load_vlm(str(tiny_vlm), device="cpu", attention="sdpa")
    batch = vlm.collate(encoded)
    got, expected = extract(faster, batch), extract(vlm, batch)
    for kind in KINDS:
        assert_close(vlm, kind, got[kind], expected[kind])


COMMON = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.3,
}


@pytest.mark.parametrize(
    "text_config",
    [
        GPTNeoXConfig(**COMMON),  # the attention module has another name
        PhiConfig(**COMMON),  # attention and MLP side by side
        Gemma2Config(**COMMON, num_key_value_heads=2, head_dim=8),  # norms after the attention
    ],
    ids=lambda config: config.model_type,
)
def test_other_architectures_need_nothing_of_their_own(text_config):
    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
    )
    config = LlavaConfig(vision_config=vision, text_config=text_config, image_token_index=99)
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager").eval()
    ids = torch.randint(5, 90, (1, 12))
    ids[0, 1:5] = 99
    places = torch.arange(12)[None]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    inputs["pixel_values"] = torch.randn(1, 3, 32, 32)
    batch = Batch(
        inputs, places >= 9, (places >= 5) & (places < 9), ids == 99, np.zeros(1, int), ["it"]
    )
    layers = model.get_decoder().layers
    got = extract_features(model, layers, batch, layers=[0, 1], variant="paper")
    attended, _ = extract_attended(model, layers, batch, batch.instruction, layer=1, mass=0.9)
    with torch.no_grad():
        output = model(**inputs, output_hidden_states=True)
    nll = torch.nn.functional.cross_entropy(output.logits[0, 8:11], ids[0, 9:])
    assert got["likelihood"][0, 0] == pytest.approx(nll.item(), rel=rounding(chain(model)))
    last, stored = output.hidden_states[-1][0, -1], {"terms": chain(model), "stored": "float16"}
    assert_close_vectors(got["last_token"][0], last, **stored)
    norm = np.linalg.norm(got["activations"].astype(float))
    assert norm == pytest.approx(1, rel=rounding(**stored))
    visual = output.hidden_states[1][0, 1:5].numpy()
    means = [visual[list(c)].mean(axis=0) for k in (1, 2, 3, 4) for c in combinations(range(4), k)]
    assert min(distances(attended[0], mean) for mean in means) <= rounding(**stored)


def test_model_is_left_as_it_was(vlm, encoded):
    batch = vlm.collate(encoded)
    with torch.no_grad():
        before = vlm.model(**batch.inputs).logits
        extract(vlm, batch, "paper")
        after = vlm.model(**batch.inputs).logits
    assert torch.equal(before, after) and after.shape[:2] == batch.response.shape


def test_sample_without_response_tokens_is_named(vlm, encoded):
    batch = vlm.collate(encoded)
    batch.response[3] = False
    with pytest.raises(ValueError, match="'sample-3' has no response tokens"):
        extract(vlm, batch)


@pytest.mark.parametrize(("bad", "value"), [(4, torch.nan), (1, torch.inf)])
def test_values_that_are_not_finite_name_the_sample(vlm, encoded, bad, value):
    batch = vlm.collate(encoded)

    def spoil(module, args, output):
        output[bad] = value
        return output

    handle = vlm.model.get_decoder().norm.register_forward_hook(spoil)
    try:
        with pytest.raises(ValueError, match=f"last_token of sample 'sample-{bad}'"):
            extract(vlm, batch)
    finally:
        handle.remove()


def test_last_token_is_found_on_either_side():
    hidden = torch.arange(8.0).reshape(2, 4, 1)
    mask = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1]])
    assert last_hidden(hidden, mask).flatten().tolist() == [1.0, 7.0]


def test_images_and_image_tokens_have_to_agree(vlm, encoded):
    batch = vlm.collate(encoded)
    n_images = np.array([n for n, _ in CONVERSATIONS])
    require_images(batch, n_images)
    n_images[1] = 1
    with pytest.raises(ValueError, match="'sample-1' has 1 images"):
        require_images(batch, n_images)


def test_header_holds_strings_and_parameters_as_json(vlm):
    header = shard_header("demo", range(64, 70), vlm, "abc", variant="paper", layers=[1, 2])
    assert header["rows"] == "64:70" and header["dtype"] == "float32"
    assert header["variant"] == "paper" and header["layers"] == "[1, 2]"
    assert all(isinstance(value, str) for value in header.values())
