"""Collect a vector for each sample from a warmed-up model: of a pool shard, or of validation sets.

The vector is its projected gradient by the LoRA weights of the warm-up or, from a forward pass
alone, its hidden states or its gradient by the output layer; it has unit length and is stored as
float16. A part is a set of samples with its image root and becomes one shard file. The model is
loaded once for all parts. The losses of a part, means over each sample's response tokens in nats,
become a shard of their own, float32; so may those of the model before the warm-up.
"""

import argparse
import gc
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import numpy as np
import torch

from vlselect.core import log, store
from vlselect.core.errors import InputError
from vlselect.core.half import to_stored
from vlselect.core.sources import code_digest, imported_sources
from vlselect.core.store import ShardedArray
from vlselect.features.parts import Part, add_part_arguments, left_out_of, read_parts
from vlselect.features.refusals import (
    add_refusal_arguments,
    rows_to_run,
    settle,
    write_batch,
)
from vlselect.features.weighted_hidden import POSITIONS
from vlselect.gradients import fingerprint, precondition, projection
from vlselect.gradients.per_sample import (
    PerSampleGradients,
    normalise,
    project_gradients,
    require_norms,
)
from vlselect.gradients.representation import KINDS, represent, representation
from vlselect.gradients.span import coordinates
from vlselect.models import loading, vlm
from vlselect.models.checkpoint import load_checkpoint, weights_digest
from vlselect.models.lora import load_adapter
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_part_arguments(parser)
    parser.add_argument(
        "--losses", nargs="*", default=[], help="shard of each part's losses, or none"
    )
    about = "shard of each part's losses before the warm-up, or none"
    parser.add_argument("--losses-before", nargs="*", default=[], help=about)
    about = "checkpoint of the warm-up: a LoRA adapter, which `lora` needs, or a whole model"
    parser.add_argument("--warm-up", type=Path, required=True, help=about)
    about = "gradients of the LoRA weights, hidden states, or gradients of the output layer"
    parser.add_argument("--representation", choices=("lora", *KINDS), required=True, help=about)
    parser.add_argument(
        "--positions", choices=POSITIONS, help="tokens of hidden states; hidden needs it"
    )
    parser.add_argument(
        "--keep-norms", nargs="*", default=[], metavar="NAME", help="parts not to normalise"
    )
    parser.add_argument(
        "--projection", choices=projection.TYPES, help="lora needs it and its flags"
    )
    parser.add_argument("--dim", type=int, help="dimension k to project to")
    parser.add_argument("--projection-seed", type=int)
    parser.add_argument("--nonzeros", type=int, help="nonzeros of each coordinate (sjlt)")
    parser.add_argument("--implementation", choices=projection.IMPLEMENTATIONS)
    about = "adam divides gradients by the root of the warm-up's second moments; for lora"
    parser.add_argument("--precondition", choices=precondition.KINDS, required=True, help=about)
    about = "basis of find_span: vectors are stored by their coordinates in it"
    parser.add_argument("--span", type=Path, help=about)
    parser.add_argument("--max-pixels", type=int, required=True, help="largest image allowed")
    parser.add_argument("--run", required=True, help="name of the run, for the header")
    add_refusal_arguments(parser)
    loading.add_model_arguments(parser)
    return parser


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


def common_header(arguments: argparse.Namespace, model: vlm.VLM, source: Source) -> dict[str, str]:
    """Return the header that all shards of this job share."""
    kind = arguments.representation
    return {
        "run": arguments.run,
        "kind": "gradients" if kind == "lora" else kind,
        "model": model.path,
        "revision": model.revision,
        "dtype": loading.number_format(getattr(torch, arguments.dtype)),
        "warm_up": weights_digest(arguments.warm_up),
        "precondition": arguments.precondition,
        "code": code_digest(imported_sources(__file__)),
        fingerprint.KEY: fingerprint.encode(source.projection),
        **({"positions": arguments.positions} if kind == "hidden" else {}),
    }


def shard_writers(
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
    rows = store.shard_rows(len(samples), arguments.shard)
    normalised = name not in arguments.keep_norms
    own = {"part": name, "rows": f"{rows.start}:{rows.stop}", "normalised": str(normalised).lower()}
    own["samples"] = samples.digest
    logger.info("%s: rows %s of %d", name, own["rows"], len(samples))
    writers = shard_writers(out, losses_out, source.width, rows, header | own)
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
    arguments: argparse.Namespace, part: Part, model: vlm.VLM, out: str
) -> None:
    """Run the model as it is, without the warm-up, on one part; write the losses."""
    samples, left_out = Samples(part.samples), left_out_of(arguments, part)
    rows = store.shard_rows(len(samples), arguments.shard)
    header = {"run": arguments.run, "rows": f"{rows.start}:{rows.stop}", "kind": "losses"}
    header |= {"model": model.path, "revision": model.revision, "part": part.name}
    header |= {"dtype": loading.number_format(model.model.dtype), "samples": samples.digest}
    header["code"] = code_digest(imported_sources(__file__))
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


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    for flag, given in (("losses", arguments.losses), ("losses-before", arguments.losses_before)):
        if given and len(given) != len(arguments.names):
            raise InputError(f"{len(given)} --{flag} for {len(arguments.names)} parts")
    parts = read_parts(arguments)
    unknown = set(arguments.keep_norms) - set(arguments.names)
    if unknown:
        raise InputError(f"--keep-norms has unknown parts: {', '.join(sorted(unknown))}")
    model = loading.load_from_arguments(arguments)
    if arguments.losses_before:
        for part, out in zip(parts, arguments.losses_before, strict=True):
            write_losses_before(arguments, part, model, out)
    with source_of(arguments, model) as source:
        source = within_span(source, arguments.span) if arguments.span else source
        header = common_header(arguments, model, source)
        for *_, out in parts:
            fingerprint.require_like_finished(out, header)
        for part, losses_out in zip(parts, arguments.losses or [None] * len(parts), strict=True):
            write_shard(arguments, part, header, source, model, losses_out)


if __name__ == "__main__":
    main()
