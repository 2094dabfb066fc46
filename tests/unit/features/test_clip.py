"""CLIP embeddings of texts and images against one sample at a time."""

from functools import partial

import numpy as np
import pytest
import torch
from closeness import assert_close_vectors, chain
from PIL import Image
from tiny_inputs import WORDS
from usual_flags import clip_flags

from vlselect.digits.architecture import build_clip, build_clip_processor, vision_config
from vlselect.features import clip as clip_module
from vlselect.features.clip import CLIP, conversation_text, extract_clip
from vlselect.pool.records import Record, Turn
from vlselect.pool.samples import Samples

extract_clip = partial(extract_clip, max_pixels=10**7)

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip")
    processor = build_clip_processor(WORDS, 32)
    build_clip(processor, vision_config(32, 16, hidden=32, layers=2, heads=2)).save_pretrained(path)
    processor.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def clip(folder):
    return CLIP.load(clip_flags(folder))


def test_text_of_a_conversation_has_no_markers_and_no_system_prompt():
    turns = [("system", "be kind"), ("user", "<image>\nwhat  is <image> this?")]
    turns += [("assistant", "a digit\n"), ("user", "which?"), ("assistant", "four")]
    record = Record("a", "x", ("1.png", "2.png"), tuple(Turn(*turn) for turn in turns))
    assert conversation_text(record) == "what is this? a digit which? four"


def test_long_texts_are_cut_off_before_their_end_token(clip):
    tokens = clip.tokenise(["what is this", "one two " * 100])
    assert tokens["input_ids"].shape == (2, clip.max_length) == (2, 64)
    assert tokens["input_ids"][1, -1] == clip.processor.tokenizer.eos_token_id
    same = clip.embed_texts(["one two " * 100, "one two " * 31])
    assert_close_vectors(same[0], same[1], terms=chain(clip.model.text_model))


def one_by_one(clip, record, root):
    """Embed a single sample without batches."""
    with torch.inference_mode():
        images = []
        for name in record.images:
            picture = Image.open(root / name).convert("RGB")
            pixels = clip.processor(images=picture, return_tensors="pt")["pixel_values"]
            vector = clip.model.get_image_features(pixel_values=pixels).pooler_output[0]
            images.append(vector / vector.norm())
        image = torch.stack(images).mean(0) if images else torch.zeros(clip.width)
        tokens = clip.processor(text=[conversation_text(record)], return_tensors="pt")
        text = clip.model.get_text_features(
            input_ids=tokens["input_ids"][:, : clip.max_length],
            attention_mask=tokens["attention_mask"][:, : clip.max_length],
        ).pooler_output[0]
    return torch.cat([image / max(image.norm(), 1e-9), text / text.norm()]).numpy()


def assert_close_halves(clip, values, expected):
    halves = [np.reshape(v, (*v.shape[:-1], 2, clip.width)) for v in (values, expected)]
    assert_close_vectors(*halves, terms=chain(clip.model), stored="float16")


def test_embeddings_against_one_sample_at_a_time(clip, tiny_pool):
    samples = Samples(tiny_pool / "samples.parquet")
    ((rows, values),) = extract_clip(clip, samples, range(len(samples)), tiny_pool / "images")
    np.testing.assert_array_equal(rows, np.arange(len(samples)))
    assert values.dtype == np.float16 and values.shape == (len(samples), 2 * clip.width)
    records = samples.records(rows)
    assert {len(record.images) for record in records} == {0, 1, 2}
    for record, value in zip(records, values, strict=True):
        assert_close_halves(clip, value, one_by_one(clip, record, tiny_pool / "images"))
        assert bool(record.images) == value[: clip.width].any()


def test_batch_size_does_not_matter_beyond_rounding(folder, clip, tiny_pool):
    samples = Samples(tiny_pool / "samples.parquet")
    small = CLIP.load(clip_flags(folder, batch_size=3))
    results = [
        next(extract_clip(model, samples, range(24), tiny_pool / "images"))[1]
        for model in (clip, small)
    ]
    assert_close_halves(clip, *results)


def test_embeddings_without_direction_are_errors(clip, tiny_pool, monkeypatch):
    samples = Samples(tiny_pool / "samples.parquet")
    records = samples.records(range(24))
    two = next(record.sample_id for record in records if len(record.images) == 2)
    signs = [(-1.0) ** i for record in records for i in range(len(record.images))]
    opposite = torch.zeros(len(signs), clip.width)
    opposite[:, 0] = torch.tensor(signs)
    monkeypatch.setattr(CLIP, "embed_images", lambda self, pictures: opposite)
    with pytest.raises(ValueError, match=f"{two}.*no direction"):
        next(extract_clip(clip, samples, range(24), tiny_pool / "images"))
    monkeypatch.setattr(CLIP, "embed_images", lambda self, pictures: opposite * torch.nan)
    with pytest.raises(ValueError, match="no direction"):
        next(extract_clip(clip, samples, range(24), tiny_pool / "images"))


def test_blocks_are_cut_on_absolute_multiples(clip, tiny_pool, monkeypatch):
    monkeypatch.setattr(clip_module, "BLOCK", 8)
    samples = Samples(tiny_pool / "samples.parquet")
    blocks = [rows for rows, _ in extract_clip(clip, samples, range(5, 20), tiny_pool / "images")]
    assert [rows.tolist() for rows in blocks] == [[5, 6, 7], [*range(8, 16)], [*range(16, 20)]]


def test_a_model_that_is_not_a_clip_is_an_error(tiny_vlm, tmp_path):
    with pytest.raises(ValueError, match="not a CLIPModel"):
        CLIP.load(clip_flags(tiny_vlm))
    with pytest.raises(FileNotFoundError, match="not a directory"):
        CLIP.load(clip_flags(tmp_path / "nowhere"))
