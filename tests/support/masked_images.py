"""Conversations with and without images, and attention that is kept from image tokens by hand."""

from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image

from vlselect.pool.records import Record, Turn

RNG = np.random.default_rng(0)
SHAPES = [(40, 40), (90, 30), (30, 90)]
PICTURES = [Image.fromarray(RNG.integers(0, 255, (*s, 3), dtype=np.uint8)) for s in SHAPES]
TALKS = [
    ("single", "<image>\nwhat is in the image?", "a red digit."),
    ("text", "tell me more please", "no"),
    ("turns", "what is this?\n<image>", "yes", "is it red?", "a red digit: 3!", "more?", "no"),
    ("several", "first <image> then <image>, or\n<image>\nwhich?", "the second one is very green"),
    ("alone", "<image>", "a digit"),
    ("blind", "which is it, yes or no?", "three", "and then?", "four, five"),
]


def talks():
    """Yield records with their pictures."""
    for name, *texts in TALKS:
        roles = ("user", "assistant") * len(texts)
        turns = tuple(Turn(role, text) for role, text in zip(roles, texts, strict=False))
        pictures = PICTURES[: sum(text.count("<image>") for text in texts)]
        yield Record(name, "x", tuple(map(str, range(len(pictures)))), turns), pictures


def encode_all(vlm):
    """Return all of them, encoded."""
    return [vlm.encode(*talk) for talk in talks()]


@contextmanager
def masked_by_hand(vlm, image):
    """Forbid every layer's attention the columns of image tokens, (T,), and nothing else."""

    def forbid(module, args, kwargs):
        mask = kwargs["attention_mask"].clone()  # (1, 1, T, T), added to the scores
        mask[..., torch.from_numpy(image)] = torch.finfo(mask.dtype).min
        return args, kwargs | {"attention_mask": mask}

    hooks = [
        layer.self_attn.register_forward_pre_hook(forbid, with_kwargs=True)
        for layer in vlm.language_layers
    ]
    yield
    for hook in hooks:
        hook.remove()
