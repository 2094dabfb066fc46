"""Pretraining of the demo's vision tower: a CLIP of scenes and captions, with patch classifiers.

With the contrastive loss alone, a tower this small learns to read digits slowly. Two more heads
classify the digit and the colour in each patch, and a third its position.

References
----------
A. Radford et al., Learning Transferable Visual Models From Natural Language Supervision,
ICML 2021, Figure 3 (the symmetric contrastive loss).
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from torch.utils.data import IterableDataset
from transformers import CLIPModel, CLIPProcessor

from vlselect.core import log
from vlselect.digits.architecture import FEATURE_LAYER
from vlselect.digits.questions import describe
from vlselect.digits.scenes import CELLS, Composer, Scene
from vlselect.digits.training import Trainer, drawn, pixel_values
from vlselect.digits.vocabulary import COLOURS

LEARNING_RATE = 3e-3
WARM_UP = 50  # steps
WEIGHTS = {"contrast": 0.5, "value": 2.0, "colour": 1.0, "place": 0.3}
EMPTY = {"value": 10, "colour": len(COLOURS)}  # class of a patch without a digit
HELD_OUT = 1024  # scenes of validation digits for the measurement
RECALL_AMONG = 256  # captions to find an image's own among


@dataclass
class SceneBatch:
    """Scenes with captions: pixels (B, 3, H, W), caption tokens (B, T), patch classes (B, P)."""

    pixels: Tensor
    captions: dict[str, Tensor]
    classes: dict[str, Tensor]


class PatchHeads(nn.ModuleDict):
    """Linear classifiers of patch features (B, P, d): value, colour and place."""

    def __init__(self, width: int):
        classes = {name: empty + 1 for name, empty in EMPTY.items()} | {"place": CELLS}
        super().__init__({name: nn.Linear(width, n) for name, n in classes.items()})


def draw_batch(rng: Random, composer: Composer, processor: CLIPProcessor, size: int) -> SceneBatch:
    """Draw scenes, with captions and the classes of their patches."""
    scenes = [composer.compose(rng) for _ in range(size)]
    captions = processor.tokenizer(
        [describe(rng, scene) for scene in scenes], return_tensors="pt", padding=True
    )
    return SceneBatch(
        pixels=pixel_values(scenes, processor.image_processor),
        captions={name: captions[name] for name in ("input_ids", "attention_mask")},
        classes=patch_classes(scenes),
    )


class SceneBatches(IterableDataset):
    """Batches of new scenes of train digits, as many as there are steps, see `draw_batch`."""

    def __init__(self, processor: CLIPProcessor, *, steps: int, batch_size: int, seed: int):
        self._processor, self._steps = processor, steps
        self._batch_size, self._seed = batch_size, seed

    def __iter__(self) -> Iterator[SceneBatch]:
        rng, composer = Random(f"vision {self._seed}"), Composer("train", self._seed)
        for _ in range(self._steps):
            yield draw_batch(rng, composer, self._processor, self._batch_size)


def patch_classes(scenes: Sequence[Scene]) -> dict[str, Tensor]:
    """Return the class of each patch, one in each cell: int64 (n, 9) of value, colour, place."""
    shape = (len(scenes), CELLS)
    classes = {name: torch.full(shape, empty) for name, empty in EMPTY.items()}
    for i, scene in enumerate(scenes):
        for digit in scene.digits:
            classes["value"][i, digit.cell] = digit.value
            classes["colour"][i, digit.cell] = COLOURS.index(digit.colour)
    return classes | {"place": torch.arange(CELLS).expand(shape)}


def see(clip: CLIPModel, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Compute normalised image embeddings (B, k), and patch features (B, P, d)."""
    seen = clip.vision_model(pixel_values=pixels, output_hidden_states=True)
    patches = seen.hidden_states[FEATURE_LAYER][:, 1:]  # without the class token
    return normalize(clip.visual_projection(seen.pooler_output), dim=-1), patches


