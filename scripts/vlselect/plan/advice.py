"""Which method fits a pool, from what a finished or a trial run left of it, and why.

Every sentence is made from a file of the run and names it; what no file says is named with the line
of the config that would make it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.plan import evidence

POOL, GATE, VOTES = "pool/samples.parquet", "gate/seed-*.parquet", "votes/seed-*.parquet"
AGREEMENT, COMPARISON = "tables/task_agreement.csv", "tables/comparison_with_random.csv"
COST, DUPLICATES = "tables/cost.csv", "duplicates.parquet"
VALIDATION = "tasks/<task>/validation.parquet"
REPEATED = 0.01  # share of the pool from which on copies are worth a line of the config
WRONG = 0.02  # the same of wrong answers
STEP = 0.05  # shares of a gate are multiples of it
DEAR = 50  # percent of the cost of finetuning on the whole pool
LONG = 24  # hours
ENOUGH = 20  # validation samples of a task, to compare losses with
WITHOUT_MODEL = ("full", "random", "mcl")  # of the methods that it may name


@dataclass
class Evidence:
    """What there is of a run; None, or empty, for what is not there.

    `votes` and `gate` are of the first seed, its losses of the file `losses`; `validation` has the
    number of samples of each task; `budget` is the smallest subset, in samples; `model` the first
    model of the config, `proxy` one for that section. A trial took one of `whole` records of the
    pool.
    """

    pool: pd.DataFrame | None = None
    validation: Mapping[str, int] = field(default_factory=dict)
    votes: pd.DataFrame | None = None
    agreement: pd.DataFrame | None = None
    histogram: pd.DataFrame | None = None
    duplicates: pd.DataFrame | None = None
    gate: pd.DataFrame | None = None
    losses: str = GATE
    comparison: pd.DataFrame | None = None
    cost: pd.DataFrame | None = None
    budget: int = 0
    model: str = "<model>"
    proxy: str | None = None
    whole: float = 1.0
    trial: bool = False


class Fact(NamedTuple):
    """A sentence, and the file of the run that it is made from."""

    text: str
    file: str


class Gap(NamedTuple):
    """What no file says, and the lines of the config that would make one."""

    what: str
    line: str


class Advice(NamedTuple):
    """A method with its parameters, what goes with it, facts that lead there, what is not known."""

    method: str
    more: list[str]
    facts: list[Fact]
    gaps: list[Gap]

    def lines(self) -> list[str]:
        """Return the advice as text."""
        use = [f"methods: {{{self.method}}}", *self.more]
        return [
            f"What fits: {', '.join(f'`{line}`' for line in use)}",
            *(f"- {fact.text} ({fact.file})" for fact in self.facts),
            *(f"- not known: {gap.what}; `{gap.line}` would tell" for gap in self.gaps),
        ]


def advise(given: Evidence) -> Advice:
    """Say which method fits the pool of a run.

    InputError if nothing says so: without a pool, votes, and differences that are no chance.
    """
    advice = Advice("", [], [], [])
    advice.more.extend(_repeats(given, advice) + _gate(given, advice))
    method = _by_target(given, advice) or _without_target(given, advice)
    method = _affordable(given, _measured(given, method, advice), advice)
    if method.startswith("clean_shares"):  # which has a gate of its own
        advice.more[:] = [line for line in advice.more if not line.startswith("gate:")]
        advice.more.append(_proxy(given))
    if not method:
        raise InputError("neither its pool nor its tables say which method fits")
    if given.model == Evidence.model and method.partition(":")[0] not in WITHOUT_MODEL:
        advice.more.append(f"models: {{{given.model}: {{path: <folder or hub id>}}}}")
    return advice._replace(method=method)


def _repeats(given: Evidence, advice: Advice) -> list[str]:
    """Describe the pool; return the line against copies if there are any to speak of."""
    if given.pool is None:
        return []
    pool, pairs = given.pool, given.duplicates
    copies = evidence.repeated(None, pool["digest"])
    sources = pool["source"].nunique()
    text = f"{len(pool):,} samples of {sources} source{'s' * (sources > 1)}, "
    text += f"{percent((pool['n_images'] == 0).mean())} without an image; "
    advice.facts.append(Fact(f"{text}{percent(copies)} repeat another to the letter", POOL))
    if pairs is None:
        compared = f"{{model: {given.model}, kind: last_token, cosine: 0.95}}"
        line = f"constraints: {{duplicates: {compared}}}"
        advice.gaps.append(Gap("how many samples are nearly the same", line))
        return ["constraints: {duplicates: {}}"] if copies >= REPEATED else []
    near = evidence.repeated(pairs, pool["digest"])
    use = "worth keeping" if near >= REPEATED else "of next to no use"
    text = f"{percent(near)} of the samples repeat another by `constraints.duplicates`, which is"
    advice.facts.append(Fact(f"{text} {use}", DUPLICATES))
    return []


def _proxy(given: Evidence) -> str:
    """Return the line of a model that sees the whole pool once, as the defaults have it."""
    return f"proxy: {{model: {given.proxy or given.model}}}"


def _gate(given: Evidence, advice: Advice) -> list[str]:
    """Return the line of the gate if the losses say that there are wrong answers."""
    if given.gate is None or given.pool is None:
        line = f"gate: {{share: 0.2}}, {_proxy(given)}"
        advice.gaps.append(Gap("how many answers are wrong", line))
        return []
    sources = given.pool["source"].to_numpy(object)
    wrong = evidence.wrong_answers(given.gate["loss"].to_numpy(), sources)
    sizes = given.pool["source"].value_counts()
    share = float((wrong * sizes[wrong.index]).sum() / max(1, sizes[wrong.index].sum()))
    if share < WRONG:
        text = (
            f"in none of {len(sizes)} sources are the losses under the warmed-up model of two kinds"
        )
        advice.facts.append(
            Fact(f"{text}, as right and wrong answers are: nothing to gate by", given.losses)
        )
        return []
    most = str(wrong.idxmax())
    text = (
        f"in {len(wrong)} of {len(sizes)} sources the losses under the warmed-up model are of two "
    )
    text += f"kinds, as right and wrong answers are: {percent(share)} of their samples stand out, "
    advice.facts.append(Fact(f"{text}most in {most}, {percent(wrong[most])}", given.losses))
    return [f"gate: {{share: {min(0.5, math.ceil(share / STEP) * STEP):.2g}}}"]


def _by_target(given: Evidence, advice: Advice) -> str | None:
    """Return the method for the tasks that validation samples show; None where there are none."""
    if given.validation:
        small, n = min(given.validation, key=given.validation.get), len(given.validation)
        text = f"validation samples of {n} task{'s' * (n > 1)}, at least "
        text += f"{given.validation[small]} ({small}): methods can choose by them"
        advice.facts.append(Fact(text, VALIDATION))
    if given.votes is not None:
        file, overlaps = VOTES, evidence.vote_overlaps(given.votes)
        votes = given.votes["votes"].mean()
    elif given.agreement is not None and given.histogram is not None:
        file, overlaps = AGREEMENT, evidence.overlaps(given.agreement)
        votes = evidence.mean_votes(given.histogram)
    elif given.validation:
        line = "methods: {icons: {}}, experiments: {main: {methods: [icons]}}"
        advice.gaps.append(Gap("whether the tasks agree on samples", line))
        return _single(given)
    else:
        return None
    chance = evidence.chance_overlap(votes, len(overlaps))
    agree = _agree(overlaps, chance, file, advice) and not _starved(given, advice)
    return "icons: {}" if agree else _single(given)


def _single(given: Evidence) -> str:
    """Return the method by which single validation samples count."""
    enough = min(given.validation.values(), default=0) >= ENOUGH
    return "clean_shares: {}" if enough else "targeted: {}"


def _agree(overlaps: pd.Series, chance: float, file: str, advice: Advice) -> bool:
    """Compare the overlap of each task's votes with that of tasks that have nothing in common."""
    if overlaps.notna().sum() < 2:
        advice.facts.append(Fact("fewer than two tasks vote: nothing to agree on", file))
        return False
    least = str(overlaps.idxmin())
    alone = overlaps.index[overlaps < chance]
    text = f"{least} shares {overlaps[least]:.2f} of its votes with another task, on average, and "
    text += f"by chance it would be {chance:.2f}: "
    others = f" (and {', '.join(alone.drop(least))})" if len(alone) > 1 else ""
    ending = f"votes leave it{others} alone, turns do not" if len(alone) else "the tasks agree"
    advice.facts.append(Fact(text + ending, file))
    return not len(alone)


