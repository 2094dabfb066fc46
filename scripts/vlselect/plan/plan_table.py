"""The table of `make plan`: jobs, hours, disk and memory of every rule; totals below it."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from vlselect.plan.extrapolation import Estimate
from vlselect.plan.jobs import Job

GB = 1e9
LARGEST = 5  # rules that are named below the table


def make(
    run: Mapping, subsets: Mapping, cost_of: Callable[[str, Sequence[Job]], tuple[Estimate, bool]]
) -> pd.DataFrame:
    """Lay out a row for each rule; `to_subsets` are the hours of its jobs that lead there."""
    rows = []
    for rule, jobs in run.items():
        cost, grows = cost_of(rule, jobs)
        rows.append({"stage": rule, "jobs": len(jobs), "hours": cost.seconds / 3600})
        rows[-1] |= {"device": "gpu" if any(job.gpu for job in jobs) else "cpu"}
        rows[-1] |= {"disk_gb": cost.disk / GB, "memory_gb": cost.memory / GB}
        upstream = len(subsets.get(rule, ())) / len(jobs)
        rows[-1] |= {"to_subsets": rows[-1]["hours"] * upstream, "grows": grows}
    return pd.DataFrame(rows)


def show(frame: pd.DataFrame) -> str:
    """Lay the table out as text, with totals, the largest rules, and what is not known."""
    total = {"stage": "total", "device": "", "memory_gb": frame["memory_gb"].max()}
    total |= dict(frame[["jobs", "hours", "disk_gb"]].sum())
    whole = pd.concat([frame, pd.DataFrame([total])]).iloc[:, :6].astype({"jobs": int})
    lines = [whole.to_string(index=False, na_rep="?", float_format=number, justify="left"), ""]
    for what in ("hours", "disk_gb", "memory_gb"):
        top = frame.nlargest(LARGEST, what)[["stage", what]].to_numpy()
        lines += [f"largest, {what}: {', '.join(f'{rule} {number(x)}' for rule, x in top)}"]
    hours = frame.groupby("device")["hours"].sum()
    spent = ", ".join(f"{number(hours[device])} {device}-hours" for device in hours.index)
    lines += [f"{spent}, as if jobs ran one after another"]
    lines += [f"{number(frame['to_subsets'].sum())} of these hours lead to the subsets"]
    measured = frame["hours"].notna()
    level, unknown = measured & ~frame["grows"], ~measured
    for rows, text in ((level, "no growth beyond noise, so fixed"), (unknown, "not measured")):
        lines += [f"{text}: {', '.join(frame.loc[rows, 'stage'])}"] if rows.any() else []
    return "\n".join(lines)


def number(value: float) -> str:
    """Format a number: three significant digits below 1,000, else whole."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
