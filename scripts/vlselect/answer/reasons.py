"""Why a subset is the one to take, in sentences that claim what the tables show and no more."""

import math
from collections.abc import Sequence

from vlselect.answer.choice import Choice, below, main_choice, uncorrected
from vlselect.tables.comparison_with_random import BASELINE


def number(value: float, unit: str = "", sign: bool = False) -> str:
    """Return a number with one digit after the point; a dash where it is not known."""
    if math.isnan(value):
        return "–"
    return f"{value:+.1f}{unit}" if sign else f"{value:.1f}{unit}"


def interval(value: float, low: float, high: float, sign: bool = False) -> str:
    """Return a value with its interval, if it has one."""
    shown = number(value, sign=sign)
    if math.isnan(low):
        return shown
    return f"{shown} ({number(low, sign=sign)} to {number(high, sign=sign)})"


def headline(choices: Sequence[Choice], n: int | None, n_pool: int) -> str:
    """Return the answer in a sentence."""
    if not choices:
        return "No comparison: what to take is open"
    main = main_choice(choices)
    if main.row.above:
        row, took = main.row, f"Take the {n:,} of {n_pool:,} samples that {main.method} chose"
        ends = f"({number(row.low)} to {number(row.high)})"
        return f"{took}: {number(row.difference)} points above random {ends}"
    return f"No test here tells a method above random: take random, {n:,} of {n_pool:,} samples"


def price(choices: Sequence[Choice]) -> str:
    """Return what the answer costs, if that is more than finetuning on everything; else ""."""
    row = main_choice(choices).row if choices else None
    if row is None or not row.above or not row.total > 100:
        return ""
    text = (
        f"Choosing it and finetuning on it cost {number(row.total)} % of finetuning on everything"
    )
    text += ", which scores higher" if row.relative_high < 100 else ""
    pays = row.pays_off
    return (
        f"{text}. It pays where {pays} models or more are finetuned on it." if pays else f"{text}."
    )


def sentences(choice: Choice) -> list[str]:
    """Return why the chosen method is, how far it is from the whole pool, and what it costs."""
    return [text for text in (_why(choice), _others(choice), _whole(choice), _cost(choice)) if text]


def _why(choice: Choice) -> str:
    row = choice.row
    if row.above:
        gain = interval(row.difference, row.low, row.high)
        text = f"{row.method} is {gain} points above random (95 % interval)"
        return f"{text}, also when corrected for the number of comparisons (p = {row.p_holm:.2g})."
    if not choice.tested:
        return (
            "No test here tells the methods apart: there is no interval over seeds, which takes two"
            " seeds or more. Until there is one, random is as good, and costs nothing to choose."
        )
    begin = "No test here tells a method above random, which costs nothing to choose."
    close = uncorrected(choice)
    if close:
        begin += f" The intervals of {_list(close)} alone exclude zero, but not when corrected for"
        begin += " the number of comparisons."
    return begin


def _others(choice: Choice) -> str:
    text = []
    if choice.alike:
        verb = "is" if len(choice.alike) == 1 else "are"
        cheaper = "" if math.isnan(choice.row.total) else "; none costs clearly less than it"
        begin = f"{_list(choice.alike)} {verb} above random too"
        text.append(f"{begin}, and no test here tells them from {choice.method}{cheaper}.")
    if lower := below(choice):
        text.append(f"Below random: {_list(lower)}.")
    return " ".join(text)


def _whole(choice: Choice) -> str:
    row = choice.row
    if math.isnan(row.relative):
        return ""
    reach = (
        f"Finetuning on it reaches {interval(row.relative, row.relative_low, row.relative_high)}"
    )
    text = f"{reach} % of the score of finetuning on the whole pool"
    if math.isnan(row.relative_low):
        return f"{text}."
    if row.relative_high < 100:
        return f"{text}: the whole pool is better."
    if row.relative_low > 100:
        return f"{text}: the subset is better."
    return f"{text}: no test here tells the two apart."


def _cost(choice: Choice) -> str:
    row = choice.row
    if math.isnan(row.total):
        return "Its cost was not measured in this run."
    parts = f"choosing {number(row.selection)} %, finetuning {number(row.finetuning)} %"
    text = f"Both together cost {number(row.total)} % of finetuning on the whole pool ({parts})"
    if choice.method == BASELINE or row.total <= 100:
        return f"{text}."
    if row.pays_off is None:
        return f"{text}: more than finetuning on everything."
    often = f"unless {row.pays_off} models or more are finetuned on it"
    return f"{text}: more than finetuning on everything, {often}."


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def without_comparison(compared: bool, trial: object) -> str:
    """Return why nothing says which subset is worth most, and what would.

    `compared`: whether the run has the tables of comparisons, then without `random` in them.
    """
    if trial:
        return "Differences between methods on so few samples are chance: none is shown."
    has = "no selection by random"
    if not compared:
        has = "no test scores of models finetuned on its subsets and on the whole pool"
    cure = "experiments: {main: {methods: [full, random, …], seeds: [0, 1, 2]}}"
    return (
        f"This run has {has}, so nothing here says which of its selections is worth most. That"
        f" takes a test file for each task and, in the config, {cure}. What fits the"
        " pool is what make advise says."
    )
