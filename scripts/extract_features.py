"""Extract four kinds of features of one pool shard, with one forward pass for each sample."""

import argparse
import gc
import logging
from collections.abc import Sequence
from functools import partial

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

from vlselect.core import log
from vlselect.features.activations import VARIANTS
from vlselect.features.forward_pass import KINDS, extract_features, token_width
from vlselect.features.likelihood import SIGNALS
from vlselect.features.shard_pass import Kind, ShardPass, add_pass_arguments
from vlselect.models.layers import choose_layers

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_pass_arguments(parser, *KINDS)
    parser.add_argument("--variant", choices=VARIANTS, required=True, help="of activations")
    about = "decoder layers, counted from 0; by default chosen by depth"
    parser.add_argument("--layers", type=int, nargs="+", help=about)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    run = ShardPass(arguments, __file__)
    model, decoder, variant = run.model.model, run.model.language_layers, arguments.variant
    layers, width = choose_layers(len(decoder), arguments.layers), token_width(model)
    logger.info("layers %s of %d, variant %s", layers, len(decoder), variant)
    layout = "layer, modality (visual, text), hidden"
    about = {"activations": {"variant": variant, "layers": layers, "layout": layout}}
    about |= {"likelihood": {"columns": SIGNALS}}
    widths = {"activations": 2 * len(layers) * width, "likelihood": len(SIGNALS)}
    kinds = {k: Kind(widths.get(k, width), dtype, about.get(k, {})) for k, dtype in KINDS.items()}
    extract = partial(extract_features, model, decoder)
    extract = partial(extract, layers=layers, variant=variant, faults=run.faults)
    run.run("features", kinds, extract)


if __name__ == "__main__":
    main()
