"""What a figure really shows: the texts that are drawn, and where on the canvas."""

from unittest import mock

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Affine2D

TOUCHING = 1.0  # pixels by which boxes may overlap: rounding, and the room above small letters


def drawn_texts(figure):
    """Draw a figure; return its texts that appear, each with the corners of its box in pixels."""
    seen = {}
    draw = Text.draw

    def spy(text, renderer, *args, **kwargs):
        if text.get_visible() and text.get_text().strip():
            seen[id(text)] = text
        return draw(text, renderer, *args, **kwargs)

    with mock.patch.object(Text, "draw", spy):
        FigureCanvasAgg(figure).draw()
    return [(text, corners(text)) for text in seen.values()]


def corners(text):
    """Return the corners, (4, 2) in pixels, of a text's own box, rotated with it."""
    angle = text.get_rotation()
    if angle % 90:
        assert text.get_rotation_mode() == "anchor", "the box of such a text is not known"
        text.set_rotation(0)
    box = text.get_window_extent()
    points = np.array([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)])
    if angle % 90:
        text.set_rotation(angle)
        anchor = text.get_transform().transform(text.get_unitless_position())
        points = Affine2D().rotate_deg_around(*anchor, angle).transform(points)
    return points


def overlapping(texts):
    """Return the pairs of texts whose boxes overlap."""
    lows = np.array([points.min(axis=0) for _, points in texts])
    highs = np.array([points.max(axis=0) for _, points in texts])
    pairs = []
    for i, (first, box) in enumerate(texts):
        near = ((lows[i] < highs[i + 1 :]) & (lows[i + 1 :] < highs[i])).all(axis=1)
        for j in np.flatnonzero(near) + i + 1:
            if depth(box, texts[j][1]) > TOUCHING:
                pairs.append((first.get_text(), texts[j][0].get_text()))
    return pairs


def depth(first, second):
    """Return by how many pixels two convex boxes overlap (separating axes); 0 or less: not."""
    least = np.inf
    for points in (first, second):
        for edge in (points[1] - points[0], points[2] - points[1]):
            normal = np.array([-edge[1], edge[0]]) / max(np.hypot(*edge), 1e-9)
            a, b = first @ normal, second @ normal
            least = min(least, a.max() - b.min(), b.max() - a.min())
    return least


def outside(texts, figure):
    """Return the texts that reach over the canvas."""
    width, height = figure.bbox.size
    return [
        text.get_text()
        for text, points in texts
        if (points < -TOUCHING).any() or (points > (width + TOUCHING, height + TOUCHING)).any()
    ]
