"""The adapter on a model of every family: exact masks, mixed batches, gradients, generation.

Masks, batches and prompts are checked with the files of published checkpoints too.
"""

import json
import re
import unicodedata

import numpy as np
import pytest
import torch
from closeness import assert_close_vectors, chain
from model_families import FAMILIES, TEXTS, open_family, save_family
from other_families import idefics2, paligemma, qwen3_5
from PIL import Image
from published_models import FOLDER, PUBLISHED, save_published
from usual_models import attach_lora, make_vlm

from vlselect.benchmarks.generation import greedy
from vlselect.core.errors import InputError
from vlselect.features.attended import extract_attended, instruction_rows
from vlselect.features.forward_pass import KINDS, extract_features
from vlselect.gradients.per_sample import PerSampleGradients, response_losses
from vlselect.models.chat import MaskError, Refused
from vlselect.pool.records import Record, Turn

RNG = np.random.default_rng(0)
SHAPES = [(40, 40), (90, 30), (30, 90), (64, 64), (20, 50)]
PICTURES = [Image.fromarray(RNG.integers(0, 255, (*s, 3), dtype=np.uint8)) for s in SHAPES]
NO_SYSTEM = {"llava_next"}  # its template accepts only user and assistant


def talk(name, *texts, system=None):
    """Make a record of alternating user and assistant texts; images are numbers of pictures."""
    roles = ("user", "assistant") * len(texts)
    turns = tuple(Turn(role, text) for role, text in zip(roles, texts, strict=False))
    turns = (Turn("system", system), *turns) if system else turns
    n_images = sum(text.count("<image>") for text in texts)
    return Record(name, "x", tuple(str(i % len(PICTURES)) for i in range(n_images)), turns)


SINGLE = talk("single", "<image>\nwhat is in the image?", "a red digit.")
TURNS = talk(
    "turns", "<image>\nwhat is this?", "yes", "yes?", "a red\n\n  digit: 3!", "tell me more", "no"
)
SEVERAL = talk("several", "<image>\n<image>\n<image>\nwhich is red?", "the one <3.", "sure?", "yes")
TEXT = talk("text", "tell me more please", "no")
UNICODE = talk(
    "unicode", "<image>\n¿qué número es? 数字 🙂", "é un 三: «трѝ» 🙂👍🏽", "नमस्ते?", "日本語。"
)
EDGES = talk("edges", "  what is this?\n<image>\n", "\n a red digit. \n", "and? \n", " yes ")
BETWEEN = talk("between", "first <image> then <image>, or\n<image>\nwhich?", "the second\tone")
ALONE = talk("alone", "<image>", "a digit")
MARKS = talk("marks", "USER: what? user\nuser ### yes", "ASSISTANT: yes user\n", "yes", "yes")
PROGRAM = "```python\n\tdef f(x: list[int]) -> str:\n    return f'{x!r} {{}}' # {% if %} &lt;\n```"
HTML = '<div id="a">\\n</div>'
CODE = talk("code", f"<image>\n{PROGRAM}\nwhat?", PROGRAM, HTML, "`x`\n\n- 1")
ALL = [SINGLE, TURNS, SEVERAL, TEXT, UNICODE, EDGES, BETWEEN, ALONE, MARKS, CODE]


@pytest.fixture(scope="module", params=[*FAMILIES, *PUBLISHED])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("family") / request.param
    if request.param in FAMILIES:
        return save_family(request.param, folder, TEXTS)
    if not FOLDER.is_dir():
        pytest.skip("no files of published checkpoints")
    return save_published(request.param, folder, TEXTS)


@pytest.fixture(scope="module", params=FAMILIES)
def made(request, tmp_path_factory):
    """Folder of a family's model with a tokenizer of our own."""
    return save_family(request.param, tmp_path_factory.mktemp("made") / request.param, TEXTS)


@pytest.fixture(scope="module")
def family(folder):
    return folder.name


@pytest.fixture(scope="module")
def vlm(folder):
    return open_family(folder)


def encode(vlm, record):
    return vlm.encode(record, [PICTURES[int(i)] for i in record.images])


def runs(vlm, encoded, mask):
    """Return the texts of the runs of masked-in tokens, without special tokens."""
    bounds = np.flatnonzero(np.diff(np.r_[False, mask, False])).reshape(-1, 2)
    ids = encoded.inputs["input_ids"]
    return [vlm.tokenizer.decode(ids[a:b], skip_special_tokens=True) for a, b in bounds]


