"""Print what a run will take: jobs, hours, disk and memory of every rule; also as a CSV.

Runs two trials, the second with a quarter of the samples, or what is missing of them, and
extrapolates their costs to the jobs that a dry run of the whole lists (docs/planning.md). With
--device, no trial is run, and what models take on that device is arithmetic.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from vlselect.config import trial
from vlselect.config.checks import ConfigError, check
from vlselect.config.yaml_files import read_yaml
from vlselect.core import store
from vlselect.core.errors import InputError
from vlselect.models.hub_cache import has_weights
from vlselect.plan import plan_table
from vlselect.plan.estimates import Setting, estimate, known_shape, read_device
from vlselect.plan.extrapolation import Estimate, extrapolate, measure
from vlselect.plan.jobs import Job, read_jobs

SNAKEFILE = str(Path(__file__).resolve().parents[1] / "Snakefile")
SMALLER = 4  # times, that the smaller of the two trials is
SMALLEST = 16  # samples of a trial, as the schema has it


def positive(text: str) -> int:
    """Return a number from 1 of a flag."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1")
    return int(text)


def build_parser() -> argparse.ArgumentParser:
    """Describe the flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, required=True, help="of the run")
    parser.add_argument("--trial", type=int, required=True, help="samples of the larger trial")
    parser.add_argument("--device", help="of configs/devices.yaml: estimates, without a trial")
    parser.add_argument("--cards", type=positive, default=1, help="of them; by default one")
    parser.add_argument("--samples", type=positive, help="of the pool, for --device; else counted")
    about = "arguments of Snakemake for the trials, after --: --cores 8, a profile"
    parser.add_argument("snakemake", nargs="*", help=about)
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
    """Return what to do about each model that is not on this machine."""
    own = Path("results", config["run"])  # the demo makes its models
    models = config.get("models", {}).values()
    models = [m for m in models if not Path(m["path"]).is_relative_to(own)]
    absent = [model for model in models if not has_weights(model)]
    return [
        f"hf download {model['path']} --revision {model['revision']}"
        if model.get("revision")
        else f"no weights in {model['path']}: put them there, or set `revision` for a hub id"
        for model in absent
    ]


def try_out(configfile: Path, n: int, flags: Sequence[str]) -> dict[str, Estimate]:
    """Run a trial, or what is missing of it; return what a job of each of its rules took."""
    size = ("--config", f"trial={n}")
    snakemake(configfile, *flags, "--quiet", "rules", "reason", "host", *size, show=True)
    rules = dry_run(configfile, *size)
    (path,) = (p for p in rules["prepare_pool"][0].output if p.endswith("summary.json"))
    counts = json.loads(Path(path).read_text(encoding="utf-8"))
    pool = counts["taken"] / counts["read"]
    return {rule: measure(jobs, pool, trial.task_share(pool)) for rule, jobs in rules.items()}


def by_trials(
    small: Mapping, large: Mapping, rule: str, jobs: Sequence[Job]
) -> tuple[Estimate, bool]:
    """Return what a rule's jobs take by two trials, and whether their time grows; or unknown."""
    known = rule in small and rule in large
    return extrapolate(small[rule], large[rule], jobs) if known else (Estimate(), False)


