"""Print what a run will take: jobs, hours, disk and memory of every rule; also as a CSV.

Runs two trials, the second with a quarter of the samples, or what is missing of them, and
extrapolates their costs to the jobs that a dry run of the whole lists (docs/planning.md).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from vlselect.config import trial
from vlselect.config.checks import ConfigError
from vlselect.config.yaml_files import read_yaml
from vlselect.core import store
from vlselect.models.hub_cache import has_weights
from vlselect.plan.extrapolation import Estimate, extrapolate, measure
from vlselect.plan.jobs import Job, read_jobs

SNAKEFILE = str(Path(__file__).resolve().parents[1] / "Snakefile")
GB = 1e9
LARGEST = 5
SMALLER = 4  # times, that the smaller of the two trials is
SMALLEST = 16  # samples of a trial, as the schema has it


def build_parser() -> argparse.ArgumentParser:
    """Describe the flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, required=True, help="of the run")
    parser.add_argument("--trial", type=int, required=True, help="samples of the larger trial")
    about = "arguments of Snakemake for the trials, after --: --cores 8, a profile"
    parser.add_argument("snakemake", nargs="+", help=about)
    return parser


def snakemake(configfile: Path, *arguments: str, show: bool = False) -> str:
    """Run Snakemake; return what it prints, or show it. Where it fails, end with that."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", SNAKEFILE, *arguments]
    out = {} if show else {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    command += ["--configfile", str(configfile)]
    done = subprocess.run(command, **out, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout or done.returncode)
    return done.stdout or ""


def dry_run(configfile: Path, *arguments: str) -> dict[str, list[Job]]:
    """Return the jobs of each rule of a run, whether they are finished or not."""
    return read_jobs(snakemake(configfile, "-n", "-p", "--forceall", *arguments))


def downloads(config: Mapping) -> list[str]:
    """Return the commands that fetch the models that are not on this machine."""
    own = Path("results", config["run"])  # the demo makes its models
    models = [m for m in config["models"].values() if not Path(m["path"]).is_relative_to(own)]
    absent = [model for model in models if not has_weights(model)]
    return [f"hf download {m['path']} --revision {m.get('revision', 'main')}" for m in absent]


def try_out(configfile: Path, n: int, flags: Sequence[str]) -> dict[str, Estimate]:
    """Run a trial, or what is missing of it; return what a job of each of its rules took."""
    size = ("--config", f"trial={n}")
    snakemake(configfile, *flags, "--quiet", "rules", "reason", "host", *size, show=True)
    rules = dry_run(configfile, *size)
    (path,) = (p for p in rules["prepare_pool"][0].output if p.endswith("summary.json"))
    counts = json.loads(Path(path).read_text(encoding="utf-8"))
    pool = counts["taken"] / counts["read"]
    return {rule: measure(jobs, pool, trial.task_share(pool)) for rule, jobs in rules.items()}


def table(run: Mapping, subsets: Mapping, small: Mapping, large: Mapping) -> pd.DataFrame:
    """Lay out a row for each rule; `to_subsets` are the hours of its jobs that lead there."""
    rows = []
    for rule, jobs in run.items():
        known = rule in small and rule in large
        cost, grows = extrapolate(small[rule], large[rule], jobs) if known else (Estimate(), False)
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


def main(argv: Sequence[str] | None = None) -> None:
    """Print the plan and write it."""
    arguments = build_parser().parse_args(argv)
    configfile, n = arguments.configfile, arguments.trial
    if n < SMALLER * SMALLEST:
        raise SystemExit(
            f"a plan needs --trial {SMALLER * SMALLEST} or more: its smaller trial is a quarter"
        )
    try:
        config = read_yaml(configfile)
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    if config.get("cached") or config.get("given"):
        dry_run(configfile, "--config", f"trial={n}")  # says why there is none
    run = dry_run(configfile)
    if absent := downloads(config):
        print(table(run, {}, {}, {})[["stage", "jobs", "device"]].to_string(index=False))
        raise SystemExit("\n".join(["Times need a trial run, and that these models:", *absent]))
    small, large = (try_out(configfile, size, arguments.snakemake) for size in (n // SMALLER, n))
    frame = table(run, dry_run(configfile, "subsets"), small, large)
    with store.replacing(Path("results", config["run"], "plan.csv")) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g")
    print(show(frame))


if __name__ == "__main__":
    main()
