"""Vectors of samples under a warmed-up model: where they come from, and the shards of a part.

A vector is a sample's projected gradient by the LoRA weights of the warm-up or, from a forward pass
alone, its hidden states or its gradient by the output layer (`representation`).
"""

import argparse
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vlselect.core import log, store
from vlselect.core.half import to_stored
from vlselect.core.shard_files import shard_rows
from vlselect.core.store import ShardedArray
from vlselect.features.forward_pass import shard_header
from vlselect.features.parts import Part, left_out_of
from vlselect.features.refusals import rows_to_run, settle, write_batch
from vlselect.gradients import fingerprint, precondition, projection
from vlselect.gradients.per_sample import (
    PerSampleGradients,
    normalise,
    project_gradients,
    require_norms,
)
from vlselect.gradients.representation import represent, representation
from vlselect.gradients.span import coordinates
from vlselect.models import loading, vlm
from vlselect.models.checkpoint import load_checkpoint, weights_digest
from vlselect.models.lora import load_adapter
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


class Source(NamedTuple):
    """Where vectors come from: their length, their projection, and the passes over samples.

    `passes` takes model, samples, rows, image root and `max_pixels`; it yields batch, losses (B,)
    and vectors, float32: (B, width) or, with a basis (width, k), (B, k).
    """

    width: int
    projection: Mapping[str, object]
    passes: Callable[..., Iterator[tuple[vlm.Batch, torch.Tensor, torch.Tensor]]]
    basis: np.ndarray | None = None


@contextmanager
def source_of(arguments: argparse.Namespace, model: vlm.VLM) -> Iterator[Source]:
    """Load the warm-up onto the model; yield what the flags ask for of it."""
    kind = arguments.representation
    if kind != "lora":
        found = representation(
            kind, load_checkpoint(model, arguments.warm_up).model, arguments.positions
        )
        yield Source(found.width, found.projection, partial(represent, run=found.run))
        return
    model = load_adapter(model, arguments.warm_up, as_model=True)
    with PerSampleGradients(model.model) as per_sample:
        per_sample.require_inside(model.model.get_decoder())
        phi = projection.make(
            arguments.projection,
            size=per_sample.size,
            dim=arguments.dim,
            seed=arguments.projection_seed,
            device=model.device,
            nonzeros=arguments.nonzeros,
            implementation=arguments.implementation,
        )
        logger.info("%d LoRA matrices; projection %s", len(per_sample.matrices), phi.describe())
        projected = projection.fingerprint(phi)
        if arguments.precondition == "adam":
            weights = precondition.adam_weights(arguments.warm_up, per_sample.matrices)
            phi = precondition.weighted(phi, weights)
        passes = partial(project_gradients, per_sample=per_sample, projection=phi)
        yield Source(phi.dim, projected, passes)


def within_span(source: Source, path: Path) -> Source:
    """Return the source with the basis of find_span, whose gradients have to be of its kind."""
    basis = ShardedArray([path])
    own = {fingerprint.KEY: fingerprint.encode(source.projection)}
    fingerprint.require_same([own, *basis.metadata], ["these gradients", str(path)])
    within = json.loads(basis.only("within"))
    return source._replace(width=len(basis), projection=within, basis=basis[:])


def common_header(
    arguments: argparse.Namespace, model: vlm.VLM, code: str, source: Source
) -> dict[str, str]:
    """Return the header that all shards of a job share; `code` is the digest of its sources."""
    kind = arguments.representation
    return {
        "run": arguments.run,
        "kind": "gradients" if kind == "lora" else kind,
        "model": model.path,
        "revision": model.revision,
        "dtype": loading.number_format(getattr(torch, arguments.dtype)),
        "warm_up": weights_digest(arguments.warm_up),
        "precondition": arguments.precondition,
        "code": code,
        fingerprint.KEY: fingerprint.encode(source.projection),
        **({"positions": arguments.positions} if kind == "hidden" else {}),
    }


def _writers(
    out: str, losses: str | None, dim: int, rows: range, header: dict[str, str]
) -> dict[str, store.ShardWriter]:
    """Return the writers of a part's gradients and, where they are asked for, losses."""
    writers = {"gradients": store.ShardWriter(out, (len(rows), dim), np.float16, header)}
    if losses:
        about = {k: v for k, v in header.items() if k not in (fingerprint.KEY, "normalised")}
        about["kind"] = "losses"
        writers["losses"] = store.ShardWriter(losses, (len(rows),), np.float32, about)
    return writers


def write_shard(
    arguments: argparse.Namespace,
    part: Part,
    header: dict[str, str],
    source: Source,
    model: vlm.VLM,
    losses_out: str | None,
) -> None:
    """Run the model on one part and write its shard, and that of its losses."""
    name, samples_path, images, out = part
    left_out = left_out_of(arguments, part)
    samples = Samples(samples_path)
    rows = shard_rows(len(samples), arguments.shard)
    normalised = name not in arguments.keep_norms
    own = {"part": name, "rows": f"{rows.start}:{rows.stop}", "normalised": str(normalised).lower()}
    own["samples"] = samples.digest
    logger.info("%s: rows %s of %d", name, own["rows"], len(samples))
    writers = _writers(out, losses_out, source.width, rows, header | own)
    faults: dict[str, str] = {}
    with log.timed(f"gradients of {name}"), ExitStack() as stack:
        for writer in writers.values():
            stack.enter_context(writer)
        kept = rows_to_run(rows, left_out, writers.values())
        for batch, losses, vectors in source.passes(
            *(model, samples, kept, images), max_pixels=arguments.max_pixels
        ):
            values, losses = vectors.cpu().numpy(), losses.cpu().numpy()
            found = (values, losses, batch.sample_ids, faults)
            if normalised:
                values = normalise(*found)
            else:
                require_norms(*found)
            if source.basis is not None:
                values = coordinates(values, source.basis)
            stored = {
                "gradients": to_stored(values, np.float16, "gradients", batch.sample_ids, faults),
                "losses": to_stored(losses, np.float32, "loss", batch.sample_ids, faults),
            }
            write_batch(writers, batch.rows - rows.start, stored, batch.sample_ids, faults)
        settle(faults, arguments.on_refused)


def write_losses_before(
    arguments: argparse.Namespace, part: Part, model: vlm.VLM, code: str, out: str
) -> None:
    """Run the model as it is, without the warm-up, on one part; write the losses."""
    samples, left_out = Samples(part.samples), left_out_of(arguments, part)
    rows = shard_rows(len(samples), arguments.shard)
    about = {"kind": "losses", "part": part.name, "samples": samples.digest}
    header = shard_header(arguments.run, rows, model, code, **about)
    faults: dict[str, str] = {}
    found = representation("hidden", model.model, "prompt")
    with store.ShardWriter(out, (len(rows),), np.float32, header) as writer:
        kept = rows_to_run(rows, left_out, [writer])
        for batch, losses, _ in represent(
            *(model, samples, kept, part.images, found.run), max_pixels=arguments.max_pixels
        ):
            ids = batch.sample_ids
            own = to_stored(losses.cpu().numpy(), np.float32, "loss", ids, faults)
            write_batch({"losses": writer}, batch.rows - rows.start, {"losses": own}, ids, faults)
        settle(faults, arguments.on_refused)
