"""The look of every figure: fonts, sizes, notes, labels, how it is saved.

Figures are drawn without pyplot and saved without dates, versions or random ids, so that the same
tables give the same bytes. In each ``plot_*.py``, `draw` makes the figure from its tables.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from vlselect.core import store
from vlselect.figures import fonts, words
from vlselect.tables.declarations import MEAN

logger = logging.getLogger(__name__)

WIDTH = 8.0  # inches
PASSES = 8  # of the layout, at most
MOST_PIXELS = 2**16 - 1  # of a side, that matplotlib draws
NOTE_SIZE, NAME_SIZE, TITLE_SIZE = 7.5, 9.0, 10.0  # points
INK, GREY, FAINT, BAND = "#222222", "#767676", "#e3e3e3", "#f4f4f4"

MARKERS = "oDs^vPX<>phd*8"  # beside the colours: many lines in one plot need more than colour
SOURCE_COLOURS = [  # Paul Tol's muted scheme; further sources reuse it with hatching
    "#88ccee",
    "#cc6677",
    "#ddcc77",
    "#117733",
    "#332288",
    "#aa4499",
    "#44aa99",
    "#999933",
    "#882255",
]
HATCHES = ["", "///", "...", "xxx"]

# Places of a label beside its point: offset in points and alignment, the best first.
_PLACES = [(7, 0, "left", "center"), (-7, 0, "right", "center")]
_PLACES += [(6, dy, "left", "center") for dy in (10, -10, 20, -20)]
_PLACES += [(-6, dy, "right", "center") for dy in (10, -10, 20, -20)]
_PLACES += [(0, 9, "center", "bottom"), (0, -9, "center", "top")]

_SETTINGS = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": TITLE_SIZE,
    "axes.titleweight": "bold",
    "figure.dpi": words.RESOLUTION,
    "font.size": NAME_SIZE,
    "grid.color": FAINT,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "vlselect",
    "text.color": INK,
    "text.parse_math": False,  # names and questions may hold a dollar sign
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
}


@contextmanager
def applied(tables: Sequence[pd.DataFrame] = ()) -> Iterator[None]:
    """Draw and save in the project's style inside this block, ignoring the user's matplotlibrc.

    The tables' texts decide which fonts are used beside matplotlib's own (see `fonts.families`).
    """
    families = fonts.families(fonts.characters(tables))
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS | {"font.family": families})
        if tables:  # characters without a font were named together
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def source_styles(sources: Sequence[str]) -> dict[str, dict]:
    """Return the face colour and hatch of each source; up to 36 are distinct."""
    styles = {}
    for i, source in enumerate(sources):
        turn, place = divmod(i, len(SOURCE_COLOURS))
        styles[source] = {
            "facecolor": SOURCE_COLOURS[place],
            "hatch": HATCHES[turn % len(HATCHES)],
            "edgecolor": "white",
        }
    return styles


def listing(items: Sequence[str]) -> str:
    """Join items: "a", "a and b", "a, b and c"."""
    items = [str(item) for item in items]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def seed_list(seeds: Iterable[str]) -> str:
    """Name seeds: "seed 7", "seeds 0, 1 and 2", "seeds not stated" (published tables)."""
    seeds = sorted(set(seeds) - {""}, key=int)
    if not seeds:
        return "seeds not stated"
    return f"seed{'s' if len(seeds) > 1 else ''} {listing(seeds)}"


def first_seed(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of the smallest seed."""
    return table[table["seed"] == min(table["seed"], key=int, default="")]


def over_seeds(seeds: Iterable[str]) -> str:
    """Name the selection seed behind numbers, or the seeds that they are the mean over."""
    seeds = set(seeds)
    return f"{'mean over ' if len(seeds) > 1 else ''}selection {seed_list(seeds)}"


