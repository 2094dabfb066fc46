"""Thumbnails packed into sheets, so that a page loads a few images instead of thousands."""

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageOps

TILE = 192  # pixels a side
ACROSS = 8  # tiles a side of a sheet


def write_sheets(
    names: Sequence[str], load: Callable[[str], Image.Image], folder: Path
) -> Iterable[str]:
    """Write the thumbnails of images in their order, 64 to a JPEG sheet ``<folder>/<sheet>.jpg``.

    Image i is tile ``i % 64`` of sheet ``i // 64``, row by row; `load` returns it by its name.
    Smaller images are enlarged to the size of a tile.

    Yields
    ------
    str
        Each name, once its tile is drawn.
    """
    per_sheet = ACROSS * ACROSS
    for start in range(0, len(names), per_sheet):
        part = names[start : start + per_sheet]
        rows = -(-len(part) // ACROSS)
        sheet = Image.new("RGB", (TILE * ACROSS, TILE * rows), "white")
        for i, name in enumerate(part):
            tile = load(name).convert("RGB")
            tile.thumbnail((TILE, TILE))  # keeps a pixel of a thin line; contain() alone would not
            tile = ImageOps.contain(tile, (TILE, TILE))
            left, top = TILE * (i % ACROSS), TILE * (i // ACROSS)
            sheet.paste(tile, (left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2))
            yield name
        content = io.BytesIO()  # Pillow itself does not notice a disk that takes a part only
        sheet.save(content, "JPEG", quality=82, optimize=True)
        (folder / f"{start // per_sheet}.jpg").write_bytes(content.getvalue())
