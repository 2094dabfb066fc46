"""The page that answers first: the pool, the subset to take and why, its file, how to load it.

Static: no script runs on it, nothing is loaded from elsewhere, and every text of users is escaped.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import pandas as pd

from vlselect.answer import reasons
from vlselect.answer.choice import Choice, Row, main_choice
from vlselect.answer.loading import Loading
from vlselect.answer.markup import Content, Markup, element, joined, table
from vlselect.answer.pool_facts import percent

REPORT = Path(__file__).resolve().parents[3] / "report"
STYLES = (REPORT / "theme.css", REPORT / "answer/page.css")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
COSTS = ("cost of choosing", "of finetuning", "together")
OTHERS = {  # other pages of the run, beside this one
    "explorer.html": "the samples, and what each method chose of them (make report)",
    "report.html": "the figures, with their captions (make report)",
    "provenance.json": "config, versions, and digests of every input",
}


@dataclass(frozen=True)
class Subset:
    """A subset of the run, by its path below ``subsets/`` without its ending."""

    name: str
    method: str
    ratio: str
    seed: str
    n: int


@dataclass(frozen=True)
class Answer:
    """All that the page shows; `taken` is None where nothing says which subset is to be taken."""

    run: str
    results: PurePosixPath
    facts: Sequence[tuple[str, Content]]
    n_pool: int
    choices: Sequence[Choice]
    subsets: Sequence[Subset]
    composition: pd.DataFrame
    taken: Subset | None
    loadings: Sequence[Loading]
    trial: tuple[int, int] | None = None  # records taken, of how many
    without: str = ""  # why there is no comparison


def take(choices: Sequence[Choice], subsets: Sequence[Subset]) -> Subset | None:
    """Return the first seed's subset of the main choice, or the only method's; None otherwise."""
    if choices:
        main = main_choice(choices)
        return next(s for s in subsets if (s.method, s.ratio) == (main.method, main.ratio))
    methods = {(s.method, s.ratio) for s in subsets}
    return subsets[0] if len(methods) == 1 else None


def fill(answer: Answer) -> str:
    """Return the page."""
    style = "\n".join(path.read_text(encoding="utf-8") for path in STYLES)
    head = element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", f"What to train on: {answer.run}"),
        element("style", Markup(style)),
    )
    main = element("main", _top(answer), _pool(answer), _why(answer), _file(answer), _load(answer))
    body = element("body", main, _footer())
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _top(answer: Answer) -> Markup:
    lead = reasons.headline(answer.choices, answer.taken and answer.taken.n, answer.n_pool)
    if answer.taken and not answer.choices:
        lead = f"The run has one selection: {answer.taken.method}, {answer.taken.n:,} samples."
    cost = reasons.price(answer.choices)
    notes = [element("p", cost)] if cost else []
    if answer.trial:
        n, whole = answer.trial
        trial = f"This is a trial on {n:,} of {whole:,} records: it shows that everything runs,"
        notes.append(
            element("p", f"{trial} not what a subset of the pool is worth.", class_="note")
        )
    named = element("p", f"Run {answer.run}", class_="run")
    return element("header", named, element("h1", lead), notes)


def _pool(answer: Answer) -> Markup:
    rows = [
        element("div", element("dt", name), element("dd", value)) for name, value in answer.facts
    ]
    return _section("The pool", element("dl", rows))


def _why(answer: Answer) -> Markup:
    if not answer.choices:
        return _section("Which subset", element("p", answer.without))
    parts: list[Content] = []
    for choice in answer.choices:
        title = f"{percent(float(choice.ratio))} of the pool, finetuned model {choice.model}"
        said = [element("p", sentence) for sentence in reasons.sentences(choice)]
        parts += [element("h3", title), said, _comparison(choice, title)]
    return _section("Which subset, and why", parts)


def _comparison(choice: Choice, title: str) -> Markup:
    head = ("method", "score, % of whole pool", "above random", "drawn", *COSTS)
    values = [v for row in choice.rows for v in (row.low, row.high, row.difference)]
    span = max((abs(v) for v in values if not math.isnan(v)), default=1.0) or 1.0
    rows = [
        [
            element("b", row.method) if row.method == choice.method else row.method,
            reasons.interval(row.relative, row.relative_low, row.relative_high),
            reasons.interval(row.difference, row.low, row.high, sign=True),
            _whisker(row, span),
            *(reasons.number(v, " %") for v in (row.selection, row.finetuning, row.total)),
        ]
        for row in choice.rows
    ]
    shown = table(head, rows, f"{title}: worth, with 95 % intervals, and cost")
    seeds = ", ".join(f"{row.method} {row.n_seeds}" for row in choice.rows)
    note = "Scores and costs are in percent of those of finetuning on the whole pool. Seeds: "
    return joined([shown, element("p", f"{note}{seeds}.", class_="small")])


def _whisker(row: Row, span: float) -> Content:
    """Draw the difference and its interval on a scale from -span to span, 160 wide."""
    if math.isnan(row.difference):
        return None

    def x(value: float) -> str:
        return f"{80 + 76 * value / span:.1f}"

    parts = [element("line", x1=80, x2=80, y1=0, y2=20, class_="zero")]
    if not math.isnan(row.low):
        parts.append(element("line", x1=x(row.low), x2=x(row.high), y1=10, y2=10))
    parts.append(element("circle", cx=x(row.difference), cy=10, r=4))
    kind = "above" if row.above else "other"
    return element("svg", parts, viewBox="0 0 160 20", class_=kind, aria_hidden="true")


def _file(answer: Answer) -> Markup:
    taken = answer.taken
    parts: list[Content] = []
    if taken:
        path = f"{answer.results}/subsets/{taken.name}.json"
        link = element("a", path, href=_address(taken))
        parts.append(element("p", link, f": {taken.n:,} records as they came in.", class_="file"))
        parts.append(_composition(answer.composition, taken))
    rows = [
        [
            element("a", f"{s.name}.json", href=_address(s)),
            s.method,
            percent(float(s.ratio)),
            s.seed,
            f"{s.n:,}",
        ]
        for s in answer.subsets
    ]
    head = ("file below subsets/", "method", "of the pool", "seed", "samples")
    every = element("summary", f"All {len(rows)} subsets of the run")
    shown = table(head, rows, "Subsets of the run")
    parts.append(element("details", every, shown) if taken else shown)
    return _section("Where it is", parts)


def _address(subset: Subset) -> str:
    """Return the address of a subset's records from this page, which lies above them."""
    return quote(f"subsets/{subset.name}.json")