def _starved(given: Evidence, advice: Advice) -> bool:
    """Compare what each task keeps of its votes with a random draw."""
    if given.votes is None or given.pool is None:
        return False
    n = given.budget or round(len(given.pool) / 5)
    kept = evidence.kept_votes(given.votes, given.pool["sample_id"].to_numpy(object), n)
    least, drawn = str(kept.idxmin()), n / len(given.pool)
    text = (
        f"the {n:,} samples with the most votes have {percent(kept[least])} of those that {least} "
    )
    text += f"votes for, a random draw {percent(drawn)}: "
    starved = bool(kept[least] < drawn)
    ending = "votes starve it, turns do not" if starved else "no task is starved by votes"
    advice.facts.append(Fact(text + ending, VOTES))
    return starved


def _without_target(given: Evidence, advice: Advice) -> str:
    """Return a method that looks at the pool alone; one without a model if passes take long."""
    if given.pool is None:  # of a run that is its tables, it is not known
        return ""
    text = "no validation samples: only methods that look at the pool alone can choose"
    advice.facts.append(Fact(text, VALIDATION))
    line = "tasks: {<task>: {validation: <file>}}"
    advice.gaps.append(Gap("what the subset is to be good for", line))
    hours = _seconds(given, "extract_features") * given.whole / 3600
    if hours < LONG:
        return "coincide: {}"
    text = f"a forward pass over the whole pool takes about {hours:,.0f} device-hours; `mcl` needs"
    advice.facts.append(Fact(f"{text} none", COST))
    return "mcl: {}"


