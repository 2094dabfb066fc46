"""Extract how much the image helps a model to predict each response, for one pool shard.

One forward pass for each sample, and one more, without the image, for each that has one.
"""

import argparse
import gc
from collections.abc import Sequence
from functools import partial

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

from vlselect.core import log
from vlselect.features.forward_pass import token_width
from vlselect.features.gains import COLUMNS, KINDS, extract_gains
from vlselect.features.shard_pass import Kind, ShardPass, add_pass_arguments


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_pass_arguments(parser, *KINDS)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    run = ShardPass(arguments, __file__)
    model = run.model.model
    widths = {"gains": len(COLUMNS), "question": token_width(model)}
    about = {"gains": {"columns": COLUMNS}}
    kinds = {kind: Kind(widths[kind], dtype, about.get(kind, {})) for kind, dtype in KINDS.items()}
    run.run("gains", kinds, partial(extract_gains, model, faults=run.faults))


if __name__ == "__main__":
    main()
