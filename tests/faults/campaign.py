"""Try hostile input by the thousand, and count what is read, refused and falls.

    python tests/faults/campaign.py --records 10000 --images 2000 --tars 500 --seed 0

Prints a table of each kind; ends with 1 if a trial fell. A trial depends on the seed and its number
only: `--only records:123` repeats one.
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
import record_faults  # noqa: E402
import tar_faults  # noqa: E402

TRIALS = {
    "records": (record_faults.kind_of, record_faults.RecordTrials),
    "images": (image_faults.kind_of, image_faults.ImageTrials),
    "tars": (tar_faults.kind_of, tar_faults.TarTrials),
    "disks": (disk_faults.kind_of, disk_faults.DiskTrials),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in TRIALS:
        parser.add_argument(f"--{name}", type=int, default=0, help=f"trials of {name}")
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
    return min(fell, 1)


if __name__ == "__main__":
    sys.exit(main())