def said(record, role):
    return [unicodedata.normalize("NFC", t.text) for t in record.turns if t.role == role]


@pytest.mark.parametrize("record", ALL, ids=lambda r: r.sample_id)
def test_masked_in_tokens_decode_to_responses_and_instructions(vlm, record):
    encoded = encode(vlm, record)
    answers = [text.strip() for text in runs(vlm, encoded, encoded.response)]
    assert answers == [text.strip() for text in said(record, "assistant")]
    questions = "".join("".join(runs(vlm, encoded, encoded.instruction)).split())
    expected = "".join(said(record, "user")).replace("<image>", "")
    assert questions == "".join(expected.split())
    ids = encoded.inputs["input_ids"].numpy()
    assert (encoded.image == (ids == vlm.model.config.image_token_id)).all()
    assert encoded.image.any() == bool(record.images)
    assert not (encoded.image & (encoded.response | encoded.instruction)).any()
    assert not (encoded.response & encoded.instruction).any()


@pytest.mark.parametrize("record", ALL, ids=lambda r: r.sample_id)
def test_every_response_is_trained_to_end(vlm, record):
    encoded = encode(vlm, record)
    ends = [t for r in np.split(*_bounds(encoded.response))[1::2] for t in r[-1:]]
    closed = encoded.inputs["input_ids"][ends]
    n_turns = sum(turn.role == "assistant" for turn in record.turns)
    assert len(closed) == n_turns and set(closed.tolist()) == set(vlm.turn_ends)


def _bounds(mask):
    return np.arange(len(mask)), np.flatnonzero(np.diff(np.r_[False, mask]))


def test_the_system_prompt_is_in_neither_mask(vlm, family):
    record = talk("system", "what?", "three", "sure?", "yes", system="be very brief")
    if family in NO_SYSTEM:
        with pytest.raises(MaskError, match="'system'.*only user and assistant"):
            encode(vlm, record)
        return
    encoded = encode(vlm, record)
    assert [text.strip() for text in runs(vlm, encoded, encoded.response)] == ["three", "yes"]
    assert [text.strip() for text in runs(vlm, encoded, encoded.instruction)] == ["what?", "sure?"]
    assert "be very brief" in vlm.tokenizer.decode(encoded.inputs["input_ids"])


@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_logits_are_the_same_alone_and_in_a_padded_mixed_batch(vlm, side):
    samples = [encode(vlm, record) for record in ALL]
    together = vlm.model(**vlm.collate(samples, padding_side=side).inputs).logits
    for i, sample in enumerate(samples):
        alone = vlm.model(**vlm.collate([sample]).inputs).logits[0]
        mine = together[i, -len(sample) :] if side == "left" else together[i, : len(sample)]
        assert_close_vectors(mine, alone, terms=chain(vlm.model))


@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_a_batch_of_texts_only(vlm, side):
    samples = [encode(vlm, record) for record in (TEXT, MARKS)]
    together = vlm.model(**vlm.collate(samples, padding_side=side).inputs).logits
    for i, sample in enumerate(samples):
        alone = vlm.model(**vlm.collate([sample]).inputs).logits[0]
        mine = together[i, -len(sample) :] if side == "left" else together[i, : len(sample)]
        assert_close_vectors(mine, alone, terms=chain(vlm.model))


@torch.no_grad()
def test_responses_are_predicted_from_what_is_before_them_and_from_the_image(vlm):
    batch = vlm.collate([encode(vlm, SINGLE)])
    before = vlm.model(**batch.inputs).logits[0]
    first = int(batch.response[0].nonzero()[0])
    changed = {**batch.inputs, "input_ids": batch.inputs["input_ids"].clone()}
    changed["input_ids"][0, first:-1] = vlm.tokenizer("x", add_special_tokens=False).input_ids[-1]
    after = vlm.model(**changed).logits[0]
    assert_close_vectors(before[:first], after[:first], terms=chain(vlm.model))
    mirrored = {**batch.inputs, "pixel_values": batch.inputs["pixel_values"].flip(-1)}
    assert (vlm.model(**mirrored).logits[0, first - 1] - before[first - 1]).abs().max() > 1e-3