def shown_intervals(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Choose the interval that a figure shows, of the same kind for all its rows.

    It is the main one or, if no row has one (a single seed), that over questions only.

    Returns
    -------
    rows : DataFrame
        With that interval as low and high.
    name : str
        Its name in the figure; "" if there is none.
    """
    if rows["low"].notna().any():
        levels = rows.loc[rows["low"].notna(), "interval"].unique()
        return rows, f"95 % interval over {' or '.join(levels)}"
    questions = rows.assign(low=rows["question_low"], high=rows["question_high"])
    known = questions["low"].notna().any()
    return questions, "95 % interval over questions (these checkpoints only)" if known else ""


def mean_note(performance: pd.DataFrame, questions: str = "") -> str:
    """Return over how many benchmarks the means of ``relative_performance.csv`` are, and why."""
    tasks = performance[performance["task"] != MEAN]
    n = tasks["task"].nunique()
    text = f"Mean over {n} benchmarks{questions}"
    for model, own in tasks[tasks["n_tasks"] == 0].groupby("model", sort=False):
        zero = list(dict.fromkeys(own["task"]))
        text += f", over {n - len(zero)} for {model}, whose full pool scores 0 on {listing(zero)}"
    return text


def interval_note(seeds: Iterable[str], lines: str, interval: str) -> str:
    """Return a note about the seeds and the interval, named by `shown_intervals`."""
    seeds = set(seeds)
    text = f"{'circles: ' if len(seeds) > 1 else ''}finetuning {seed_list(seeds)}"
    return f"{text}; {lines}: {interval}." if interval else f"{text}."


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure of a size in inches whose layout cuts nothing off."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # measures texts far faster than a figure that has no canvas
    return figure


def model_title(model: str, most: float) -> str:
    """Return the title of a model's panel, at most that many points wide."""
    start = "model: "
    room = most - words.width(start, TITLE_SIZE, "bold")
    return start + words.fitted([model], room, TITLE_SIZE, "bold")[0]


def note(figure: Figure, text: str) -> None:
    """Put a note (n, seeds, model) below a figure, in lines that fit its width."""
    room = 72 * figure.get_figwidth() - 12
    lines = [words.wrapped(part, room, NOTE_SIZE) for part in text.split("\n")]
    figure.supxlabel("\n".join(lines), fontsize=NOTE_SIZE, color=GREY, x=0.005, ha="left")


def grid(axes: Axes, axis: str) -> None:
    """Draw faint lines across one axis ("x" or "y"), behind the data."""
    axes.grid(True, axis=axis, color=FAINT, linewidth=0.8)
    axes.tick_params(axis="both", length=0)


def halo() -> list[withStroke]:
    """Return a path effect that keeps a label readable where it crosses a line."""
    return [withStroke(linewidth=2.5, foreground="white")]


def readable_on(colour: tuple[float, ...]) -> str:
    """Return the text colour, dark or white, with the higher contrast to a colour (RGB, 0 to 1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]  # WCAG 2
    return "white" if luminance < 0.21 else INK  # INK's own luminance is 0.016


def label_points(axes: Axes, labels: Sequence[tuple[float, float, str, str]]) -> None:
    """Write labels, (x, y, text, colour), where they cover the fewest points and no other label.

    A label without such a place is left out. Places depend on the final layout, so the figure must
    have been laid out. Earlier labels choose first.
    """
    frame = axes.get_window_extent()
    points = axes.transData.transform([(x, y) for x, y, *_ in labels])
    marks = [Bbox.from_extents(x - 8, y - 8, x + 8, y + 8) for x, y in points]
    taken = []
    for i, (x, y, text, colour) in enumerate(labels):
        label = axes.annotate(text, (x, y), (0, 0), textcoords="offset points")
        label.set(color=colour, fontsize=8, in_layout=False, path_effects=halo())
        covered = {}
        for place in _PLACES:
            _move(label, place)
            box = label.get_window_extent()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
            if inside and not any(box.overlaps(other) for other in taken):
                covered[place] = sum(box.overlaps(mark) for mark in marks[:i] + marks[i + 1 :])
        if covered:
            _move(label, min(covered, key=covered.get))
            taken.append(label.get_window_extent())
        else:
            label.remove()


def settle(figure: Figure) -> None:
    """Lay out a figure until nothing moves by a pixel, and keep that layout.

    One pass is not enough where panels have square cells: their labels then need other margins.
    """
    before, engine = None, figure.get_layout_engine()
    for _ in range(PASSES if figure.axes else 0):
        engine.execute(figure)
        now = np.array([axes.get_position().extents for axes in figure.axes])
        if before is not None and np.allclose(now, before, atol=1 / max(figure.bbox.size)):
            break
        before = now
    figure.set_layout_engine("none")


def _move(label: Annotation, place: tuple[int, int, str, str]) -> None:
    """Move a label to an offset in points with an alignment."""
    label.set_position(place[:2])
    label.set(ha=place[2], va=place[3])


def empty(figure: Figure, text: str) -> None:
    """Write in the figure that the table has nothing to draw."""
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY)


def save(figure: Figure, png: Path, svg: Path) -> None:
    """Write a figure as PNG and as SVG without dates, each whole or not at all."""
    dpi = min(words.RESOLUTION, MOST_PIXELS / max(figure.get_size_inches()))
    if dpi < words.RESOLUTION:
        logger.warning("%s is drawn with %d dots per inch; the SVG shows it sharply", png, dpi)
    with store.replacing(png) as temporary:
        metadata = {"Software": None}
        figure.savefig(temporary, format="png", dpi=dpi, metadata=metadata)
    with store.replacing(svg) as temporary:
        metadata = {"Date": None, "Creator": None}
        figure.savefig(temporary, format="svg", metadata=metadata)
