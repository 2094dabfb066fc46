"""Merge a base model and a finetuned checkpoint into one model directory with its processor.

AutoModelForImageTextToText, AutoProcessor and any program that takes a Hugging Face model load it.
"""

import argparse
import gc
import logging
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

from vlselect.core import log
from vlselect.core.errors import InputError
from vlselect.core.store import replacing_directory
from vlselect.models import loading
from vlselect.models.checkpoint import load_checkpoint, merge_adapter, open_to_readers

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="from finetune_model.py")
    parser.add_argument("--out", type=Path, required=True, help="model directory to write")
    loading.add_loading_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    if arguments.quantisation:
        raise InputError(
            "an adapter cannot be merged into quantised weights: load the base model unquantised"
        )
    with log.timed("merging"):
        vlm = merge_adapter(
            load_checkpoint(loading.load_from_arguments(arguments), arguments.checkpoint)
        )
    with replacing_directory(arguments.out) as directory:
        vlm.model.save_pretrained(directory)
        vlm.processor.save_pretrained(directory)
        open_to_readers(directory)
    logger.info("%d weights in %s", vlm.model.num_parameters(), arguments.out)


if __name__ == "__main__":
    main()
