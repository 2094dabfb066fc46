"""Pretrain the digits demo's vision tower, as part of a CLIP of scenes and captions."""

import argparse
import gc
import logging
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

from vlselect.core import log
from vlselect.core.store import replacing_directory
from vlselect.digits.architecture import build_clip, build_clip_processor, vision_config
from vlselect.digits.scenes import CELL, IMAGE_SIZE
from vlselect.digits.training import fix_randomness
from vlselect.digits.vision import pretrain
from vlselect.digits.vocabulary import WORDS

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, required=True, help="scenes to train on")
    parser.add_argument("--batch-size", type=int, default=64, help="scenes in a step")
    parser.add_argument("--seed", type=int, required=True, help="of the split, scenes and weights")
    parser.add_argument("--threads", type=int, required=True, help="results depend on it")
    parser.add_argument("--out", type=Path, required=True, help="folder to save the CLIP in")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    fix_randomness(arguments.seed, arguments.threads)
    processor = build_clip_processor(WORDS, IMAGE_SIZE)
    clip = build_clip(processor, vision_config(IMAGE_SIZE, CELL), seed=arguments.seed)
    logger.info("%d parameters", clip.num_parameters())
    with log.timed("training"):
        trainer = pretrain(
            *(clip, processor),
            scenes=arguments.scenes,
            batch_size=arguments.batch_size,
            seed=arguments.seed,
        )
    with replacing_directory(arguments.out) as folder:
        clip.save_pretrained(folder)
        processor.save_pretrained(folder)
        trainer.write_log(folder / "training_log.csv")


if __name__ == "__main__":
    main()
