"""Load complete weights: one that is missing, unknown or of another shape is an error.

With such files, transformers fills in random numbers and peft keeps its own, both with only a
warning, and results would differ from one load to the next.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from vlselect.core.errors import InputError

SHOWN = 20  # weights that an error lists by name


class WeightsError(InputError):
    """A checkpoint does not hold exactly the weights of its model."""


def load_pretrained(
    kind: type, path: str, *, device: torch.device, **options: object
) -> PreTrainedModel:
    """Load a transformers model, of a class or an Auto class, from a directory or the hub.

    Weights for a GPU go there one by one: the processes of a training would otherwise each hold the
    whole model in the machine's memory first.

    Raises
    ------
    WeightsError
        If weights are missing, unknown or of another shape; lists them. Weights that are tied to
        others, or that the architecture declares ignorable, do not count.
    """
    if device.type != "cpu" or "quantization_config" in options:
        options["device_map"] = {"": device}
    model, found = kind.from_pretrained(
        path, output_loading_info=True, ignore_mismatched_sizes=True, **options
    )
    if getattr(model, "_hf_peft_config_loaded", False):
        raise WeightsError(
            f"{path} holds an adapter with or instead of a model: use the base model, or merge "
            "the adapter into it first"
        )
    other = [*found["mismatched_keys"], *_quantised_shapes(model)]
    shapes = [f"{name}: {list(a)} in place of {list(b)}" for name, a, b in other]
    require_none(path, found["missing_keys"], found["unexpected_keys"], shapes)
    return model


def require_same(path: object, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raise `WeightsError` unless a file's tensors have the names and shapes of the model's own."""
    shapes = [
        f"{name}: {list(given[name].shape)} in place of {list(own[name].shape)}"
        for name in given.keys() & own.keys()
        if given[name].shape != own[name].shape
    ]
    require_none(path, own.keys() - given.keys(), given.keys() - own.keys(), shapes)


def require_none(
    path: object, missing: Iterable[str], unexpected: Iterable[str], shapes: Iterable[str]
) -> None:
    """Raise `WeightsError` if any of the lists names a weight."""
    wrong = {"missing": missing, "not of this model": unexpected, "of another shape": shapes}
    parts = [_list(what, sorted(names)) for what, names in wrong.items()]
    if any(parts):
        raise WeightsError(
            f"the weights in {path} do not match its model: {'; '.join(filter(None, parts))}. "
            "A checkpoint must be complete, and of the architecture that its config describes"
        )


def _quantised_shapes(model: nn.Module) -> Iterator[tuple[str, Sequence[int], Sequence[int]]]:
    """Yield name, shape and right shape of quantised weights that transformers does not check."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and not module.weight.is_floating_point():
            weight = module.weight
            shape = getattr(getattr(weight, "quant_state", weight), "shape", weight.shape)
            if tuple(shape) != (right := (module.out_features, module.in_features)):
                yield f"{name}.weight", shape, right


def _list(what: str, names: list[str]) -> str:
    """List the first weights and the number of all; "" if there are none."""
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {what} ({', '.join(names[:SHOWN])}{more})"
