"""The same job as other programs do it: one sample at a time, trak's TRAKer, dattri.

`one_by_one` is what LESS and ICONS do, written plainly: batch size 1, the model's own loss, trak's
projector on 16 gradients at a time. The other two are the packages themselves.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from PIL import Image
from references import flat, lora_weights
from torch import nn
from torch.func import functional_call
from trak import TRAKer
from trak.gradient_computers import FunctionalGradientComputer, IterativeGradientComputer
from trak.modelout_functions import AbstractModelOutput
from trak.projectors import BasicProjector, ProjectionType

from models import Subject
from vlselect.models.chat import chat_messages
from vlselect.models.collation import IGNORED
from vlselect.pool.records import Record

INTERVAL = 16
FEW = 4  # samples for the packages: both project one at a time, so the cost of each is the same


def inputs_of(subject: Subject, record: Record) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Load images and tokenise; return the model's inputs, with labels on the last response."""
    processor = subject.vlm.processor
    pictures = [Image.open(subject.root / name).convert("RGB") for name in record.images] or None
    chat = chat_messages(record)
    whole = processor.apply_chat_template(chat, tokenize=False)
    prompt = processor.apply_chat_template(chat[:-1], tokenize=False, add_generation_prompt=True)
    inputs = processor(text=[whole], images=pictures, return_tensors="pt")
    length = processor(text=[prompt], images=pictures, return_tensors="pt")["input_ids"].shape[1]
    labels = inputs["input_ids"].clone()
    labels[:, :length] = IGNORED
    return {k: v for k, v in inputs.items() if k != "mm_token_type_ids"}, labels


def rademacher(size: int, dim: int) -> BasicProjector:
    """Return the projector that both released programs use without a GPU."""
    return BasicProjector(size, dim, 0, ProjectionType.rademacher, torch.device("cpu"))


def one_by_one(subject: Subject, dim: int, out: Path) -> torch.Tensor:
    """Compute, project and save the gradients of all samples: float32 Tensor (n, k)."""
    model = subject.vlm.model
    weights = list(lora_weights(model).values())
    projector = rademacher(sum(weight.numel() for weight in weights), dim)
    waiting, done = [], []
    for record in subject.samples.records(range(len(subject.samples))):
        inputs, labels = inputs_of(subject, record)
        model(**inputs, labels=labels, use_cache=False).loss.backward()
        waiting.append(flat([weight.grad for weight in weights]))
        for weight in weights:
            weight.grad = None
        if len(waiting) == INTERVAL:
            done.append(projector.project(torch.stack(waiting), model_id=0))
            waiting = []
    if waiting:
        done.append(projector.project(torch.stack(waiting), model_id=0))
    projected = torch.cat(done)
    torch.save(projected, out / "one_by_one.pt")
    return projected


class LoraOnly(nn.Module):
    """Shows a program only the LoRA weights, since both packages use all parameters."""

    def __init__(self, subject: Subject):
        super().__init__()
        weights = lora_weights(subject.vlm.model)
        self._model, self._names = [subject.vlm.model], list(weights)  # hidden in a list
        self.weights = nn.ParameterList(weights.values())

    def loss(self, values: dict[str, torch.Tensor], inputs: dict) -> torch.Tensor:
        """Compute the model's own loss with other weights in place of its own."""
        named = {name: values[f"weights.{i}"] for i, name in enumerate(self._names)}
        return functional_call(self._model[0], named, (), {**inputs, "use_cache": False}).loss


class Loss(AbstractModelOutput):
    """The loss, as an output function of trak; with `weights` None, of the model's own weights."""

    def __init__(self):
        super().__init__()

    def get_output(self, model, weights, buffers, ids, mask, labels, pixels):
        """Return one loss for each sample of the batch, or of the one sample that vmap shows."""
        single = ids.dim() == 1
        inputs = {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": labels,
            "pixel_values": pixels,
        }
        inputs = {name: value[None] if single else value for name, value in inputs.items()}
        loss = model.loss(dict(model.named_parameters()) if weights is None else weights, inputs)
        return loss if single else loss[None]

    def get_out_to_loss_grad(self, model, weights, buffers, batch):
        """Return a factor of one: the output is the loss already."""
        return torch.ones(len(batch[0]), 1)


def pictured(subject: Subject) -> Iterator[list[torch.Tensor]]:
    """Return the first samples with an image, in batches of one; neither package accepts others."""
    records = subject.samples.records(range(len(subject.samples)))
    for record in islice((record for record in records if record.images), FEW):
        inputs, labels = inputs_of(subject, record)
        yield [inputs["input_ids"], inputs["attention_mask"], labels, inputs["pixel_values"]]


def traker(subject: Subject, dim: int, out: Path, functional: bool) -> torch.Tensor:
    """Compute, project and save gradients of the samples with an image by TRAKer: Tensor (n, k)."""
    model = LoraOnly(subject)
    size = sum(weight.numel() for weight in model.parameters())
    program = TRAKer(
        model=model, task=Loss(), train_set_size=FEW, save_dir=str(out / f"trak-{functional}"),
        load_from_save_dir=False, device="cpu", projector=rademacher(size, dim), proj_dim=dim,
        gradient_computer=FunctionalGradientComputer if functional else IterativeGradientComputer,
        use_half_precision=False, logging_level=40,
    )  # fmt: skip
    program.load_checkpoint(model.state_dict(), model_id=0)
    for batch in pictured(subject):
        program.featurize(batch=batch, num_samples=1)
    stored = program.saver.current_store["grads"]
    stored.flush()
    return torch.as_tensor(stored[:FEW].copy()) * size**0.5  # trak divides by it


def dattri(subject: Subject, dim: int, out: Path) -> torch.Tensor:
    """Compute, project and save gradients of the samples with an image by dattri: Tensor (n, k)."""
    from dattri.func.projection import random_project
    from dattri.task import AttributionTask

    model, output = LoraOnly(subject), Loss()

    def loss(parameters, data):
        return output.get_output(model, parameters, None, *data)

    task = AttributionTask(loss_func=loss, model=model, checkpoints=model.state_dict())
    gradient = task.get_grad_loss_func(in_dims=(None, 0))
    parameters, _ = task.get_param(ckpt_idx=0)
    rows = []
    for batch in pictured(subject):
        rows.append(gradient(parameters, tuple(batch)))
    vectors = torch.cat(rows)
    project = random_project(vectors, len(vectors), proj_dim=dim, device="cpu")
    projected = project(vectors, ensemble_id=0)
    torch.save(projected, out / "dattri.pt")
    return projected
