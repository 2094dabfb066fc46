"""Pretraining: sequences like the processor's; losses and measures against slow references."""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
import torch
from closeness import assert_close_vectors, chain, rounding
from PIL import Image
from torch.nn.functional import cross_entropy, normalize

from vlselect.digits import base, vision
from vlselect.digits.architecture import (
    build_clip,
    build_clip_processor,
    build_model,
    build_processor,
    vision_config,
)
from vlselect.digits.questions import QUESTIONS, lookup
from vlselect.digits.scenes import CELL, IMAGE_SIZE, Composer, render, split_digits
from vlselect.digits.sequences import IGNORED, batches, encode, pad
from vlselect.digits.training import Trainer, pixel_values
from vlselect.digits.vocabulary import COLOURS, WORDS

TINY_VISION = {"hidden": 16, "layers": 2, "heads": 2}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Use one thread: in steps this small, several would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def processor():
    return build_processor(WORDS, IMAGE_SIZE, CELL)


@pytest.fixture
def model(processor):
    tower = vision_config(IMAGE_SIZE, CELL, **TINY_VISION)
    return build_model(processor, hidden=24, layers=2, heads=2, vision=tower).eval()


@pytest.fixture(scope="module")
def examples():
    rng, composer = Random(0), Composer("train", 0)
    questions = [QUESTIONS["captioning"], QUESTIONS["reading"], lookup]
    return [questions[i % 3](rng, composer) for i in range(18)]


def as_processed(example, processor):
    """Return ids, number of answer tokens and pixels, through chat template and processor."""
    user = [{"type": "image"}, {"type": "text", "text": example.question}]
    chat = [
        {"role": "user", "content": user},
        {"role": "assistant", "content": [{"type": "text", "text": example.answer}]},
    ]
    image = [Image.fromarray(render(example.scene))]
    whole, prompt = (
        processor(text=[text], images=image, return_tensors="pt")
        for text in (
            processor.apply_chat_template(chat),
            processor.apply_chat_template(chat[:1], add_generation_prompt=True),
        )
    )
    return whole, whole["input_ids"].shape[1] - prompt["input_ids"].shape[1]


def test_sequences_are_what_the_processor_makes(processor, examples):
    sequences = encode(examples, processor)
    pixels = pixel_values([e.scene for e in examples], processor.image_processor)
    for i, example in enumerate(examples):
        whole, answer = as_processed(example, processor)
        assert sequences.ids[i] == whole["input_ids"][0].tolist()
        assert sequences.labels[i][-answer:] == sequences.ids[i][-answer:]
        assert set(sequences.labels[i][:-answer]) == {IGNORED}
        assert torch.allclose(pixels[i], whole["pixel_values"][0], atol=1e-6)


def test_batches_hold_every_sequence_once(processor, examples):
    sequences = encode(examples, processor)
    cut = list(batches(sequences, 4, Random(0)))
    assert sorted(sum(cut, [])) == list(range(len(examples)))
    assert max(map(len, cut)) == 4
    assert cut == list(batches(sequences, 4, Random(0)))


def test_answer_loss_is_the_models_own(processor, model, examples):
    sequences = encode(examples, processor)
    features = base.tower_features(model, processor, examples, batch_size=5)
    ids, labels = pad(sequences, range(len(examples)), processor.tokenizer.pad_token_id)
    pixels = pixel_values([e.scene for e in examples], processor.image_processor)
    own = model(
        input_ids=ids, labels=labels, pixel_values=pixels, attention_mask=(ids != 0).long()
    ).loss
    loss = cross_entropy(*base.answer_scores(model, ids, labels, features))
    assert loss.item() == pytest.approx(own.item(), rel=rounding(chain(model)))


