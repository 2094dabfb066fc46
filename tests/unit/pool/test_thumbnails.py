"""Thumbnails and shortened texts."""

import base64

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from vlselect.pool import thumbnails


def picture(width, height):
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def test_small_images_come_back_exactly():
    image = picture(48, 32)
    back = thumbnails.decode_thumbnail(thumbnails.encode_thumbnail(image))
    assert np.array_equal(np.asarray(back), np.asarray(image))


def test_large_images_shrink_and_keep_their_shape():
    image = picture(400, 200)
    assert thumbnails.decode_thumbnail(thumbnails.encode_thumbnail(image)).size == (96, 48)
    assert image.size == (400, 200)


def test_same_image_same_text():
    assert thumbnails.encode_thumbnail(picture(90, 90)) == thumbnails.encode_thumbnail(
        picture(90, 90)
    )


def test_only_png_is_decoded():
    with pytest.raises(UnidentifiedImageError):
        thumbnails.decode_thumbnail(base64.b64encode(b"GIF89a").decode())


def test_texts_are_put_on_one_line_and_cut():
    assert thumbnails.shorten("  Which digit\n is red? ") == "Which digit is red?"
    short = thumbnails.shorten("word " * 100, length=20)
    assert len(short) <= 20 and short.endswith("…")
    assert thumbnails.shorten("x" * 20, length=20) == "x" * 20
