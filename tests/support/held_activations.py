"""How many bytes a pass of per-sample gradients holds between forward and backward."""

import torch

from vlselect.gradients.per_sample import PerSampleGradients


class Watching(PerSampleGradients):
    """Keeps every tensor that a hook held, with the name of its matrix."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.kept = []

    def _combine(self, matrix, held, gradient):
        self.kept.append((matrix.name, held[0]))
        super()._combine(matrix, held, gradient)


def held_by_hooks(model, batch):
    """Run a pass; return what hooks held, (name, tensor), and bytes: held beside autograd, saved.

    A storage counts once, whatever shares it, and weights count nowhere. `saved` is what autograd
    itself keeps (saved tensors).
    """
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with Watching(model) as per_sample, hooks:
        per_sample.stream(batch, lambda offset, block: None)
    held = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for _, t in per_sample.kept
    }
    held_beside = sum(size for place, size in held.items() if place not in saved.keys() | weights)
    saved_beside = sum(size for place, size in saved.items() if place not in weights)
    return per_sample.kept, held_beside, saved_beside