def test_lookup_accuracy_is_that_of_greedy_generation(processor, model):
    rng, composer = Random(1), Composer("validation", 0)
    examples = [lookup(rng, composer) for _ in range(30)]
    pretraining = base.Pretraining(model, processor, batch_size=8, seed=0)
    pretraining.run(400, threshold=0.0)  # enough to get some absent ones right
    right = 0
    for example in examples:
        prompt, answer = as_processed(example, processor)
        ids = prompt["input_ids"]
        prompt = {"input_ids": ids[:, :-answer], "pixel_values": prompt["pixel_values"]}
        told = model.generate(**prompt, max_new_tokens=answer, do_sample=False)
        right += told.shape == ids.shape and bool((told == ids).all())
    measured = base.lookup_accuracy(model, processor, examples, batch_size=7)
    assert measured["lookup"] == pytest.approx(right / len(examples))


def test_pretraining_goes_on_to_twice_its_length_at_most(processor, model, caplog):
    pretraining = base.Pretraining(model, processor, batch_size=8, seed=0)
    pretraining.run(64, threshold=1.0)
    assert len(pretraining.trainer.history) == 2 * 64 / 8
    assert "not above 1.000" in caplog.text


def test_pretraining_stops_when_lookup_is_good(processor, model):
    pretraining = base.Pretraining(model, processor, batch_size=8, seed=0)
    assert pretraining.run(64, threshold=-1.0) == pretraining.trainer.history[-1]["lookup"]
    assert len(pretraining.trainer.history) == 64 / 8


def test_pretraining_leaves_the_tower_and_repeats_itself_drawn_ahead_or_not(processor, monkeypatch):
    monkeypatch.setattr(base, "CHUNK", 48)  # two in the first round, one in the others
    monkeypatch.setattr(base, "HELD_OUT", 20)

    def weights(ahead):
        tower = vision_config(IMAGE_SIZE, CELL, **TINY_VISION)
        model = build_model(processor, hidden=24, layers=1, heads=2, vision=tower)
        before = torch.cat([p.flatten() for p in model.model.vision_tower.parameters()])
        pretraining = base.Pretraining(model, processor, batch_size=8, seed=3, ahead=ahead)
        pretraining.run(64, threshold=1.0)
        after = torch.cat([p.flatten() for p in model.model.vision_tower.parameters()])
        assert torch.equal(before, after)
        return torch.cat([p.flatten() for p in model.parameters()])

    assert torch.equal(weights(ahead=True), weights(ahead=False))


def test_pretraining_trains_on_train_digits_only(processor, model, monkeypatch):
    seen, original = [], base.tower_features

    def spy(model, processor, examples, batch_size=256):
        seen.append(examples)
        return original(model, processor, examples, batch_size)

    monkeypatch.setattr(base, "tower_features", spy)
    base.Pretraining(model, processor, batch_size=8, seed=2, ahead=False).run(200, threshold=0.0)
    splits = split_digits(2)
    for examples, split in zip(seen, ["train", "validation"] * len(seen), strict=False):
        used = {digit.source for e in examples for digit in e.scene.digits}
        assert used <= set(splits[split])
    assert len(seen[0]) == 200 and len(seen[1]) == base.HELD_OUT


@pytest.fixture(scope="module")
def clip_processor():
    return build_clip_processor(WORDS, IMAGE_SIZE)


def test_patch_classes_name_what_each_cell_shows():
    rng, composer = Random(0), Composer("train", 0)
    scenes = [composer.compose(rng) for _ in range(20)]
    classes = vision.patch_classes(scenes)
    for i, scene in enumerate(scenes):
        shown = {digit.cell: digit for digit in scene.digits}
        for cell in range(9):
            assert classes["place"][i, cell] == cell
            value = shown[cell].value if cell in shown else 10
            colour = COLOURS.index(shown[cell].colour) if cell in shown else 5
            assert classes["value"][i, cell] == value
            assert classes["colour"][i, cell] == colour


