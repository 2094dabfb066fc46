"""The adapter: masks that decode to exactly the texts, padding on either side, refused models."""

import json
import resource
import sys

import numpy as np
import pytest
import torch
from closeness import assert_close_vectors, chain
from PIL import Image
from tiny_inputs import WORDS
from usual_models import load_vlm

from vlselect.core.errors import InputError
from vlselect.models import failures
from vlselect.models.chat import MaskError
from vlselect.pool.records import Record, Turn

pytestmark = pytest.mark.numeric

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))


def talk(sample_id, *texts, system=None):
    """Make a record of alternating user and assistant texts."""
    roles = ("user", "assistant") * len(texts)
    turns = tuple(Turn(role, text) for role, text in zip(roles, texts, strict=False))
    turns = (Turn("system", system), *turns) if system else turns
    images = tuple("a" for _ in range("".join(texts).count("<image>")))
    return Record(sample_id, "x", images, turns)


SINGLE = talk("single", "<image>\nwhat is this ?", "red 1")
MULTI = talk("multi", "<image>\n<image>\nwhat is this ?", "a red digit .", "what is what ?", "what")
TEXT = talk("text", "tell me more please", "no")
SYSTEM = talk("system", "very ?", "very .", system="very")
ALL = [SINGLE, MULTI, TEXT, SYSTEM]


@pytest.fixture(scope="module")
def vlm(tiny_vlm):
    return load_vlm(str(tiny_vlm))


def encode(vlm, record):
    return vlm.encode(record, [PICTURE] * len(record.images))


def decoded(vlm, ids, mask):
    """Return the texts of the runs of masked-in tokens, without special tokens."""
    runs, current = [], []
    for token, inside in zip(ids.tolist(), mask.tolist(), strict=True):
        if inside:
            current.append(token)
        elif current:
            runs.append(current)
            current = []
    runs += [current] if current else []
    return [vlm.tokenizer.decode(run, skip_special_tokens=True) for run in runs]


@pytest.mark.parametrize("record", ALL, ids=lambda r: r.sample_id)
def test_masked_in_tokens_decode_to_the_responses_and_instructions(vlm, record):
    encoded = encode(vlm, record)
    ids = encoded.inputs["input_ids"]
    answers = [turn.text for turn in record.turns if turn.role == "assistant"]
    assert decoded(vlm, ids, encoded.response) == answers
    questions = [t.text.replace("<image>\n", "") for t in record.turns if t.role == "user"]
    assert decoded(vlm, ids, encoded.instruction) == questions
    assert encoded.image.sum() == 4 * len(record.images)
    assert not (encoded.response & encoded.instruction).any()
    assert not (encoded.image & (encoded.response | encoded.instruction)).any()


@pytest.mark.parametrize("record", ALL, ids=lambda r: r.sample_id)
def test_every_response_is_trained_to_end(vlm, record):
    encoded = encode(vlm, record)
    ids = encoded.inputs["input_ids"]
    ends = (ids.numpy() == vlm.tokenizer.eos_token_id) & encoded.response
    assert ends.sum() == sum(turn.role == "assistant" for turn in record.turns)
    assert encoded.response[-1]


def test_words_that_recur_elsewhere_do_not_confuse_the_masks(vlm):
    record = talk("s", "yes", "yes", "yes yes", "yes")
    encoded = encode(vlm, record)
    assert decoded(vlm, encoded.inputs["input_ids"], encoded.response) == ["yes", "yes"]
    assert decoded(vlm, encoded.inputs["input_ids"], encoded.instruction) == ["yes", "yes yes"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_collate_pads_and_keeps_masks(vlm, side):
    encoded = [encode(vlm, record) for record in ALL]
    batch = vlm.collate(encoded, padding_side=side)
    length = max(map(len, encoded))
    assert batch.inputs["input_ids"].shape == (4, length) and len(batch) == 4
    assert batch.inputs["pixel_values"].shape[0] == 3
    for i, sample in enumerate(encoded):
        place = slice(length - len(sample), None) if side == "left" else slice(0, len(sample))
        for name in ("response", "instruction", "image"):
            mask = getattr(batch, name)[i]
            np.testing.assert_array_equal(mask[place].numpy(), getattr(sample, name))
            assert mask.sum() == getattr(sample, name).sum()
        assert batch.inputs["attention_mask"][i].sum() == len(sample)
    labels = batch.labels
    assert ((labels != -100) == batch.response).all()
    assert (labels[batch.response] == batch.inputs["input_ids"][batch.response]).all()


@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_a_padded_mixed_batch_gives_the_logits_of_single_samples(vlm, side):
    encoded = [encode(vlm, record) for record in ALL]
    together = vlm.model(**vlm.collate(encoded, padding_side=side).inputs).logits
    for i, sample in enumerate(encoded):
        alone = vlm.model(**vlm.collate([sample]).inputs).logits[0]
        mine = together[i, -len(sample) :] if side == "left" else together[i, : len(sample)]
        assert_close_vectors(mine, alone, terms=chain(vlm.model))


def test_a_prompt_ends_where_the_answer_begins(vlm):
    prompt = vlm.encode_prompt(MULTI, [PICTURE] * 2)
    text = vlm.tokenizer.decode(prompt.inputs["input_ids"])
    assert text.endswith("what is what ? ASSISTANT:") and "a red digit" in text
    assert not prompt.response.any()


def test_a_template_without_an_end_token_gets_one(tiny_vlm):
    vlm = load_vlm(str(tiny_vlm))
    vlm.processor.chat_template = vlm.processor.chat_template.replace("{{ eos_token }}", " ")
    encoded = encode(vlm, SINGLE)
    assert encoded.inputs["input_ids"][-1] == vlm.tokenizer.eos_token_id and encoded.response[-1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{{ part['text'] }}", "{{ part['text'] | upper }}"),
        ("{{ part['text'] }}", "{{ part['text'][:3] }}"),
        ("{% for m in messages %}", "{% for m in messages[:1] %}"),
    ],
)
def test_a_template_that_hides_or_alters_responses_is_refused(tiny_vlm, old, new):
    vlm = load_vlm(str(tiny_vlm))
    assert old in vlm.processor.chat_template
    vlm.processor.chat_template = vlm.processor.chat_template.replace(old, new)
    with pytest.raises(MaskError, match="'single'"):
        encode(vlm, SINGLE)


