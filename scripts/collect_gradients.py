"""Collect projected per-sample gradients of a warmed-up model: a pool shard, or validation sets.

A part is a set of samples with its image root and becomes one shard file. The model is loaded once
for all parts. Rows are divided by their norms and stored as float16. The losses of a part, means
over each sample's response tokens in nats, become a shard of their own, float32.
"""

import argparse
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from vlselect.core import log, store
from vlselect.core.errors import InputError
from vlselect.core.half import to_stored
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.parts import Part, add_part_arguments, left_out_of, read_parts
from vlselect.features.refusals import (
    add_refusal_arguments,
    rows_to_run,
    settle,
    write_batch,
)
from vlselect.gradients import fingerprint, projection
from vlselect.gradients.per_sample import (
    PerSampleGradients,
    normalise,
    project_gradients,
    require_norms,
)
from vlselect.models import loading, vlm
from vlselect.models.lora import adapter_digest, load_adapter
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_part_arguments(parser)
    parser.add_argument("--losses", help="shard of losses to write, of the only part")
    parser.add_argument("--adapter", type=Path, required=True, help="LoRA adapter of the warm-up")
    parser.add_argument(
        "--keep-norms", nargs="*", default=[], metavar="NAME", help="parts not to normalise"
    )
    parser.add_argument("--projection", choices=projection.TYPES, required=True)
    parser.add_argument("--dim", type=int, required=True, help="dimension k to project to")
    parser.add_argument("--projection-seed", type=int, required=True)
    parser.add_argument(
        "--nonzeros", type=int, required=True, help="nonzeros of each coordinate (sjlt)"
    )
    parser.add_argument("--implementation", choices=projection.IMPLEMENTATIONS, required=True)
    parser.add_argument("--max-pixels", type=int, required=True, help="largest image allowed")
    parser.add_argument("--run", required=True, help="name of the run, for the header")
    add_refusal_arguments(parser)
    loading.add_model_arguments(parser)
    return parser


def common_header(
    arguments: argparse.Namespace, model: vlm.VLM, phi: projection.Projection
) -> dict[str, str]:
    """Return the header that all shards of this job share."""
    return {
        "run": arguments.run,
        "kind": "gradients",
        "model": model.path,
        "revision": model.revision,
        "dtype": arguments.dtype,
        "warm_up": adapter_digest(arguments.adapter),
        "code": code_digest(imported_sources(__file__)),
        fingerprint.KEY: fingerprint.encode(projection.fingerprint(phi)),
    }


def shard_writers(
    arguments: argparse.Namespace, out: str, dim: int, rows: range, header: dict[str, str]
) -> dict[str, store.ShardWriter]:
    """Return the writers of a part's gradients and, where they are asked for, losses."""
    writers = {"gradients": store.ShardWriter(out, (len(rows), dim), np.float16, header)}
    if arguments.losses:
        about = {k: v for k, v in header.items() if k not in (fingerprint.KEY, "normalised")}
        about["kind"] = "losses"
        writers["losses"] = store.ShardWriter(arguments.losses, (len(rows),), np.float32, about)
    return writers


def write_shard(
    arguments: argparse.Namespace,
    part: Part,
    header: dict[str, str],
    per_sample: PerSampleGradients,
    phi: projection.Projection,
    model: vlm.VLM,
) -> None:
    name, samples_path, images, out = part
    left_out = left_out_of(arguments, part)
    samples = Samples(samples_path)
    rows = store.shard_rows(len(samples), arguments.shard)
    normalised = name not in arguments.keep_norms
    own = {"part": name, "rows": f"{rows.start}:{rows.stop}", "normalised": str(normalised).lower()}
    own["samples"] = samples.digest
    logger.info("%s: rows %s of %d", name, own["rows"], len(samples))
    writers = shard_writers(arguments, out, phi.dim, rows, header | own)
    faults: dict[str, str] = {}
    with log.timed(f"gradients of {name}"), ExitStack() as stack:
        for writer in writers.values():
            stack.enter_context(writer)
        kept = rows_to_run(rows, left_out, writers.values())
        for batch, losses, projected in project_gradients(
            *(model, samples, kept, images, per_sample, phi), max_pixels=arguments.max_pixels
        ):
            values, losses = projected.cpu().numpy(), losses.cpu().numpy()
            found = (values, losses, batch.sample_ids, faults)
            if normalised:
                values = normalise(*found)
            else:
                require_norms(*found)
            stored = {
                "gradients": to_stored(values, np.float16, "gradients", batch.sample_ids, faults),
                "losses": to_stored(losses, np.float32, "loss", batch.sample_ids, faults),
            }
            write_batch(writers, batch.rows - rows.start, stored, batch.sample_ids, faults)
        settle(faults, arguments.on_refused)


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    if arguments.losses and len(arguments.names) > 1:
        raise InputError("--losses is for one part")
    parts = read_parts(arguments)
    unknown = set(arguments.keep_norms) - set(arguments.names)
    if unknown:
        raise InputError(f"--keep-norms has unknown parts: {', '.join(sorted(unknown))}")
    model = load_adapter(loading.load_from_arguments(arguments), arguments.adapter)
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
        header = common_header(arguments, model, phi)
        for part in parts:
            write_shard(arguments, part, header, per_sample, phi, model)


if __name__ == "__main__":
    main()
