"""Extract the visual features that each sample's instruction attends to, for one pool shard.

The forward pass stops after the decoder layer used. Samples without an image (`n_images` of the
pool) have no such features: their rows are zero.
"""

import argparse
import gc
import logging
from collections.abc import Sequence

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import numpy as np

from vlselect.core import log
from vlselect.features.attended import INSTRUCTIONS, UNATTENDED, extract_attended, instruction_rows
from vlselect.features.forward_pass import token_width
from vlselect.features.shard_pass import Kind, ShardPass, add_pass_arguments
from vlselect.models.vlm import Batch

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_pass_arguments(parser, "attended")
    about = "tokens whose attention counts: all but responses and images, or the user's words"
    parser.add_argument("--instruction", choices=INSTRUCTIONS, required=True, help=about)
    parser.add_argument("--layer", type=int, required=True, help="decoder layer, counted from 1")
    about = "share of attention that the chosen tokens have to exceed"
    parser.add_argument("--mass", type=float, required=True, help=about)
    parser.set_defaults(attention="eager")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    run = ShardPass(arguments, __file__)
    model, decoder, instruction = run.model.model, run.model.language_layers, arguments.instruction
    parameters = {"layer": arguments.layer, "mass": arguments.mass}

    def extract(batch: Batch) -> dict[str, np.ndarray]:
        attending = instruction_rows(batch, instruction, run.model.special)
        values, unattended = extract_attended(
            model, decoder, batch, attending, **parameters, faults=run.faults
        )
        run.notes.extend(unattended)
        return {"attended": values}

    about = {**parameters, "instruction": instruction}
    about |= {"text_only": "zeros", "unattended": UNATTENDED}
    kinds = {"attended": Kind(token_width(model), np.float16, about)}
    run.run("attended features", kinds, extract)
    if blind := run.notes:
        logger.warning(
            "in %d samples no instruction token can see the image, which comes after it; "
            "used the %s: %s ...",
            *(len(blind), UNATTENDED, ", ".join(blind[:5])),
        )


if __name__ == "__main__":
    main()
