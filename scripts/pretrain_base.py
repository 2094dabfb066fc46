"""Pretrain the digits demo's base model: a LLaVA on the trained vision tower."""

import argparse
import gc
import logging
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import torch
from transformers import CLIPModel

from vlselect.core import log
from vlselect.core.store import replacing_directory
from vlselect.digits.architecture import build_model, build_processor
from vlselect.digits.base import Pretraining
from vlselect.digits.scenes import CELL, IMAGE_SIZE
from vlselect.digits.training import fix_randomness
from vlselect.digits.vocabulary import WORDS
from vlselect.models.weights import load_pretrained

SIZES = {  # of the language model
    "base": {"hidden": 96, "layers": 3, "heads": 3},
    "small": {"hidden": 48, "layers": 2, "heads": 3},
}

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, required=True, help="of the language model")
    parser.add_argument("--vision", type=Path, required=True, help="folder of the trained CLIP")
    parser.add_argument("--samples", type=int, required=True, help="examples to train on")
    parser.add_argument("--batch-size", type=int, default=16, help="examples in a step")
    parser.add_argument(
        "--lookup",
        type=float,
        required=True,
        help="lookup accuracy to reach, training on up to twice the samples",
    )
    parser.add_argument("--seed", type=int, required=True, help="of the split, scenes and weights")
    parser.add_argument("--threads", type=int, required=True, help="results depend on it")
    parser.add_argument("--out", type=Path, required=True, help="folder to save the model in")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    log.start()
    fix_randomness(arguments.seed, arguments.threads)
    tower = load_pretrained(CLIPModel, arguments.vision, device=torch.device("cpu")).vision_model
    processor = build_processor(WORDS, IMAGE_SIZE, CELL)
    size = SIZES[arguments.size]
    model = build_model(processor, **size, vision=tower.config, seed=arguments.seed)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    logger.info("%d parameters", model.num_parameters())
    pretraining = Pretraining(
        *(model, processor), batch_size=arguments.batch_size, seed=arguments.seed
    )
    with log.timed("training"):
        reached = pretraining.run(arguments.samples, arguments.lookup)
    logger.info("lookup accuracy on held-out digits: %.3f", reached)
    with replacing_directory(arguments.out) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        pretraining.trainer.write_log(folder / "training_log.csv")


if __name__ == "__main__":
    main()
