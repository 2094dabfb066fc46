"""Operations and bytes of passes over samples, by arithmetic from a model's sizes.

A matrix product of an m × k and a k × n matrix has 2 · m · k · n operations, as torch's own counter
(`torch.utils.flop_counter`) counts them; what is no matrix product counts nothing.
"""

from dataclasses import dataclass

# Measured on models of seven families in bfloat16 (docs/gradients.md): bytes for each token, layer
# and unit of width that autograd (26.8) and the hooks of per-sample gradients (8.9) hold.
HELD, HELD_BY_HOOKS = 27, 9
TRAINED = 16  # bytes of a trained weight: itself, its gradient, and two moments of Adam, in float32


@dataclass(frozen=True)
class Shape:
    """The sizes of a model that its cost depends on.

    Attributes
    ----------
    weights : int
        All of them.
    language, head, vision : int
        Weights that every token, every predicted token and every patch is multiplied with.
    layers, attention, hidden : int
        Decoder layers; width of attention, heads times their size; width of hidden states.
    vision_layers, vision_attention : int
        The same of the vision tower.
    lora : int
        Weights of an adapter of rank 1 on every linear layer of the decoder.
    positions : int or None
        Longest text, where a sample's own may be longer (a CLIP).
    tile : int or None
        Patches that attend to each other, where an image may have more (of several tiles).
    """

    weights: int
    language: int
    head: int
    vision: int
    layers: int
    attention: int
    hidden: int
    vision_layers: int
    vision_attention: int
    lora: int
    positions: int | None = None
    tile: int | None = None


@dataclass(frozen=True)
class Sample:
    """What a mean sample consists of: tokens with those of images, predicted ones, patches."""

    tokens: float
    responses: float
    patches: float


def decoder(shape: Shape, sample: Sample) -> float:
    """Return the operations of the language model and its output layer, forwards."""
    tokens = min(sample.tokens, shape.positions or sample.tokens)
    products = 2 * shape.language * tokens + 2 * shape.head * sample.responses
    return products + 4 * shape.layers * shape.attention * tokens**2


def tower(shape: Shape, sample: Sample) -> float:
    """Return the operations of the vision tower and the projector, forwards."""
    seen = min(sample.patches, shape.tile or sample.patches)
    attention = 4 * shape.vision_layers * shape.vision_attention * sample.patches * seen
    return 2 * shape.vision * sample.patches + attention


def forward(shape: Shape, sample: Sample) -> float:
    """Return the operations of a forward pass."""
    return tower(shape, sample) + decoder(shape, sample)


def adapter(shape: Shape, rank: int, sample: Sample) -> float:
    """Return those of a LoRA adapter: forwards, of its inputs' and of its weights' gradients."""
    return 6 * rank * shape.lora * sample.tokens


def gradients(shape: Shape, rank: int, sample: Sample) -> float:
    """Return the operations of a sample's LoRA gradient: forwards, and back through the decoder.

    The model's weights need no gradient, so the way back costs what the way forth does, but for
    attention, which costs twice as much. A projection that streams has additions only.
    """
    attention = 4 * shape.layers * shape.attention * sample.tokens**2
    back = decoder(shape, sample) + attention
    return forward(shape, sample) + back + adapter(shape, rank, sample)


def training(shape: Shape, rank: int | None, sample: Sample, *, checkpointing: bool) -> float:
    """Return the operations of a training step for a sample; without a rank, of all weights.

    With gradient checkpointing the decoder is run forwards twice.
    """
    again = decoder(shape, sample) if checkpointing else 0
    if rank:
        return gradients(shape, rank, sample) + again
    return 3 * forward(shape, sample) + again


def held_by_pass(shape: Shape, tokens: float) -> float:
    """Return the bytes of a forward pass over a batch: the weights, and one layer of its tokens."""
    return 2 * shape.weights + HELD * shape.hidden * tokens


def held_by_gradients(shape: Shape, rank: int, tokens: float) -> float:
    """Return the bytes of a pass of per-sample gradients over a batch, in bfloat16."""
    activations = (HELD + HELD_BY_HOOKS) * shape.layers * shape.hidden * tokens
    return 2 * shape.weights + 2 * rank * shape.lora + activations


def held_by_training(
    shape: Shape, rank: int | None, tokens: float, *, checkpointing: bool
) -> float:
    """Return the bytes of a training step of a micro-batch, in bfloat16."""
    trained = rank * shape.lora if rank else shape.weights
    layers = 1 if checkpointing else shape.layers
    kept = 2 * shape.layers if checkpointing else 0  # inputs of layers
    activations = (HELD * layers + kept) * shape.hidden * tokens
    return 2 * shape.weights + TRAINED * trained + activations
