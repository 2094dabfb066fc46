"""The gradient that the optimiser gets at its first step, and a slow reference for it.

Run as a program, this is scripts/finetune_model.py, which saves that gradient beside its output.
"""

import os
import runpy
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from vlselect.checkpoints.training_log import TrainingLog
from vlselect.models.vlm import VLM
from vlselect.pool import images
from vlselect.pool.samples import Samples

PROGRAM = Path(__file__)


def keep_first(gradients: dict[str, torch.Tensor]):
    """Make a callback that stores the first step's gradients, by name of the weight, in a dict."""

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        if state.global_step == 0:
            named = model.named_parameters()
            gradients.update({n: w.grad.clone() for n, w in named if w.grad is not None})

    return on_pre_optimizer_step


def slow_step(vlm: VLM, pool: Path, rows) -> tuple[float, int, dict[str, torch.Tensor]]:
    """Compute the mean loss over all response tokens of some samples, one token at a time.

    Returns
    -------
    loss, n_tokens, gradients
        In float64, to which the model is converted.
    """
    vlm.model.double()
    losses = []
    for record in Samples(pool / "samples.parquet").records(rows):
        pictures = [images.load(pool / "images", name, 10**7) for name in record.images]
        encoded = vlm.encode(record, pictures)
        ids = encoded.inputs["input_ids"]
        logits = vlm.model(**vlm.collate([encoded]).inputs).logits[0].double()
        places = [t for t in range(1, len(ids)) if encoded.response[t]]
        losses += [-logits[t - 1].log_softmax(0)[ids[t]] for t in places]
    loss = torch.stack(losses).sum() / len(losses)
    loss.backward()
    named = vlm.model.named_parameters()
    return loss.item(), len(losses), {n: w.grad for n, w in named if w.grad is not None}


if __name__ == "__main__":
    found: dict[str, torch.Tensor] = {}
    TrainingLog.on_pre_optimizer_step = keep_first(found)
    script, sys.argv = sys.argv[1], sys.argv[1:]
    runpy.run_path(script, run_name="__main__")
    if os.environ.get("RANK", "0") == "0":
        out = Path(sys.argv[sys.argv.index("--out") + 1])
        save_file({name: grad.contiguous() for name, grad in found.items()}, f"{out}.safetensors")