def read(clip: CLIPModel, captions: dict[str, Tensor]) -> Tensor:
    """Compute normalised caption embeddings (B, k)."""
    return normalize(clip.text_projection(clip.text_model(**captions).pooler_output), dim=-1)


def joint_loss(
    clip: CLIPModel,
    heads: PatchHeads,
    images: Tensor,
    patches: Tensor,
    captions: Tensor,
    classes: dict[str, Tensor],
) -> Tensor:
    """Compute the weighted sum of contrastive loss and cross-entropies of the patch heads."""
    similarity = clip.logit_scale.exp() * captions @ images.T  # (B, B)
    partners = torch.arange(len(similarity))
    loss = WEIGHTS["contrast"] / 2 * cross_entropy(similarity, partners)
    loss = loss + WEIGHTS["contrast"] / 2 * cross_entropy(similarity.T, partners)
    for name, head in heads.items():
        scores = head(patches).flatten(0, 1)  # (B * P, classes)
        loss = loss + WEIGHTS[name] * cross_entropy(scores, classes[name].flatten())
    return loss


def backpropagate(
    clip: CLIPModel, heads: PatchHeads, batch: SceneBatch, beside: Executor
) -> Tensor:
    """Compute the joint loss and its gradients, those of the text model in another thread.

    The two models share no weights and meet in the loss alone, where the graph is cut: what
    arrives there at the captions goes on through the text model while the tower has its turn.
    """
    reading = beside.submit(read, clip, batch.captions)
    images, patches = see(clip, batch.pixels)
    captions = reading.result()
    cut = captions.detach().requires_grad_()
    loss = joint_loss(clip, heads, images, patches, cut, batch.classes)
    (arriving,) = torch.autograd.grad(loss, cut, retain_graph=True)
    passing_on = beside.submit(captions.backward, arriving)
    loss.backward()
    passing_on.result()
    return loss.detach()


def pretrain(
    clip: CLIPModel,
    processor: CLIPProcessor,
    *,
    scenes: int,
    batch_size: int,
    seed: int,
    ahead: bool = True,
) -> Trainer:
    """Train a CLIP in place on new scenes of train digits, and measure it on held-out ones.

    It has one patch for each cell of a scene, and sees each scene once. `seed` is that of the
    digits' split, the scenes and the heads' initial weights; `ahead` lets another process draw them
    (`drawn`). The last entry of the returned trainer's history has digit_accuracy and recall_at_1.
    """
    heads = PatchHeads(clip.config.vision_config.hidden_size)
    trainer = Trainer([*clip.parameters(), *heads.parameters()])
    steps = max(1, scenes // batch_size)
    batches = drawn(SceneBatches(processor, steps=steps, batch_size=batch_size, seed=seed), ahead)
    clip.train()
    with ThreadPoolExecutor(1) as beside:
        for step, batch in enumerate(log.progress(batches, steps, "vision tower")):
            rate = min(1.0, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * step / steps)) / 2
            trainer.update(backpropagate(clip, heads, batch, beside), LEARNING_RATE * rate)
    held_out = draw_batch(
        Random(f"held-out {seed}"), Composer("validation", seed), processor, HELD_OUT
    )
    trainer.note(**measure(clip, heads, held_out))
    return trainer


@torch.no_grad()
def measure(clip: CLIPModel, heads: PatchHeads, batch: SceneBatch) -> dict[str, float]:
    """Measure the digit accuracy in patches, and how often an image finds its own caption."""
    clip.eval()
    (images, patches), captions = see(clip, batch.pixels), read(clip, batch.captions)
    values = batch.classes["value"]
    shown = values != EMPTY["value"]
    right = heads["value"](patches).argmax(-1) == values
    similarity = images[:RECALL_AMONG] @ captions[:RECALL_AMONG].T
    found = similarity.argmax(-1) == torch.arange(len(similarity))
    return {
        "digit_accuracy": right[shown].float().mean().item(),
        "recall_at_1": found.float().mean().item(),
    }
