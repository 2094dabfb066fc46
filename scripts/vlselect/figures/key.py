"""The key to a run's figures: colours, markers and names of methods, and names of budgets.

All figures of a run are drawn with the same key.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from vlselect.figures import style, words
from vlselect.tables import declarations

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
    "clean_shares": "#e000a3",
    "targeted": "#663dd6",
    "visnec": "#661f00",
    "dics": "#8f7af5",
    "magic": "#ff1f5c",
    "prism": "#47c252",
    "mcl": "#3c4b69",
}
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
    "prism": "PRISM",
    "mcl": "MCL",
    "visnec": "VisNec",
    "dics": "DICS",
    "magic": "MAGIC",
}
OWN_COLOURS = ["#f087ff", "#a50087", "#000069"]
NAME_WIDTH = 150.0  # points, at 9 points
TOKENS = "tokens"


def own_looks() -> list[tuple[str, str]]:
    """Return (colour, marker) of methods that the project does not know, in the order of their use.

    First come colours of their own, then all colours again (but for greys) with other markers. No
    pair is that of a known method, and none occurs twice.
    """
    colours = [*list(METHOD_COLOURS.values())[3:], *OWN_COLOURS]
    first = len(METHOD_COLOURS)
    looks = [
        (c, style.MARKERS[(first + i) % len(style.MARKERS)]) for i, c in enumerate(OWN_COLOURS)
    ]
    for turn in range(1, len(style.MARKERS)):
        looks += [
            (c, style.MARKERS[(3 + i + turn) % len(style.MARKERS)]) for i, c in enumerate(colours)
        ]
    return looks


@dataclass(frozen=True)
class Key:
    """Colours, markers and names in the figures of a run.

    Parameters
    ----------
    methods : sequence of str
        The run's methods: those that the project does not know get their looks in this order.
    budgets : mapping of str to str
        The budget, as in the paths, of each ratio of the tables; a ratio that it lacks is meant as
        such.
    """

    methods: Sequence[str]
    budgets: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(
        cls, methods: Sequence[str], budgets: Iterable[Path], tables: Iterable[pd.DataFrame]
    ) -> "Key":
        """Return the key of a run with these methods, and any others in the tables after them."""
        columns = [
            t[name] for t in tables for name in ("method", "method_a", "method_b") if name in t
        ]
        others = sorted({method for column in columns for method in column} - set(methods))
        labels = {ratio: label for label, ratio in declarations.read_shares(budgets).items()}
        return cls((*methods, *others), labels)

    @cached_property
    def _looks(self) -> dict[str, tuple[str, str]]:
        markers = itertools.cycle(style.MARKERS)
        known = {m: (c, next(markers)) for m, c in METHOD_COLOURS.items()}
        own = [method for method in dict.fromkeys(self.methods) if method not in known]
        looks = own_looks()
        return known | {method: looks[i % len(looks)] for i, method in enumerate(own)}

    @cached_property
    def _names(self) -> dict[str, str]:
        methods = list(dict.fromkeys([*METHOD_COLOURS, *self.methods]))
        names = [METHOD_NAMES.get(method, method.replace("_", " ")) for method in methods]
        return dict(zip(methods, words.fitted(names, NAME_WIDTH), strict=True))

    def colour(self, method: str) -> str:
        """Return a method's colour."""
        return self._looks[method][0]

    def marker(self, method: str) -> str:
        """Return a method's marker."""
        return self._looks[method][1]

    def method(self, method: str) -> str:
        """Return a method's name, shortened if it is long."""
        return self._names[method]

    def budget(self, ratio: str) -> str:
        """Return a budget's name: "20 %", "1,000 samples", "250,000 tokens"."""
        kind, _, number = self.budgets.get(ratio, "ratio").partition("-")
        return percent(ratio) if kind == "ratio" else f"{int(number):,} {kind}"

    def budget_lines(self, ratio: str) -> str:
        """Return that name on two lines if its unit is a word."""
        return self.budget(ratio).replace(" s", "\ns").replace(" t", "\nt")

    def unit(self, ratio: str) -> str:
        """Return what a ratio is a share of: the pool's samples or its tokens."""
        return TOKENS if self.budgets.get(ratio, "").startswith(TOKENS) else "samples"

    def subset(self, method: str, ratio: str) -> str:
        """Return the name of a method at a budget; of one without a choice, its own."""
        if method in (*declarations.UNTRAINED, declarations.REFERENCE):
            return self.method(method)
        return f"{self.method(method)}, {self.budget(ratio)}"

    def in_order(self, ratios: Iterable[str]) -> list[str]:
        """Return different ratios in ascending order, those of tokens last."""
        return sorted(
            dict.fromkeys(ratios), key=lambda r: (self.unit(r), declarations.ratio_order(r))
        )


def percent(label: str) -> str:
    """Format a ratio label as a percentage: "0.2" as "20 %"."""
    return f"{100 * float(label):g} %"