def test_a_sample_has_the_models_positions(vlm, folder, monkeypatch):
    encoded = encode(vlm, SEVERAL)
    assert (
        vlm.positions
        == json.loads((folder / "config.json").read_text())["text_config"][
            "max_position_embeddings"
        ]
    )
    monkeypatch.setattr(vlm, "positions", len(encoded))
    encode(vlm, SEVERAL)
    monkeypatch.setattr(vlm, "positions", len(encoded) - 1)
    with pytest.raises(InputError, match="'several' has .* tokens, but .* has positions for"):
        encode(vlm, SEVERAL)


def test_features_do_not_depend_on_the_batch(made):
    vlm = open_family(made)
    samples = [encode(vlm, record) for record in ALL]
    layers = range(len(vlm.language_layers))
    together = extract_features(
        vlm.model, vlm.language_layers, vlm.collate(samples), layers=layers, variant="released"
    )
    for i, sample in enumerate(samples):
        alone = extract_features(
            vlm.model, vlm.language_layers, vlm.collate([sample]), layers=layers, variant="released"
        )
        for kind, values in alone.items():
            assert np.abs(values).max() > 0
            stored = {"stored": KINDS[kind], "name": kind}
            assert_close_vectors(together[kind][i], values[0], terms=chain(vlm.model), **stored)


def test_attended_features_stop_early_and_do_not_depend_on_the_batch(made):
    vlm = open_family(made, attention="eager")
    samples = [encode(vlm, record) for record in ALL]
    ran = []
    for i, layer in enumerate(vlm.language_layers):
        layer.register_forward_hook(lambda *_, i=i: ran.append(i))

    def extract(batch):
        rows = instruction_rows(batch, "prompt", vlm.special)
        return extract_attended(vlm.model, vlm.language_layers, batch, rows, layer=2, mass=0.9)

    together, unattended = extract(vlm.collate(samples))
    assert set(ran) == {0, 1} and "single" not in unattended
    for i, sample in enumerate(samples):
        alone, _ = extract(vlm.collate([sample]))
        assert_close_vectors(together[i], alone[0], terms=chain(vlm.model), stored="float16")
        assert np.abs(together[i]).any() == bool(ALL[i].images)


def test_lora_is_in_the_language_model_and_its_gradients_are_exact(made):
    vlm = open_family(made)
    n_linear = sum(isinstance(m, torch.nn.Linear) for m in vlm.model.get_decoder().modules())
    decoder = vlm.model.get_decoder()
    model = vlm.model = attach_lora(vlm.model, rank=2, alpha=4, seed=0).eval()
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    records = [SINGLE, SEVERAL, TEXT, BETWEEN]
    samples = [encode(vlm, record) for record in records]
    with PerSampleGradients(model) as per_sample:
        assert len(per_sample.matrices) == 2 * n_linear
        per_sample.require_inside(decoder)
        together = per_sample.gradients(vlm.collate(samples, padding_side="right"))
    weights = [weight for name, weight in model.named_parameters() if "lora_" in name]
    for i, sample in enumerate(samples):
        loss = response_losses(model, vlm.collate([sample])).sum()
        expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)])
        assert expected.abs().max() > 1e-3
        assert_close_vectors(together[i], expected, terms=2 * chain(model))


def test_generation_in_a_left_padded_batch_is_that_of_single_samples(vlm):
    settings = greedy(vlm, 8)

    def answers(samples):
        batch = vlm.collate(samples, padding_side="left")
        tokens = vlm.model.generate(**batch.inputs, generation_config=settings)
        return vlm.tokenizer.batch_decode(tokens[:, batch.inputs["input_ids"].shape[1] :])

    records = [SINGLE, TURNS, SEVERAL, TEXT, EDGES, BETWEEN, MARKS]
    prompts = [vlm.encode_prompt(r, [PICTURES[int(i)] for i in r.images]) for r in records]
    pad = vlm.tokenizer.pad_token
    alone = [answers([prompt])[0].split(pad)[0] for prompt in prompts]
    assert len(set(alone)) > 1 and all(alone)
    for chosen in (range(len(prompts)), (3, 6), (0, 3)):
        together = answers([prompts[i] for i in chosen])
        assert [text.split(pad)[0] for text in together] == [alone[i] for i in chosen]


def test_a_prompt_is_the_beginning_of_the_whole_conversation(vlm):
    for record in (SINGLE, TURNS, TEXT):
        pictures = [PICTURES[int(i)] for i in record.images]
        prompt = vlm.encode_prompt(record, pictures).inputs["input_ids"].tolist()
        whole = encode(vlm, record)
        assert whole.inputs["input_ids"][: len(prompt)].tolist() == prompt
        last = np.flatnonzero(np.diff(np.r_[False, whole.response].astype(int)) == 1)[-1]
        assert last - len(prompt) in (0, 1)  # a space may precede the response


