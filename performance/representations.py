"""What influence is made of, on a finished run of the demo: each form against exact LoRA gradients.

Runs the entries collect_gradients and find_span on the run's pool, validation sets and warm-up, as
the pipeline does, and compares the influences of what they store with those of whole gradients,
unprojected, in float32: relative error (root mean square over samples and tasks, of that of the
exact ones), Spearman's correlation (mean over tasks), shares of the exact top 20 % of each task and
of ICONS' choice of 20 % that are found too. Seconds are processor seconds of the pool's pass, model
loading included; bytes are those of the pool's shards. Prints a table and writes it as CSV.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch.nn.functional as F  # noqa: N812

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from vlselect.core.store import ShardedArray  # noqa: E402
from vlselect.gradients import influence, voting  # noqa: E402
from vlselect.gradients.per_sample import PerSampleGradients  # noqa: E402
from vlselect.methods import icons  # noqa: E402
from vlselect.models import loading  # noqa: E402
from vlselect.models.batching import batches  # noqa: E402
from vlselect.models.lora import load_adapter  # noqa: E402
from vlselect.models.vlm import VLM  # noqa: E402
from vlselect.pool.samples import Samples  # noqa: E402

SHARE = 0.2  # of the pool that is chosen, and that each task votes for
MOST_PIXELS = "50000000"
FORMS = {  # flags of collect_gradients; for those of SPANS a basis is made first
    "shifted, k 512": "--representation lora --projection shifted --dim 512",
    "shifted, k 5120": "--representation lora --projection shifted --dim 5120",
    "sjlt, k 512": "--representation lora --projection sjlt --dim 512",
    "sjlt, k 5120": "--representation lora --projection sjlt --dim 5120",
    "rademacher, k 512": "--representation lora --projection rademacher --dim 512",
    "output layer": "--representation output",
    "hidden states": "--representation hidden --positions all",
}
SPANS = {  # directions within vectors of such a form
    "span, 7 of shifted, k 5120": ("shifted, k 5120", 7),
    "span, 350 of shifted, k 5120": ("shifted, k 5120", 350),
}
FIXED = ("--projection-seed", "0", "--nonzeros", "3", "--implementation", "auto")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished run")
    parser.add_argument("--model", type=Path, required=True, help="folder of the target model")
    parser.add_argument("--images", type=Path, required=True, help="folder of all images")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    return parser


class Run:
    """A finished run: its pool, validation sets, warm-up and model."""

    def __init__(self, arguments: argparse.Namespace):
        self.folder, self.model, self.images = arguments.run, arguments.model, arguments.images
        self.warm_up = self.folder / "gradients/target/seed-0/warm_up"
        self.pool = self.folder / "pool/samples.parquet"
        sets = sorted(self.folder.glob("tasks/*/validation.parquet"))
        self.tasks = {path.parent.name: path for path in sets}

    def flags(self) -> list[str]:
        """Return the flags of its model."""
        flags = ["--model", str(self.model), "--template-date", "2025-01-01", "--threads", "1"]
        return [*flags, "--dtype", "float32", "--device", "cpu", "--batch-size", "64"]

    def load(self) -> VLM:
        """Load the model with the warm-up's adapter."""
        parser = argparse.ArgumentParser()
        loading.add_model_arguments(parser)
        model = loading.load_from_arguments(parser.parse_args(self.flags()))
        return load_adapter(model, self.warm_up, as_model=True)


def exact_influence(run: Run) -> np.ndarray:
    """Compute the influence of each sample on each task (N, T) by whole gradients, float32."""
    model, pool = run.load(), Samples(run.pool)
    with PerSampleGradients(model.model) as per_sample:

        def unit(samples: Samples):
            rows = range(len(samples))
            found = batches(model, samples, rows, run.images, max_pixels=int(MOST_PIXELS))
            for batch in found:
                yield batch.rows, F.normalize(per_sample.gradients(batch), dim=1).numpy()

        means = [
            np.concatenate([rows for _, rows in unit(Samples(path))]).mean(axis=0)
            for path in run.tasks.values()
        ]
        directions, table = np.stack(means), np.empty((len(pool), len(means)), np.float32)
        for rows, gradients in unit(pool):
            table[rows] = gradients @ directions.T
    return table


