"""Scenes: disjoint splits, distinct digits, rendering compared with a slow reference."""

from random import Random

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from vlselect.digits.scenes import (
    CELL,
    CELLS,
    GRID,
    IMAGE_SIZE,
    PALETTE,
    SPLIT_SIZES,
    Composer,
    render,
    split_digits,
)


def test_splits_share_no_digit_and_hold_them_all():
    splits = split_digits(3)
    rows = np.concatenate(list(splits.values()))
    assert {name: len(split) for name, split in splits.items()} == SPLIT_SIZES
    assert sorted(rows) == list(range(len(load_digits().target)))


def test_the_split_follows_from_the_seed():
    assert np.array_equal(split_digits(1)["test"], split_digits(1)["test"])
    assert not np.array_equal(split_digits(1)["test"], split_digits(2)["test"])


@pytest.mark.parametrize("split", SPLIT_SIZES)
def test_scenes_use_digits_of_their_split_only(split):
    composer, rng, rows = Composer(split, 0), Random(0), set(split_digits(0)[split])
    used = {digit.source for _ in range(200) for digit in composer.compose(rng).digits}
    assert used <= rows


def test_digits_of_a_scene_differ_and_stay_in_their_cells():
    composer, rng, target = Composer("train", 0), Random(1), load_digits().target
    for _ in range(200):
        digits = composer.compose(rng).digits
        cells = [digit.cell for digit in digits]
        assert 1 <= len(digits) <= 4 and cells == sorted(set(cells)) and max(cells) < CELLS
        assert len({digit.value for digit in digits}) == len({d.colour for d in digits})
        assert len({digit.value for digit in digits}) == len(digits)
        for digit in digits:
            row, column = divmod(digit.cell, GRID)
            assert target[digit.source] == digit.value
            assert row * CELL <= digit.top <= (row + 1) * CELL - digit.size
            assert column * CELL <= digit.left <= (column + 1) * CELL - digit.size


def test_compose_obeys_the_count_and_the_generator():
    composer = Composer("train", 0)
    assert [len(composer.compose(Random(0), n).digits) for n in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert composer.compose(Random(5)) == composer.compose(Random(5))


def draw_slowly(scene):
    """Draw pixel by pixel, in float64."""
    noise = np.random.default_rng(scene.noise_seed).standard_normal(
        (IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.float32
    )
    image = scene.background + scene.noise * noise.astype(np.float64)
    for digit in scene.digits:
        small = (load_digits().images[digit.source] * 255 / 16).astype(np.uint8)
        shape = (digit.size, digit.size)
        ink = np.asarray(Image.fromarray(small).resize(shape, Image.Resampling.BILINEAR)) / 255
        for y in range(digit.size):
            for x in range(digit.size):
                cover = ink[y, x] * digit.strength
                gain = cover * (PALETTE[digit.colour] - scene.background)
                image[digit.top + y, digit.left + x] += gain
    return np.clip(image, 0, 255)


def test_render_draws_what_a_slow_loop_draws():
    composer, rng = Composer("train", 0), Random(2)
    for _ in range(3):
        scene = composer.compose(rng)
        drawn = render(scene)
        assert drawn.dtype == np.uint8 and drawn.shape == (IMAGE_SIZE, IMAGE_SIZE, 3)
        assert np.abs(drawn - draw_slowly(scene)).max() < 1.01  # truncation to whole numbers
        assert np.array_equal(drawn, render(scene))


def test_a_near_duplicate_differs_in_noise_alone():
    scene = Composer("train", 0).compose(Random(3))
    again = scene.noised_again(Random(4))
    assert again.digits == scene.digits and again.noise_seed != scene.noise_seed
    difference = render(again).astype(float) - render(scene)
    assert 0 < np.abs(difference).mean() < 40