def test_a_sample_longer_than_the_model_is_named(vlm):
    long = talk("long", "very " * 600, "no")
    with pytest.raises(ValueError, match="'long' has .* tokens"):
        encode(vlm, long)


def test_a_long_sample_is_cut_where_the_config_says_so(tiny_vlm):
    vlm = load_vlm(str(tiny_vlm), max_length=12)
    whole = encode(load_vlm(str(tiny_vlm)), MULTI)
    vlm.max_length = len(whole) - 3
    cut = encode(vlm, MULTI)
    assert len(cut) == vlm.max_length == len(cut.inputs["input_ids"]) == len(cut.image)
    np.testing.assert_array_equal(cut.response, whole.response[: len(cut)])
    assert vlm.collate([cut, encode(vlm, TEXT)]).inputs["pixel_values"].shape[0] == 2
    vlm.max_length = 4
    with pytest.raises(ValueError, match="'multi' has image tokens beyond"):
        encode(vlm, MULTI)
    with pytest.raises(MaskError, match="'text': no token of its responses is left"):
        encode(vlm, TEXT)


def test_loading_says_what_is_missing(tmp_path, tiny_vlm):
    with pytest.raises(FileNotFoundError, match="is not a directory"):
        load_vlm("no/such/model")
    with pytest.raises(FileNotFoundError, match="hf download org/name"):
        load_vlm("org/name", revision="abc")
    with pytest.raises(InputError, match="no GPU"):
        load_vlm(str(tiny_vlm), device="cuda")


def test_a_processor_without_a_template_is_refused(tmp_path, tiny_vlm):
    for file in tiny_vlm.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for name in ("chat_template.jinja", "chat_template.json"):
        (tmp_path / name).unlink(missing_ok=True)
    settings = tmp_path / "processor_config.json"
    settings.write_text(
        json.dumps({k: v for k, v in json.loads(settings.read_text()).items() if "chat" not in k})
    )
    with pytest.raises(MaskError, match="no chat template"):
        load_vlm(str(tmp_path))


def test_all_words_are_in_the_vocabulary(vlm):
    ids = vlm.tokenizer(" ".join(WORDS), add_special_tokens=False)["input_ids"]
    assert vlm.tokenizer.unk_token_id not in ids


@pytest.mark.parametrize("kind", [ValueError, TypeError, ZeroDivisionError, IndexError, KeyError])
def test_whatever_a_processor_raises_names_the_sample_and_its_images(tiny_vlm, monkeypatch, kind):
    vlm = load_vlm(str(tiny_vlm))

    def fail(*args, **kwargs):
        raise kind("too\nsmall")

    monkeypatch.setattr(vlm.processor.image_processor, "preprocess", fail)
    with pytest.raises(MaskError, match="sample 'single': .* its images of 1x2: .*too") as caught:
        vlm.encode(SINGLE, [Image.new("RGB", (1, 2))])
    assert "\n" not in str(caught.value)


PROGRAMS = {
    "range": ("{% for i in range(10**9) %}x{% endfor %}", "Range too big"),
    "loops": ("{% for i in r %}{% for j in r %}{% endfor %}{% endfor %}", "takes over 0.5 s"),
    "text": ("{{ 'a' * 3000 }}", "3000 characters"),
    "memory": (
        "{% set n = namespace(x='a') %}"
        "{% for i in range(31) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "takes over .* of memory",
    ),
    "recursion": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    "division": ("{{ 1 / 0 }}", "division by zero"),
    "attribute": ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
    "global": ("{{ cycler.__init__.__globals__.os.system('ls') }}", "unsafe"),
    "change": ("{{ messages.append(1) }}", "unsafe"),
    "file": ("{% include '/etc/passwd' %}", "no loader"),
    "encoding": ("{{ 'x'.encode('utf-99') }}", "unknown encoding"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_template_is_a_program_with_bounds(tiny_vlm, monkeypatch, name):
    """Loading renders short conversations, so its template runs here."""
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    monkeypatch.setattr(failures, "SLOWEST", 0.5)
    monkeypatch.setattr(failures, "HEAVIEST", 64 << 20)
    vlm, (template, problem) = load_vlm(str(tiny_vlm)), PROGRAMS[name]
    monkeypatch.setattr(sys.modules[type(vlm).__module__], "LONGEST", 2000)
    vlm.processor.chat_template = "{% set r = range(99999) %}" + template
    with pytest.raises(InputError, match=f"chat template .*{problem}"):
        vlm.encode_prompt(TEXT, [])
    assert resource.getrlimit(resource.RLIMIT_DATA) == limits


def test_a_template_too_large_for_the_memory_is_refused(tiny_vlm, monkeypatch):
    vlm = load_vlm(str(tiny_vlm))

    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(vlm.processor, "apply_chat_template", fail)
    with pytest.raises(InputError, match="chat template .*memory"):
        vlm.encode_prompt(TEXT, [])
