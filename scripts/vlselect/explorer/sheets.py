"""Thumbnails packed into sheets, so that a page loads a few images instead of thousands.

Images that are larger than a thumbnail are files of their own beside the sheets: a page loads one
when it is looked at.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageOps

TILE = 192  # pixels a side
ACROSS = 8  # tiles a side of a sheet


def write_sheets(
    names: Sequence[str], load: Callable[[str], Image.Image], folder: Path, pixels: int
) -> Iterable[tuple[int, int]]:
    """Write the thumbnails of images in their order, 64 to a JPEG sheet ``<folder>/<sheet>.jpg``.

    Image i is tile ``i % 64`` of sheet ``i // 64``, row by row; `load` returns it by its name.
    Smaller images are enlarged to the size of a tile. An image i that is larger is also written as
    ``<folder>/large/<i>.jpg``, at most `pixels` wide and high; not if that is no more than a tile.

    Yields
    ------
    (width, height)
        Of each image, once its tile is drawn.
    """
    per_sheet = ACROSS * ACROSS
    (folder / "large").mkdir()
    for start in range(0, len(names), per_sheet):
        part = names[start : start + per_sheet]
        rows = -(-len(part) // ACROSS)
        sheet = Image.new("RGB", (TILE * ACROSS, TILE * rows), "white")
        for i, name in enumerate(part):
            tile = load(name).convert("RGB")
            size = tile.size
            if max(size) > TILE and pixels > TILE:
                tile.thumbnail((pixels, pixels))
                _save(tile, folder / f"large/{start + i}.jpg", subsampling=0)  # sharp red letters
            tile.thumbnail((TILE, TILE))  # keeps a pixel of a thin line; contain() alone would not
            tile = ImageOps.contain(tile, (TILE, TILE))
            left, top = TILE * (i % ACROSS), TILE * (i // ACROSS)
            sheet.paste(tile, (left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2))
            yield size
        _save(sheet, folder / f"{start // per_sheet}.jpg")


def _save(image: Image.Image, path: Path, **settings: int) -> None:
    content = io.BytesIO()  # Pillow itself does not notice a disk that takes a part only
    image.save(content, "JPEG", quality=82, optimize=True, **settings)
    path.write_bytes(content.getvalue())
