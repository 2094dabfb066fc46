"""Features from a single forward pass of a model: activations, hidden states, likelihood."""

import json
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from vlselect.core.errors import InputError
from vlselect.core.half import to_stored
from vlselect.features.activations import ActivationRecorder, masked_mean
from vlselect.features.likelihood import ResponseHead, mean_signals
from vlselect.models.loading import number_format
from vlselect.models.vlm import VLM, Batch

KINDS = {
    "activations": np.float16,
    "last_token": np.float16,
    "mean_hidden": np.float16,
    "likelihood": np.float32,
}


def last_hidden(hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Return the vector of each sample's last token that is not padding: (B, T, d) to (B, d).

    Padding, zero in `attention_mask` (B, T), may be on either side.
    """
    positions = torch.arange(hidden.shape[1], device=hidden.device)
    last = torch.where(attention_mask.bool(), positions, -1).amax(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


def to_finite(
    values: torch.Tensor,
    dtype: type,
    kind: str,
    sample_ids: Sequence[str],
    faults: dict[str, str] | None = None,
) -> np.ndarray:
    """Copy a batch of vectors to the host in the dtype they are stored in.

    What happens to a vector that it cannot hold is up to `faults`, see `half.to_stored`.
    """
    return to_stored(values.float().cpu().numpy(), dtype, kind, sample_ids, faults)


def require_tokens(mask: torch.Tensor, what: str, sample_ids: Sequence[str]) -> None:
    """Raise a ValueError that names the first sample without tokens in a mask (B, T)."""
    empty = torch.nonzero(~mask.any(dim=1)).flatten().tolist()
    if empty:
        raise InputError(f"sample {sample_ids[empty[0]]!r} has no {what} tokens")


def require_images(batch: Batch, n_images: np.ndarray) -> None:
    """Check that samples have image tokens if and only if they have images, n_images (B,).

    Raises ValueError, naming the first sample that does not.
    """
    wrong = np.flatnonzero(batch.image.any(dim=1).cpu().numpy() != (n_images > 0))
    if len(wrong):
        raise InputError(
            f"sample {batch.sample_ids[wrong[0]]!r} has {n_images[wrong[0]]} images, but is "
            f"encoded {'without' if n_images[wrong[0]] else 'with'} image tokens"
        )


def token_width(model: nn.Module) -> int:
    """Return the width d of the language model's hidden states."""
    return model.config.get_text_config().hidden_size


def shard_header(
    run: str, rows: range, vlm: VLM, code: str, **parameters: object
) -> dict[str, str]:
    """Return a shard's header, which records where its values come from.

    `code` is the digest of the source files; `parameters` are all other things that determine the
    values, stored as JSON (strings unchanged).
    """
    return {
        "run": run,
        "rows": f"{rows.start}:{rows.stop}",
        "model": vlm.path,
        "revision": vlm.revision,
        "dtype": number_format(vlm.model.dtype),
        "code": code,
        **{k: v if isinstance(v, str) else json.dumps(v) for k, v in parameters.items()},
    }


@torch.inference_mode()
def extract_features(
    model: nn.Module,
    decoder_layers: nn.ModuleList,
    batch: Batch,
    *,
    layers: Sequence[int],
    variant: str,
    faults: dict[str, str] | None = None,
) -> dict[str, np.ndarray]:
    """Run one forward pass over a batch and reduce it to a few vectors per sample.

    Parameters
    ----------
    model : PreTrainedModel
        Image-text-to-text model in evaluation mode.
    decoder_layers : ModuleList
    batch : Batch
    layers : sequence of int
        Layers of the activations, counted from 0.
    variant : {"released", "paper"}
        Form of the activations, see `activations.pool_attention`.
    faults : dict, optional
        Takes up, by sample id, what cannot be stored; see `half.to_stored`.

    Returns
    -------
    dict of ndarray
        ``activations`` float16 (B, 2·M·d); ``last_token`` and ``mean_hidden`` float16 (B, d), of
        the hidden states after the final norm, without padding; ``likelihood`` float32 (B, 3):
        nll (nats), el2n and margin, means over the response tokens.

    Raises
    ------
    ValueError
        If a sample has no response token or, without `faults`, its values are not finite; names
        the sample.
    """
    require_tokens(batch.response[:, 1:], "response", batch.sample_ids)
    text = batch.instruction | batch.response
    masks = torch.stack([batch.image, text], dim=1)  # (B, 2, T)
    with (
        ActivationRecorder(decoder_layers, layers, masks, variant) as recorder,
        ResponseHead(model, batch.response) as head,
    ):
        output = model(**batch.inputs, use_cache=False)
    targets = batch.labels[:, 1:][head.predicted]
    logits = head.logits(output.logits)
    tokens = batch.inputs["attention_mask"].to(head.hidden.device)
    values = {
        "activations": recorder.vectors(),
        "last_token": last_hidden(head.hidden, tokens),
        "mean_hidden": masked_mean(head.hidden, tokens.bool()[:, None])[:, 0],
        "likelihood": mean_signals(
            logits, targets.to(logits.device), head.predicted.to(logits.device)
        ),
    }
    return {
        kind: to_finite(values[kind], dtype, kind, batch.sample_ids, faults)
        for kind, dtype in KINDS.items()
    }