def on_device(arguments: argparse.Namespace, config: dict) -> None:
    """Print and write estimates for a device that need not be here."""
    setting = setting_of(config, arguments.device, arguments.samples)
    run = dry_run(arguments.configfile)
    subsets = dry_run(arguments.configfile, "subsets")
    frame = plan_table.make(run, subsets, lambda rule, jobs: (estimate(rule, jobs, setting), True))
    known, gpu = frame["hours"].notna(), frame["device"] == "gpu"
    lacking = frame.loc[gpu & ~known, "stage"]
    frame.loc[known, "device"] = "gpu"  # the one that is asked about
    others, frame = (~known).sum(), frame[known].assign(estimate="arithmetic")
    folder, device = Path("results", config["run"]), setting.device
    with store.replacing(folder / f"plan_{arguments.device}.csv") as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g")
    print(plan_table.show(frame))
    hours, cards, reached = frame["hours"].sum(), arguments.cards, setting.assumed["reached"]
    tight = frame.loc[frame["memory_gb"] > device.memory_gb, "stage"]
    lines = [
        f"ESTIMATES by arithmetic for {setting.n:,} samples on {arguments.device}, of whose"
        f" {device.tflops:g} TFLOP/s {reached:.0%} are assumed to be reached; memory is the card's",
        f"{plan_table.number(hours / cards / 24)} days on {cards}, if always busy",
        f"{others} rules that run no model are left out, and so is their disk",
        "`make plan` without DEVICE, on the device, measures instead",
    ]
    if len(lacking):
        lines += [f"NOT estimated, though they ask for a GPU: {', '.join(lacking)}"]
    if len(tight):
        cure = "a smaller batch_size, or batch_tokens: auto"
        lines += [f"MORE than the {device.memory_gb:g} GB of the card: {', '.join(tight)}; {cure}"]
    print("\n".join(lines))


def setting_of(config: dict, device: str, n: int | None) -> Setting:
    """Return what estimates for a device go by: the config with defaults, its models' shapes."""
    root = Path(SNAKEFILE).parent
    check(config, read_yaml(root / "rules/schemas/config.schema.yaml"))
    known = read_yaml(root / "configs/devices.yaml")
    found, shapes = read_device(known, device), {}
    for name, model in config.get("models", {}).items():
        entry = known["models"].get(model["path"])
        if entry is None:
            raise InputError(missing_shape(model))
        shapes[name] = known_shape(entry, known["assumed"])
    return Setting(config, shapes, found, known["assumed"], n or trial.count_records(config))


def missing_shape(model: Mapping) -> str:
    """Say what is to be added about a model: a line of YAML, if its config is here."""
    from vlselect.plan.shapes import read_shape  # imports torch

    try:
        sizes = asdict(read_shape(model["path"], model.get("revision")))
    except (OSError, ValueError):
        where = "whose config is not here, are not in configs/devices.yaml"
        return f"the sizes of model {model['path']}, {where}"
    known = ", ".join(f"{name}: {size}" for name, size in sizes.items() if size is not None)
    return (
        f"configs/devices.yaml does not have model {model['path']}. Add below its `models`, with"
        " numbers for the two dots: patches that the vision tower sees of an image, and tokens"
        f" that an image takes in the text\n  {model['path']}: {{{known}, patches: …,"
        " image_tokens: …}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print the plan and write it."""
    arguments = build_parser().parse_args(argv)
    configfile, n = arguments.configfile, arguments.trial
    if n < SMALLER * SMALLEST and not arguments.device:
        raise SystemExit(
            f"a plan needs --trial {SMALLER * SMALLEST} or more: its smaller trial is a quarter"
        )
    try:
        config = read_yaml(configfile)
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    if arguments.samples and not arguments.device:
        raise SystemExit("SAMPLES (--samples) goes with DEVICE; a plan by trials is of all records")
    if config.get("cached") or config.get("given"):
        dry_run(configfile, "--config", f"trial={n}")  # says why there is none
    if arguments.device:
        try:
            on_device(arguments, config)
        except InputError as error:
            raise SystemExit(str(error)) from error
        return
    run = dry_run(configfile)
    unknown = partial(by_trials, {}, {})
    if absent := downloads(config):
        print(plan_table.make(run, {}, unknown)[["stage", "jobs", "device"]].to_string(index=False))
        raise SystemExit("\n".join(["Times need a trial run, and that these models:", *absent]))
    small, large = (try_out(configfile, size, arguments.snakemake) for size in (n // SMALLER, n))
    frame = plan_table.make(run, dry_run(configfile, "subsets"), partial(by_trials, small, large))
    with store.replacing(Path("results", config["run"], "plan.csv")) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g")
    print(plan_table.show(frame))


if __name__ == "__main__":
    main()
