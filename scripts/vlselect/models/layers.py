"""Find the parts of a language model without knowing its architecture.

Every decoder in Hugging Face transformers is a list of layers with one self-attention module each,
whose output (after its own output projection, before the residual sum) is a tensor or the first
item of a tuple. Only the module's name differs. A part that is not found is an error, never a
guess.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from vlselect.core.errors import InputError

ATTENTION_NAMES = ("self_attn", "self_attention", "attention", "attn")
OUTWARD_NAMES = ("down_proj", "fc2", "dense_4h_to_h", "c_proj", "w2")
N_DEPTHS = 5


def choose_layers(n_layers: int, wanted: Sequence[int] | None = None) -> list[int]:
    """Return the decoder layers, ascending, whose activations describe a sample.

    Parameters
    ----------
    n_layers : int
        Decoder layers of the model.
    wanted : sequence of int, optional
        Explicit choice, counted from 0. By default the five layers that end at 1/6, 2/6, ... 5/6
        of the depth: 3, 7, 11, 15 and 19 of 24, as in the reference; or all layers of a model
        with five or fewer.

    Raises
    ------
    ValueError
        If a wanted layer does not exist or is repeated, or the list is empty.

    References
    ----------
    COINCIDE, arXiv 2406.10995 (five layers of a 24-layer reference model).
    """
    if n_layers < 1:
        raise InputError("the language model has no decoder layers")
    if wanted is not None:
        outside = [layer for layer in wanted if not 0 <= layer < n_layers]
        if outside or not wanted or len(set(wanted)) != len(wanted):
            raise InputError(
                f"layers {list(wanted)} are not one or more distinct layers of 0 to {n_layers - 1}"
            )
        return sorted(wanted)
    if n_layers <= N_DEPTHS:
        return list(range(n_layers))
    parts = N_DEPTHS + 1
    # Rounds n_layers · j / parts to the nearest integer, halves up, without floating point.
    return [(2 * n_layers * j + parts) // (2 * parts) - 1 for j in range(1, parts)]


def attention_module(layer: nn.Module) -> nn.Module:
    """Return the self-attention module of a decoder layer.

    Raises ValueError if no child of the layer has a known name (`ATTENTION_NAMES`), as in layers
    that mix tokens by other means.
    """
    children = dict(layer.named_children())
    for name in ATTENTION_NAMES:
        if name in children:
            return children[name]
    raise InputError(
        f"{type(layer).__name__} has no self-attention module: none of {list(ATTENTION_NAMES)} "
        f"among its children {list(children)}"
    )


def outward_projection(layer: nn.Module) -> nn.Module:
    """Return what maps the inner activation of a decoder layer's feed-forward network back.

    Raises InputError if the layer has none with a known name (`OUTWARD_NAMES`) outside its
    attention, or several, as in a mixture of experts.
    """
    inside = {id(module) for module in attention_module(layer).modules()}
    named = [(name.rpartition(".")[2], module) for name, module in layer.named_modules()]
    found = [m for name, m in named if name in OUTWARD_NAMES and id(m) not in inside]
    if len(found) != 1:
        raise InputError(
            f"{type(layer).__name__} has {len(found)} modules of {list(OUTWARD_NAMES)} outside its "
            "attention, where one, of one feed-forward network, is read"
        )
    return found[0]


def require_attention(
    decoder_layers: Sequence[nn.Module], chosen: Sequence[int], *, key: str, first: int
) -> None:
    """Check that decoder layers have self-attention; not all of hybrid models (Qwen3.5) do.

    `chosen` counts from `first`, as the config's `key` does. Raises InputError, naming the key and
    the layers that it may name.
    """
    named = [{name for name, _ in layer.named_children()} for layer in decoder_layers]
    having = [i for i, names in enumerate(named, first) if not names.isdisjoint(ATTENTION_NAMES)]
    without = sorted(set(chosen) - set(having))
    if without:
        raise InputError(
            f"decoder layers {without} have no self-attention, which is read here; set `{key}` in "
            f"the config to layers that have it, of this model: {having}"
        )


def first_tensor(output: torch.Tensor | tuple) -> torch.Tensor:
    """Return the hidden states from a module's output, a tensor or a tuple that starts with one."""
    return output if isinstance(output, torch.Tensor) else output[0]


def hidden_argument(args: tuple, kwargs: dict) -> torch.Tensor:
    """Return the hidden states that a module was called with, by position or by name."""
    return args[0] if args else kwargs["hidden_states"]


def attention_weights(module: nn.Module, output: torch.Tensor | tuple) -> torch.Tensor:
    """Return the weights (B, H, T, T) from the output of a self-attention module.

    RuntimeError if there are none, as of attention that is not computed eagerly.
    """
    weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
    if weights is None or weights.ndim != 4:
        raise RuntimeError(
            f"{type(module).__name__} returned no attention weights; load the model with "
            "eager attention (--attention eager)"
        )
    return weights


class ForwardStopped(Exception):  # noqa: N818 (a way out of the forward pass, not an error)
    """Raised by a hook of a `Recorder` to end the forward pass where all is recorded."""


class Recorder(ABC):
    """Hooks on the modules of a model that are there while it is entered.

    Ending the pass by an exception works with every model: without its last layers one that counts
    them from its config would fail, and would still compute the final norm and the logits.
    """

    @abstractmethod
    def _hook(self) -> list[RemovableHandle]:
        """Register the hooks."""

    def __enter__(self) -> Self:
        self._handles = self._hook()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        for handle in self._handles:
            handle.remove()
        return kind is ForwardStopped
