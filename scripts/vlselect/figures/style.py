"""The look of every figure: one colour and name for each method, fonts, sizes, how it is saved.

Figures are drawn without pyplot and saved without dates, versions or random ids, so that the same
tables give the same bytes. In each ``plot_*.py``, `draw` makes the figure from its tables.
"""

import argparse
import colorsys
import hashlib
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from vlselect.core import store
from vlselect.tables.declarations import MEAN

WIDTH = 8.0  # inches
RESOLUTION = 150  # dots per inch of the PNG
NOTE_LETTERS = 16  # letters of a note in an inch
INK, GREY, FAINT = "#222222", "#767676", "#e3e3e3"

# Okabe and Ito's palette for colour-blind readers, for the methods shown most often; the other
# colours are as far from these and from each other as possible, also for red-green blindness.
METHOD_COLOURS = {
    "full": "#222222",
    "pretrained": "#767676",
    "majority": "#a6a6a6",
    "random": "#56b4e9",
    "icons": "#d55e00",
    "coincide": "#009e73",
    "scalselect": "#cc79a7",
    "clip_score": "#0072b2",
    "el2n": "#e69f00",
    "perplexity": "#2b5815",
    "semdedup": "#b3043d",
    "d2_pruning": "#0c05ce",
    "self_sup": "#b61cfd",
    "self_filter": "#670976",
}
MARKERS = "oDs^vPX<>phd*8"  # beside the colours: 13 lines in one plot need more than colour
METHOD_NAMES = {
    "full": "full pool",
    "pretrained": "no finetuning",
    "majority": "majority answer",
    "icons": "ICONS",
    "coincide": "COINCIDE",
    "scalselect": "ScalSelect",
    "clip_score": "CLIP-Score",
    "el2n": "EL2N",
    "semdedup": "SemDeDup",
    "d2_pruning": "D2-Pruning",
    "self_sup": "Self-Sup",
    "self_filter": "Self-Filter",
}
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
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.dpi": RESOLUTION,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same on every machine
    "font.size": 9,
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
def applied() -> Iterator[None]:
    """Draw and save in the project's style inside this block, ignoring the user's matplotlibrc."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def method_colour(method: str) -> str:
    """Return a method's colour, the same in every figure; for an unknown one, from its name."""
    if method in METHOD_COLOURS:
        return METHOD_COLOURS[method]
    digest = hashlib.sha256(method.encode()).digest()
    hue, depth = digest[0] / 256, 0.26 + 0.14 * digest[1] / 256
    red, green, blue = colorsys.hls_to_rgb(hue, depth, 0.65)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def method_marker(method: str) -> str:
    """Return a method's marker, the same in every figure; for an unknown one, from its name."""
    known = list(METHOD_COLOURS)
    digest = hashlib.sha256(method.encode()).digest()
    place = known.index(method) if method in known else digest[2]
    return MARKERS[place % len(MARKERS)]


def method_name(method: str) -> str:
    """Return a method's name as shown in figures."""
    return METHOD_NAMES.get(method, method.replace("_", " "))


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


def percent(label: str) -> str:
    """Format a ratio label as a percentage: "0.2" as "20 %"."""
    return f"{100 * float(label):g} %"


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
    return Figure(figsize=(width, height), layout="constrained")


def note(figure: Figure, text: str) -> None:
    """Put a note (n, seeds, model) below a figure, in lines that fit its width."""
    lines = textwrap.wrap(text, int(figure.get_figwidth() * NOTE_LETTERS))
    figure.supxlabel("\n".join(lines), fontsize=7.5, color=GREY, x=0.005, ha="left")


def grid(axes: Axes, axis: str) -> None:
    """Draw faint lines across one axis ("x" or "y"), behind the data."""
    axes.grid(True, axis=axis, color=FAINT, linewidth=0.8)
    axes.tick_params(axis="both", length=0)


def halo() -> list[withStroke]:
    """Return a path effect that keeps a label readable where it crosses a line."""
    return [withStroke(linewidth=2.5, foreground="white")]


def legend_below(axes: Axes, methods: Iterable[str]) -> None:
    """Show the methods' colours and markers below a panel, in space left free for them."""
    for method in dict.fromkeys(methods):
        look = {"color": method_colour(method), "marker": method_marker(method), "linewidth": 0.8}
        axes.plot([], [], label=method_name(method), **look)
    box = axes.legend(loc="upper left", bbox_to_anchor=(-0.1, -0.19), ncols=3, fontsize=8)
    box.set_in_layout(False)


def label_points(axes: Axes, labels: Sequence[tuple[float, float, str, str]]) -> None:
    """Write labels, (x, y, text, colour), where they overlap the fewest other labels and points.

    Call it last, since it depends on the final layout. Earlier labels choose first.
    """
    axes.get_figure(root=True).draw_without_rendering()
    frame = axes.get_window_extent()
    points = axes.transData.transform([(x, y) for x, y, *_ in labels])
    taken = [Bbox.from_extents(x - 8, y - 8, x + 8, y + 8) for x, y in points]
    for i, (x, y, text, colour) in enumerate(labels):
        others = [box for j, box in enumerate(taken) if j != i]
        label = axes.annotate(text, (x, y), (0, 0), textcoords="offset points")
        label.set(color=colour, fontsize=8, in_layout=False, path_effects=halo())
        faults = []
        for place in _PLACES:
            _move(label, place)
            box = label.get_window_extent()
            outside = not (frame.x0 <= box.x0 and box.x1 <= frame.x1)
            faults.append(len(labels) * outside + sum(box.overlaps(other) for other in others))
        _move(label, _PLACES[faults.index(min(faults))])
        taken.append(label.get_window_extent())


def _move(label: Annotation, place: tuple[int, int, str, str]) -> None:
    """Move a label to an offset in points with an alignment."""
    label.set_position(place[:2])
    label.set(ha=place[2], va=place[3])


def empty(figure: Figure, text: str) -> None:
    """Write in the figure that the table has nothing to draw."""
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY)


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add the two output flags of a plot script."""
    parser.add_argument("--png", type=Path, required=True, help="the figure as PNG")
    parser.add_argument("--svg", type=Path, required=True, help="the same as SVG")


def save(figure: Figure, png: Path, svg: Path) -> None:
    """Write a figure as PNG and as SVG without dates, each whole or not at all."""
    with store.replacing(png) as temporary:
        metadata = {"Software": None}
        figure.savefig(temporary, format="png", dpi=RESOLUTION, metadata=metadata)
    with store.replacing(svg) as temporary:
        metadata = {"Date": None, "Creator": None}
        figure.savefig(temporary, format="svg", metadata=metadata)
