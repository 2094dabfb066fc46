"""Try hostile input by the thousand, and count what is read, refused and falls.

    python tests/faults/campaign.py --records 10000 --images 2000 --tars 500 --seed 0
    python tests/faults/campaign.py --passes 9 --kills 60 --inputs 400 --variations 5 --pairs 3
    python tests/faults/campaign.py --dag 16

Prints a table of each kind; ends with 1 if a trial fell. A trial depends on the seed and its number
only: `--only records:123` repeats one. Passes, kills, variations and pairs are of whole runs, which
take minutes each; what a kill meets depends on the machine's speed as well.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in ("scripts", "tests/support", "tests/faults")]

import disk_faults  # noqa: E402
import fault_trials  # noqa: E402
import image_faults  # noqa: E402
import input_faults  # noqa: E402
import kill_faults  # noqa: E402
import large_dag  # noqa: E402
import record_faults  # noqa: E402
import same_bytes  # noqa: E402
import side_by_side  # noqa: E402
import tar_faults  # noqa: E402
import whole_run  # noqa: E402

TRIALS = {
    "records": (record_faults.kind_of, record_faults.RecordTrials),
    "images": (image_faults.kind_of, image_faults.ImageTrials),
    "tars": (tar_faults.kind_of, tar_faults.TarTrials),
    "disks": (disk_faults.kind_of, disk_faults.DiskTrials),
    "quotas": (disk_faults.kind_of, disk_faults.QuotaTrials),
}
RUNS = {
    "passes": "runs in which a job of every rule is killed",
    "kills": "kills of jobs and runs at random moments",
    "inputs": "inputs that change between jobs",
    "variations": "variations of a run",
    "pairs": "ways to have two runs at once",
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in TRIALS:
        parser.add_argument(f"--{name}", type=int, default=0, help=f"trials of {name}")
    for name, what in RUNS.items():
        parser.add_argument(f"--{name}", type=int, default=0, help=what)
    parser.add_argument("--dag", type=int, default=0, help="seeds of a large run without work")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="<what>:<number> of one trial, whose error is shown")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        if args.only:
            name, _, number = args.only.partition(":")
            with TRIALS[name][1](Path(folder) / name, args.seed) as trial:
                print(trial(int(number)))
            return 0
        fell = 0
        for name, (kind_of, trials) in TRIALS.items():
            if not (n := getattr(args, name)):
                continue
            print(f"\n{name}, seed {args.seed}")
            with trials(Path(folder) / name, args.seed) as trial:
                rows = fault_trials.table(fault_trials.run(kind_of, trial, range(n)))
            fell += sum(row.counts[fault_trials.FELL] for row in rows.values())
        if args.dag:
            for line in large_dag.LargeDag(Path(folder) / "dag", args.dag).measure():
                print(line, flush=True)
        if any(getattr(args, name) for name in RUNS):
            fell += of_runs(whole_run.WholeRun(Path(folder) / "runs"), args)
    return min(fell, 1)


def of_runs(whole: whole_run.WholeRun, args: argparse.Namespace) -> int:
    """Kill whole runs, change their jobs' inputs, vary and pair them; return how much fell."""
    fell = 0
    if args.inputs:
        print(f"\ninputs, seed {args.seed}")
        trial = input_faults.InputTrials(whole, args.seed)
        rows = fault_trials.table(fault_trials.run(trial.kind_of, trial, range(args.inputs)))
        fell += sum(row.counts[fault_trials.FELL] for row in rows.values())
    for name in list(same_bytes.VARIATIONS)[: args.variations]:
        found = same_bytes.vary(whole, name)
        print(f"\n{name}: {len(found)} differences", *found, sep="\n", flush=True)
        fell += len(found)
    for pair in side_by_side.PAIRS[: args.pairs]:
        found = pair(whole)
        print(f"\n{pair.__name__}: {len(found)} differences", *found, sep="\n", flush=True)
        fell += len(found)
    if args.passes:
        fell += told(kill_faults.in_every_rule(whole, args.passes))
    if args.kills:
        fell += told(kill_faults.killed(whole, args.seed, args.kills))
    return fell


def told(tally: kill_faults.Tally) -> int:
    """Print a tally; return how much fell."""
    print("", *tally.lines(), sep="\n", flush=True)
    return len(tally.fell)


if __name__ == "__main__":
    sys.exit(main())
