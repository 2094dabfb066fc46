"""Scenes of real handwritten digits: composed from scikit-learn's `load_digits`, and rendered.

A scene is a small image of a 3 × 3 grid. One to four of its cells hold a digit each, of distinct
value and colour, on a faint background with pixel noise.

References
----------
E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998 (the 1,797 images of 8 × 8 pixels that scikit-learn ships).
"""

from dataclasses import dataclass, replace
from functools import cache
from random import Random

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from vlselect.digits.vocabulary import COLOURS

GRID = 3  # cells in a row
CELL = 16  # pixels
IMAGE_SIZE = GRID * CELL
CELLS = GRID * GRID
_RGB = ((235, 60, 60), (60, 200, 80), (80, 120, 255), (240, 220, 60), (190, 80, 230))
PALETTE = {name: np.array(rgb, np.float32) for name, rgb in zip(COLOURS, _RGB, strict=True)}
SIZES = (13, 14, 15)  # pixels of a drawn digit
NOISES = (5, 13, 20)  # standard deviation of the pixel noise, of 255
COUNTS = (
    1,
    2,
    2,
    3,
    3,
    4,
    4,
)  # numbers of digits if the question does not fix it; more digits are more likely
SPLIT_SIZES = {"train": 1000, "validation": 300, "test": 497}


@dataclass(frozen=True)
class Digit:
    """One digit of a scene; `source` is its row in `load_digits`, `top` and `left` are pixels."""

    cell: int
    value: int
    colour: str
    source: int
    size: int
    top: int
    left: int
    strength: float


@dataclass(frozen=True)
class Scene:
    """Digits in reading order, with what surrounds them; grey values are of 255."""

    digits: tuple[Digit, ...]
    background: int
    noise: int
    noise_seed: int

    def noised_again(self, rng: Random) -> "Scene":
        """Return a near-duplicate: the same scene with new pixel noise."""
        return replace(self, noise_seed=rng.randrange(2**32))


def split_digits(seed: int) -> dict[str, np.ndarray]:
    """Split the rows of `load_digits` (int64, shuffled) into the disjoint `SPLIT_SIZES`."""
    rows = np.random.default_rng(seed).permutation(sum(SPLIT_SIZES.values()))
    stops = np.cumsum(list(SPLIT_SIZES.values()))
    return dict(zip(SPLIT_SIZES, np.split(rows, stops[:-1]), strict=True))


class Composer:
    """Composes random scenes from the digits of one split, train, validation or test.

    `seed` is that of the split.
    """

    def __init__(self, split: str, seed: int):
        rows = split_digits(seed)[split]
        values = load_digits().target[rows]
        self._sources = [rows[values == value].tolist() for value in range(10)]

    def compose(self, rng: Random, count: int | None = None) -> Scene:
        """Draw a scene with `count` digits, or with a random number of them.

        No two digits share value, colour or cell.
        """
        count = count or rng.choice(COUNTS)
        cells = sorted(rng.sample(range(CELLS), count))
        values, colours = rng.sample(range(10), count), rng.sample(COLOURS, count)
        digits = tuple(
            self._digit(rng, *chosen) for chosen in zip(cells, values, colours, strict=True)
        )
        return Scene(digits, rng.randrange(40), rng.choice(NOISES), rng.randrange(2**32))

    def _digit(self, rng: Random, cell: int, value: int, colour: str) -> Digit:
        size = rng.choice(SIZES)
        return Digit(
            cell=cell,
            value=value,
            colour=colour,
            source=rng.choice(self._sources[value]),
            size=size,
            top=cell // GRID * CELL + rng.randint(0, CELL - size),
            left=cell % GRID * CELL + rng.randint(0, CELL - size),
            strength=rng.uniform(0.75, 1.0),
        )


def render(scene: Scene) -> np.ndarray:
    """Render a scene: RGB, uint8, (IMAGE_SIZE, IMAGE_SIZE, 3)."""
    noise = np.random.default_rng(scene.noise_seed)
    image = noise.standard_normal((IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.float32)
    image *= scene.noise
    image += scene.background
    for digit in scene.digits:
        ink = _ink(digit.source, digit.size) * np.float32(digit.strength)  # (size, size, 1)
        rows = slice(digit.top, digit.top + digit.size)
        columns = slice(digit.left, digit.left + digit.size)
        # The ink covers the background but not the noise, which belongs to the camera.
        image[rows, columns] += ink * (PALETTE[digit.colour] - scene.background)
    return np.clip(image, 0, 255).astype(np.uint8)


@cache
def _ink(source: int, size: int) -> np.ndarray:
    """Return the ink of each pixel of an enlarged digit: float32 (size, size, 1), 0 to 1."""
    small = Image.fromarray((_pixels()[source] * (255 / 16)).astype(np.uint8))
    large = np.asarray(small.resize((size, size), Image.Resampling.BILINEAR), np.float32)
    return large[:, :, None] / 255


@cache
def _pixels() -> np.ndarray:
    return load_digits().images  # (1797, 8, 8), values 0 to 16