def gradient(module):
    """Return the gradient of what a loss depends on in a module, as one vector."""
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def test_joint_loss_adds_up_and_its_gradients_arrive(clip_processor):
    clip = build_clip(clip_processor, vision_config(IMAGE_SIZE, CELL, **TINY_VISION)).eval()
    heads = vision.PatchHeads(16)
    batch = vision.draw_batch(Random(0), Composer("train", 0), clip_processor, 6)
    contrast = clip(pixel_values=batch.pixels, **batch.captions, return_loss=True).loss
    patches = clip.vision_model(batch.pixels, output_hidden_states=True).hidden_states[-2]
    expected = 0.5 * contrast
    for name, weight in (("value", 2.0), ("colour", 1.0), ("place", 0.3)):
        losses = [
            cross_entropy(heads[name](patches[b, 1 + p]), batch.classes[name][b, p])
            for b in range(6)
            for p in range(9)
        ]
        expected = expected + weight * sum(losses) / len(losses)
    expected.backward()
    parts = [*clip.children(), heads]
    gradients = [gradient(part) for part in parts]
    for part in parts:
        part.zero_grad()
    with ThreadPoolExecutor(1) as beside:
        loss = vision.backpropagate(clip, heads, batch, beside).item()
    assert loss == pytest.approx(expected.item(), rel=rounding(chain(clip)))
    for part, whole in zip(parts, gradients, strict=True):
        assert_close_vectors(gradient(part), whole, terms=2 * chain(clip))


def test_vision_measures_against_a_loop(clip_processor):
    clip = build_clip(clip_processor, vision_config(IMAGE_SIZE, CELL, **TINY_VISION)).eval()
    heads = vision.PatchHeads(16)
    batch = vision.draw_batch(Random(0), Composer("validation", 0), clip_processor, 40)
    with torch.no_grad():
        output = clip(pixel_values=batch.pixels, **batch.captions)
        patches = clip.vision_model(batch.pixels, output_hidden_states=True).hidden_states[-2]
    images, captions = normalize(output.image_embeds, dim=1), normalize(output.text_embeds, dim=1)
    found = sum(int((captions @ image).argmax()) == i for i, image in enumerate(images))
    seen, right = 0, 0
    for b in range(40):
        for p in range(9):
            if (value := int(batch.classes["value"][b, p])) < 10:
                seen += 1
                right += int(heads["value"](patches[b, 1 + p]).argmax()) == value
    measured = vision.measure(clip, heads, batch)
    assert measured["recall_at_1"] == pytest.approx(found / 40)
    assert measured["digit_accuracy"] == pytest.approx(right / seen)


def test_the_tower_trains_on_train_digits_only(clip_processor, monkeypatch):
    drawn, original = [], Composer.compose

    def spy(composer, rng, count=None):
        drawn.append(original(composer, rng, count))
        return drawn[-1]

    monkeypatch.setattr(Composer, "compose", spy)
    clip = build_clip(clip_processor, vision_config(IMAGE_SIZE, CELL, **TINY_VISION))
    vision.pretrain(clip, clip_processor, scenes=48, batch_size=16, seed=2, ahead=False)
    splits = split_digits(2)
    used = [{digit.source for digit in scene.digits} for scene in drawn]
    assert set().union(*used[:48]) <= set(splits["train"])
    assert set().union(*used[48:]) <= set(splits["validation"])
    assert len(used) == 48 + vision.HELD_OUT


def test_vision_pretraining_repeats_itself_drawn_ahead_or_not(clip_processor):
    def run(ahead):
        clip = build_clip(clip_processor, vision_config(IMAGE_SIZE, CELL, **TINY_VISION))
        numbers = {"scenes": 48, "batch_size": 16, "seed": 0}
        trainer = vision.pretrain(clip, clip_processor, **numbers, ahead=ahead)
        return torch.cat([p.flatten() for p in clip.parameters()]), trainer.history

    (one, history), (other, again) = run(ahead=True), run(ahead=False)
    assert torch.equal(one, other) and history == again
    assert len(history) == 3 and {"digit_accuracy", "recall_at_1"} <= set(history[-1])


def test_the_trainer_skips_frozen_weights_and_logs(tmp_path):
    free, frozen = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    frozen.requires_grad_(False)
    trainer = Trainer([free, frozen])
    for _ in range(3):
        trainer.step((free * free).sum(), 0.1)
    trainer.note(lookup=0.5)
    trainer.write_log(tmp_path / "log.csv")
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0] == "step,loss,learning_rate,lookup" and lines[3].endswith(",0.1,0.5")
    assert len(lines) == 4
    assert (free < 1).all() and (frozen == 1).all()
