"""Collect a vector for each sample from a warmed-up model: of a pool shard, or of validation sets.

The vector is its projected gradient by the LoRA weights of the warm-up or, from a forward pass
alone, its hidden states or its gradient by the output layer; it has unit length and is stored as
float16. A part is a set of samples with its image root and becomes one shard file. The model is
loaded once for all parts. The losses of a part, means over each sample's response tokens in nats,
become a shard of their own, float32; so may those of the model before the warm-up.
"""

import argparse
import gc
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

from vlselect.core import log
from vlselect.core.errors import InputError
from vlselect.core.sources import code_digest, imported_sources
from vlselect.features.parts import add_part_arguments, read_parts
from vlselect.features.refusals import add_refusal_arguments
from vlselect.features.weighted_hidden import POSITIONS
from vlselect.gradients import fingerprint, precondition, projection, vectors
from vlselect.gradients.representation import KINDS
from vlselect.models import loading


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
    code = code_digest(imported_sources(__file__))
    if arguments.losses_before:
        for part, out in zip(parts, arguments.losses_before, strict=True):
            vectors.write_losses_before(arguments, part, model, code, out)
    with vectors.source_of(arguments, model) as source:
        source = vectors.within_span(source, arguments.span) if arguments.span else source
        header = vectors.common_header(arguments, model, code, source)
        for *_, out in parts:
            fingerprint.require_like_finished(out, header)
        for part, losses_out in zip(parts, arguments.losses or [None] * len(parts), strict=True):
            vectors.write_shard(arguments, part, header, source, model, losses_out)


if __name__ == "__main__":
    main()