def test_decoding_ends_where_the_template_closes_a_turn(vlm):
    encoded = encode(vlm, SINGLE)
    end = int(encoded.inputs["input_ids"][encoded.response][-1])
    assert end in greedy(vlm, 8).eos_token_id


def test_a_template_that_changes_texts_is_refused_with_names(made):
    vlm = open_family(made)
    template = vlm.processor.chat_template
    for old, new in [(".text", ".text.upper()"), ("for m in messages", "for m in messages[:1]")]:
        vlm.processor.chat_template = template.replace(old, new)
        if vlm.processor.chat_template == template:  # Gemma's applies to the rest
            vlm.processor.chat_template = template.replace("for m in rest", "for m in rest[:1]")
        with pytest.raises(MaskError, match=f"model {made}, sample 'single': the chat template"):
            encode(vlm, SINGLE)


def test_a_text_that_holds_an_image_token_is_refused_with_names(vlm, folder):
    token = vlm.processor.image_token
    texts = ("what?", "<image> yes") if token == "<image>" else (f"what is {token}?", "yes")
    record = talk("holds", *texts)
    cure = re.escape(f"`pool.forbidden: [{token!r}]`") if token != "<image>" else ""
    with pytest.raises(MaskError, match=f"model {folder}, sample 'holds'.*{cure}"):
        vlm.encode(record, [])


def test_layers_of_a_hybrid_model_are_chosen_by_the_keys_that_errors_name():
    processor, model = qwen3_5(TEXTS, 8, 32)
    vlm = make_vlm(model, processor, "qwen3.5")
    batch = vlm.collate([encode(vlm, record) for record in (SINGLE, TEXT)])
    layers, rows = vlm.language_layers, instruction_rows(batch, "prompt", vlm.special)
    with pytest.raises(InputError, match=r"\[0, 2, 4, 5\].*`features.layers`.*\[3, 7\]"):
        extract_features(model, layers, batch, layers=[0, 2, 3, 4, 5], variant="released")
    with pytest.raises(InputError, match=r"\[1\].*`features.attention.layer`.*\[4, 8\]"):
        extract_attended(model, layers, batch, rows, layer=1, mass=0.9)
    found = extract_features(model, layers, batch, layers=[3, 7], variant="released")
    assert np.isfinite(found["activations"]).all() and found["activations"].any()
    model.set_attn_implementation("eager")
    assert extract_attended(model, layers, batch, rows, layer=4, mass=0.9)[0][0].any()


def test_idefics2_is_refused_with_a_model_in_its_place():
    """Its processor does not say what it puts in an image's place."""
    vlm = make_vlm(*reversed(idefics2(TEXTS, 2, 32)), "idefics2")
    with pytest.raises(MaskError, match="'single': Idefics2Processor does not say.*Idefics3"):
        encode(vlm, SINGLE)


def test_a_text_that_holds_a_video_token_is_refused_with_names(vlm):
    token = getattr(vlm.processor, "video_token", None)
    if token is None:
        pytest.skip("no videos")
    with pytest.raises(Refused, match=re.escape(f"{token!r}, which stands for a video")) as caught:
        vlm.encode(talk("film", f"what happens in {token} ?", "yes"), [])
    assert caught.value.reason == "video_token" and "'film'" in str(caught.value)


def test_paligemma_is_refused_with_and_without_a_template():
    processor, model = paligemma(TEXTS, 2, 32)
    with pytest.raises(MaskError, match="pali: the processor has no chat template"):
        make_vlm(model, processor, "pali")
    processor.chat_template = (
        "{% for m in messages %}{% for part in m.content %}"
        "{{ '<image>' if part.type == 'image' else part.text }}{% endfor %}"
        "{{ eos_token if m.role == 'assistant' else ' ' }}{% endfor %}"
    )
    vlm = make_vlm(model, processor, "pali")
    with pytest.raises(MaskError, match="model pali, sample 'single': PaliGemmaProcessor changes"):
        encode(vlm, SINGLE)  # it would attend to its whole answer, in both directions
    with pytest.raises(MaskError, match="model pali, sample 'text': .*images"):
        encode(vlm, TEXT)
