"""The parts of one job: sets of samples, each with its image root and the shard that it becomes.

A part is the pool, or the validation set of a task. The model is loaded once for all of them.
"""

import argparse
from typing import NamedTuple

import numpy as np

from vlselect.core.refused import POOL, read_left_out
from vlselect.pool.image_roots import ImageRoots


class Part(NamedTuple):
    """A set of samples by the paths of its table, its images and the shard to write."""

    name: str
    samples: str
    images: ImageRoots | str
    out: str


def add_part_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the parts, and the shard of each that the job makes."""
    texts = ("name", "Parquet", "image root", "shard to write")
    for key, text in zip(("names", "samples", "images", "out"), texts, strict=True):
        parser.add_argument(f"--{key}", nargs="+", required=True, help=f"{text} of each part")
    parser.add_argument("--shard", default="1-of-1", help="shard of every part, <i>-of-<n>")


def read_parts(arguments: argparse.Namespace) -> list[Part]:
    """Return the parts that the flags name; a mixture's only part has an image root by source."""
    images = arguments.images
    if len(arguments.names) == 1:
        images = [ImageRoots.parse(images)]
    rows = zip(arguments.names, arguments.samples, images, arguments.out, strict=True)
    return [Part(*row) for row in rows]


def left_out_of(arguments: argparse.Namespace, part: Part) -> np.ndarray:
    """Read the rows of a part that the model refuses (``--left-out``), int64 ascending."""
    name = part.name if part.name == POOL else f"{part.name}/validation"
    return read_left_out(arguments.left_out, name)
