"""What a model makes of an image at first: its visual tokens' hidden states, averaged.

These are the representations of PRISM, arXiv 2502.12119: those after an early decoder layer, where
the forward pass ends.
"""

import numpy as np
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from vlselect.core.errors import InputError
from vlselect.features.activations import masked_mean
from vlselect.features.forward_pass import to_finite, token_width
from vlselect.models.layers import ForwardStopped, Recorder, first_tensor
from vlselect.models.vlm import Batch


class VisualRecorder(Recorder):
    """Average, while entered, the visual tokens (mask B, T) after a layer, and end the pass there.

    Attributes
    ----------
    features : float32 Tensor (B, d) or None
        Zeros for a sample without visual tokens; None until the layer has run.
    """

    def __init__(self, layer: nn.Module, image: torch.Tensor):
        self._layer, self._image = layer, image
        self.features: torch.Tensor | None = None

    def _hook(self) -> list[RemovableHandle]:
        return [self._layer.register_forward_hook(self._finish)]

    def _finish(self, module: nn.Module, args: tuple, output) -> None:
        hidden = first_tensor(output)
        self.features = masked_mean(hidden, self._image.to(hidden.device)[:, None])[:, 0]
        raise ForwardStopped


@torch.inference_mode()
def extract_visual(
    model: nn.Module,
    decoder_layers: nn.ModuleList,
    batch: Batch,
    *,
    layer: int,
    faults: dict[str, str] | None = None,
) -> np.ndarray:
    """Return the mean hidden state of each sample's visual tokens, float16 (B, d).

    Parameters
    ----------
    model : PreTrainedModel
        Image-text-to-text model in evaluation mode.
    decoder_layers : ModuleList
    batch : Batch
        A sample without visual tokens gets zeros; if none has any, no pass is run.
    layer : int
        Decoder layer, counted from 1: layer 1 is ``decoder_layers[0]``. Later layers do not run.
    faults : dict, optional
        Takes up, by sample id, what cannot be stored; see `half.to_stored`.

    Raises
    ------
    ValueError
        If the layer does not exist.
    """
    if not 1 <= layer <= len(decoder_layers):
        raise InputError(f"layer {layer} is not one of 1 to {len(decoder_layers)}")
    if not batch.image.any():
        return np.zeros((len(batch), token_width(model)), np.float16)
    with VisualRecorder(decoder_layers[layer - 1], batch.image) as recorder:
        model(**batch.inputs, use_cache=False)
    if recorder.features is None:
        raise RuntimeError(f"the forward pass did not reach decoder layer {layer}")
    return to_finite(recorder.features, np.float16, "visual", batch.sample_ids, faults)