def _composition(composition: pd.DataFrame, taken: Subset) -> Content:
    own = composition[
        (composition["method"] == taken.method)
        & (composition["ratio"] == taken.ratio)
        & (composition["seed"] == taken.seed)
    ]
    rows = [
        [row["source"], f"{row['n']:,}", percent(row["share"]), percent(row["pool_share"])]
        for row in own.to_dict("records")
    ]
    head = ("source", "chosen", "of the subset", "of the pool")
    return table(head, rows, f"What {taken.name} is made of") if rows else None


def _load(answer: Answer) -> Markup:
    parts: list[Content] = []
    if answer.loadings and not answer.taken:
        parts.append(element("p", f"Shown for {answer.subsets[0].name}; of the others alike."))
    missing = [loading.export for loading in answer.loadings if not loading.written]
    if missing:
        how = "The run does not write all of these exports. This makes one (its last word names"
        key = element("code", "export")
        parts.append(element("p", f"{how} it); the config's ", key, " makes all that it lists:"))
        size = re.search(r"-trial-(\d+)$", answer.results.name)
        trial = f" --config trial={size[1]}" if size else ""
        command = f".venv/bin/snakemake --cores all --configfile <your config>{trial}"
        parts.append(_code(f"{command} -- {missing[0]}"))
    for loading in answer.loadings:
        made = "" if loading.written else " (its export is not made yet)"
        parts += [element("h3", f"{loading.program}{made}"), _code(loading.text)]
    note = "Paths are from the folder in which the run was started. More in docs/exports.md."
    return _section("How to load it", [*parts, element("p", note, class_="small")])


def _code(text: str) -> Markup:
    return element("pre", element("code", text), tabindex=0)


def _footer() -> Markup:
    items = [
        element("li", element("a", name, href=name), f": {what}") for name, what in OTHERS.items()
    ]
    return element("footer", element("p", "Beside this page:"), element("ul", items))


def _section(title: str, content: Content) -> Markup:
    return element("section", element("h2", title), content)
