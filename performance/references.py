"""Per-sample gradients as other programs compute them: one sample at a time, or by vmap(grad).

None of this uses the pipeline's own gradients. Every contender is compared with `exact`.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from vlselect.gradients.per_sample import response_losses
from vlselect.models.collation import IGNORED, Batch, Encoded
from vlselect.models.vlm import VLM

TOLERANCE = 2e-3  # relative error of a sample's gradient: float32 sums in another order


def lora_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the LoRA weights by name, in the model's order, requiring gradients."""
    weights = {name: p for name, p in model.named_parameters() if "lora_" in name}
    for weight in weights.values():
        weight.requires_grad_(True)
    return weights


def exact(vlm: VLM, sample: Encoded) -> torch.Tensor:
    """Compute one sample's gradient by autograd, of the model's own loss: float32 Tensor (p,)."""
    weights = list(lora_weights(vlm.model).values())
    batch = vlm.collate([sample])
    loss = vlm.model(**batch.inputs, labels=batch.labels, use_cache=False).loss
    return flat(torch.autograd.grad(loss, weights))


def loop(vlm: VLM, samples: Sequence[Encoded]) -> torch.Tensor:
    """Compute as the released programs do: batch size 1, the model's loss, one backward each."""
    return torch.stack([exact(vlm, sample) for sample in samples])


def loop_on_responses(vlm: VLM, samples: Sequence[Encoded]) -> torch.Tensor:
    """Compute them with our loss, which needs the logits of response tokens only."""
    weights = list(lora_weights(vlm.model).values())
    rows = []
    for sample in samples:
        loss = response_losses(vlm.model, vlm.collate([sample]))[0]
        rows.append(flat(torch.autograd.grad(loss, weights)))
    return torch.stack(rows)


def training_step(vlm: VLM, batches: Sequence[Batch]) -> None:
    """Run an ordinary batched forward and backward for all LoRA weights."""
    weights = list(lora_weights(vlm.model).values())
    for batch in batches:
        torch.autograd.grad(response_losses(vlm.model, batch).sum(), weights)


def by_vmap(vlm: VLM, batch: Batch, whole: bool) -> torch.Tensor:
    """Compute vmap(grad) over the samples of a batch: float32 Tensor (B, p).

    `whole`: over the whole model, images included; else over the language model and output layer
    only, with the embeddings and the attention mask made beforehand.
    """
    weights = lora_weights(vlm.model)
    values = {name: weight.detach() for name, weight in weights.items()}
    labels = batch.labels
    if whole:
        inputs = {k: v for k, v in batch.inputs.items() if k != "mm_token_type_ids"}

        def loss(values, inputs, labels):
            inputs = {name: value[None] for name, value in inputs.items()}
            options = {"use_cache": False, **inputs}
            logits = functional_call(vlm.model, values, (), options).logits[0]
            return _mean_loss(logits, labels)
    else:
        inner = vlm.model.get_base_model()
        decoder, head = inner.get_decoder(), inner.get_output_embeddings()
        prefix = next(n for n, m in vlm.model.named_modules() if m is decoder) + "."
        values = {name.removeprefix(prefix): value for name, value in values.items()}
        inputs = {"inputs_embeds": _embeddings(vlm, batch)}
        inputs["attention_mask"] = _causal(batch.inputs["attention_mask"].bool())

        def loss(values, inputs, labels):
            inputs = {name: value[None] for name, value in inputs.items()}
            options = {"use_cache": False, **inputs}
            hidden = functional_call(decoder, values, (), options).last_hidden_state[0]
            return _mean_loss(head(hidden), labels)

    found = vmap(grad(loss), in_dims=(None, 0, 0))(values, inputs, labels)
    return torch.cat([value.flatten(1) for value in found.values()], dim=1).detach()


def _mean_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    targets = labels[1:]
    chosen = targets != IGNORED
    scores = logits[:-1].log_softmax(-1).gather(1, targets.clamp(min=0)[:, None])[:, 0]
    return -(scores * chosen).sum() / chosen.sum()


def _causal(present: torch.Tensor) -> torch.Tensor:
    """Return the mask (B, 1, T, T) that the model would build itself by inspecting the values."""
    length = present.shape[1]
    seen = torch.ones(length, length, dtype=torch.bool).tril() & present[:, None, :]
    return (seen | torch.eye(length, dtype=torch.bool))[:, None]


def _embeddings(vlm: VLM, batch: Batch) -> torch.Tensor:
    """Return the language model's input embeddings, images included."""
    seen = {}

    def look(module, args, kwargs):
        seen.update(kwargs)

    decoder = vlm.model.get_base_model().get_decoder()
    handle = decoder.register_forward_pre_hook(look, with_kwargs=True)
    with torch.no_grad():
        vlm.model(**batch.inputs, use_cache=False)
    handle.remove()
    return seen["inputs_embeds"]


def flat(gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """Concatenate gradients."""
    return torch.cat([gradient.flatten() for gradient in gradients])


def worst_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest relative error of a sample's gradient."""
    return float(((found - expected).norm(dim=1) / expected.norm(dim=1)).max())


def require_exact(name: str, found: torch.Tensor, expected: torch.Tensor) -> float:
    """Refuse a contender whose gradients are not the exact ones; return the largest error."""
    error = worst_error(found, expected)
    if not error < TOLERANCE:
        raise ValueError(f"{name}: a sample's gradient is off by {error:.2g} of its norm")
    return error