def collect(run: Run, form: str, parts: Mapping[str, tuple[Path, Path]], *more: str) -> float:
    """Run collect_gradients on parts, name to samples and shard; return its processor seconds."""
    names, samples, outs = [*parts], *zip(*parts.values(), strict=True)
    command = [sys.executable, ROOT / "scripts/collect_gradients.py", "--run", "measured"]
    command += ["--names", *names, "--samples", *samples, "--images", *[run.images] * len(names)]
    command += ["--max-pixels", MOST_PIXELS, "--warm-up", run.warm_up, *FORMS[form].split()]
    command += [*(FIXED if "lora" in FORMS[form] else ()), "--precondition", "none"]
    left_out = "left_out" if names == ["pool"] else "left_out_tasks"
    command += ["--left-out", run.folder / f"features/target/{left_out}.parquet"]
    command += ["--on-refused", "error", *run.flags(), "--workers", "0", *more, "--out", *outs]
    return run_and_time(command)


def run_and_time(command: Sequence[object]) -> float:
    """Run a command; return the processor seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def stored_influence(pool: Path, validation: Sequence[Path]) -> np.ndarray:
    """Compute the influence (N, T) of what was stored, as compute_influence does."""
    means = [influence.mean_gradient(ShardedArray([path])) for path in validation]
    found = influence.products(ShardedArray([pool]), [np.stack(means)])
    return np.concatenate([block.copy() for _, (block,) in found])


def chosen(table: np.ndarray, sample_ids: np.ndarray) -> set[int]:
    """Return what ICONS chooses by these influences."""
    votes = voting.cast_votes(table, 100 * SHARE).sum(axis=1)
    ranks = voting.mean_rank(table)
    signals = {"votes": pd.DataFrame({"votes": votes, "mean_rank": ranks})}
    pool = pd.DataFrame({"sample_id": sample_ids})
    options = {"aggregator": "vote", "tie_break": "mean_rank", "tasks": {}}
    return {*icons.select(pool, signals, round(SHARE * len(table)), 0, **options).rows.tolist()}


def compare(exact: np.ndarray, found: np.ndarray, sample_ids: np.ndarray) -> dict[str, float]:
    """Return the measures of influences (N, T) against exact ones."""
    error = np.sqrt(np.mean((found - exact) ** 2) / np.mean(exact**2))
    ranks = [pd.DataFrame(table).rank().to_numpy() for table in (exact, found)]
    spearman = [np.corrcoef(a, b)[0, 1] for a, b in zip(ranks[0].T, ranks[1].T, strict=True)]
    tops = [voting.cast_votes(table, 100 * SHARE).astype(bool) for table in (exact, found)]
    own, other = (chosen(table, sample_ids) for table in (exact, found))
    return {
        "relative_error": error,
        "spearman": np.mean(spearman),
        "spearman_least": np.min(spearman),
        "top_20_percent": (tops[0] & tops[1]).sum() / tops[0].sum(),
        "icons_choice": len(own & other) / len(own),
    }


def measure(run: Run, form: str, folder: Path) -> tuple[np.ndarray, dict[str, float]]:
    """Return the influences by a form, and what its pass took."""
    base, directions = SPANS.get(form, (form, 0))
    shards = {name: folder / f"{name}.safetensors" for name in run.tasks}
    collect(run, base, {name: (run.tasks[name], shards[name]) for name in run.tasks})
    more, energy = [], float("nan")
    if directions:
        own = {name: folder / f"span_{name}.safetensors" for name in run.tasks}
        basis = folder / "basis.safetensors"
        command = [sys.executable, ROOT / "scripts/find_span.py", "--validation", *shards.values()]
        command += ["--dimensions", directions, "--threads", 1, "--basis", basis]
        run_and_time([*command, "--out", *own.values()])
        shards, more = own, ["--span", str(basis)]
        energy = float(ShardedArray([basis]).only("energy"))
    pool = folder / "pool.safetensors"
    seconds = collect(run, base, {"pool": (run.pool, pool)}, *more)
    width = ShardedArray([pool]).shape[1]
    took = {"dimensions": width, "energy": energy, "mb": pool.stat().st_size / 1e6}
    return stored_influence(pool, [*shards.values()]), took | {"cpu_seconds": seconds}


def main(argv: Sequence[str] | None = None) -> None:
    arguments = build_parser().parse_args(argv)
    run = Run(arguments)
    sample_ids = Samples(run.pool).frame(["sample_id"])["sample_id"].to_numpy(object)
    exact, rows = exact_influence(run), []
    for form in [*FORMS, *SPANS]:
        with tempfile.TemporaryDirectory() as folder:
            found, took = measure(run, form, Path(folder))
        rows.append({"form": form, **took, **compare(exact, found, sample_ids)})
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(arguments.out, index=False, float_format="%.5g", lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