def _measured(given: Evidence, method: str, advice: Advice) -> str:
    """Return what the run's own checkpoints show to be best; `method` where they show nothing."""
    table, own = given.comparison, method.partition(":")[0]
    if table is None or given.trial or table.empty:
        line = f"experiments: {{main: {{methods: [full, random, {own}], seeds: [0, 1, 2]}}}}"
        advice.gaps.append(Gap("what a subset is worth, by finetuning", line))
        return method
    if table["low"].isna().all():
        line = "seeds: [0, 1, 2]"
        advice.gaps.append(Gap("whether differences from `random` are chance", line))
        return method
    best = evidence.best(table)
    if best is not None:
        text = f"`{best}` is above `random` by {_differences(table, best)}"
        advice.facts.append(Fact(text, COMPARISON))
        return f"{best}: {{}}"
    compared = table["method"].unique()
    text = f"none of {', '.join(compared)} is shown to be above `random`"
    if own in compared:
        text += f"; {own} differs by {_differences(table, own)}"
        method = "random: {}"
    advice.facts.append(Fact(text, COMPARISON))
    return method


def _affordable(given: Evidence, method: str, advice: Advice) -> str:
    """Leave out backward passes if gradients cost too much of what a subset saves."""
    own, by_gradients = method.partition(":")[0], ("icons", "targeted")
    if given.cost is None or given.trial or own not in (*by_gradients, "clean_shares"):
        return method
    alike = by_gradients if own in by_gradients else (own,)
    rows = given.cost[given.cost["level"] == "selection"]
    cost = rows.loc[rows["name"].isin(alike), "relative_to_full"].min()
    if math.isnan(cost) or method == "targeted: {representation: hidden}":
        return method
    if own not in by_gradients:
        small = "; with a small `proxy.model` it is less" if cost > DEAR else ""
        text = f"selection by {own} costs {cost:.0f} % of finetuning on the whole pool{small}"
        advice.facts.append(Fact(text, COST))
        return method
    text = f"selection by gradients costs {cost:.0f} % of finetuning on the whole pool"
    if cost <= DEAR or method == "icons: {}":
        advice.facts.append(Fact(text, COST))
        return method
    advice.facts.append(Fact(f"{text}; hidden states need no backward pass", COST))
    return "targeted: {representation: hidden}"


def _differences(table: pd.DataFrame, method: str) -> str:
    """Describe a method's differences from `random` at each ratio."""
    return ", ".join(
        f"{row.difference:+.1f} points ({row.low:.1f} to {row.high:.1f}) at {row.ratio}"
        for row in table[table["method"] == method].itertuples()
    )


def _seconds(given: Evidence, rule: str) -> float:
    """Return the device-seconds of a rule; 0 where they are not known."""
    if given.cost is None:
        return 0.0
    rows = given.cost[(given.cost["level"] == "rule") & (given.cost["name"] == rule)]
    return float(np.nan_to_num(rows["device_seconds"]).sum())


def percent(share: float) -> str:
    """Format a share: 12 %, 3.4 %."""
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.1 else f"{100 * share:.1f} %"
