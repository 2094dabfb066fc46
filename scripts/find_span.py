"""Find the span of all tasks' validation gradients, and write their coordinates in it.

Reads each task's validation gradients; writes an orthonormal basis (r, k), in which the pool's
gradients are stored, and the same validation gradients by their r coordinates.
"""

import argparse
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from vlselect.core import log
from vlselect.core.shard_files import CHECKSUMS, REFUSED
from vlselect.core.sources import code_digest, imported_sources
from vlselect.core.store import ShardedArray, ShardWriter
from vlselect.gradients import fingerprint, influence, span

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    about = "validation gradients, a file for each task"
    parser.add_argument("--validation", nargs="+", required=True, help=about)
    parser.add_argument("--dimensions", type=int, required=True, help="of the span, at most")
    parser.add_argument("--threads", type=int, required=True, help="of the matrix products")
    parser.add_argument("--basis", type=Path, required=True, help="safetensors to write")
    about = "coordinates to write, a file for each task"
    parser.add_argument("--out", type=Path, nargs="+", required=True, help=about)
    return parser


def write_coordinates(
    path: Path, gradients: ShardedArray, basis: np.ndarray, projection: str
) -> None:
    """Write one task's gradients by their coordinates; what the model refused stays refused."""
    header = gradients.metadata[0] | {fingerprint.KEY: projection, "kind": "gradients"}
    header = {key: text for key, text in header.items() if key not in (CHECKSUMS, REFUSED)}
    refused, values = gradients.refused, gradients[:]
    values[refused] = 0
    with ShardWriter(path, (len(gradients), len(basis)), np.float16, header) as writer:
        writer.write(slice(None), span.coordinates(values, basis))
        if len(refused):
            writer.refuse(refused, "left_out")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    tasks = {path: ShardedArray([path]) for path in arguments.validation}
    influence.require_comparable(tasks)
    with log.timed("span"), threadpool_limits(arguments.threads):
        parts = [influence.all_gradients(array) for array in tasks.values()]
        basis, energy = span.orthonormal_basis(parts, arguments.dimensions)
        about = "%d directions for %d validation gradients of width %d keep %.6f of their energy"
        logger.info(about, len(basis), sum(map(len, parts)), basis.shape[1], energy)
        whole = next(iter(tasks.values())).metadata[0]
        digest = hashlib.sha256(basis.tobytes()).hexdigest()
        within = fingerprint.encode(json.loads(whole[fingerprint.KEY]) | {"span": digest})
        header = {key: whole[key] for key in influence.ORIGIN}
        header |= {"kind": "basis", "rows": f"0:{len(basis)}", "energy": f"{energy:.9f}"}
        header |= {fingerprint.KEY: whole[fingerprint.KEY], "within": within}
        header["code"] = code_digest(imported_sources(__file__))
        with ShardWriter(arguments.basis, basis.shape, np.float32, header) as writer:
            writer.write(slice(None), basis)
        for path, array in zip(arguments.out, tasks.values(), strict=True):
            write_coordinates(path, array, basis, within)


if __name__ == "__main__":
    main()
