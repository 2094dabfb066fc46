"""Say which method fits the pool of a finished or a trial run, and why; see `make advise`.

Reads what is there below results/<run>/, or below its largest trial if the run itself has not
begun, and writes nothing.
"""

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from vlselect.config.checks import ConfigError
from vlselect.config.yaml_files import read_yaml
from vlselect.core.errors import InputError
from vlselect.core.store import ShardedArray, read_parquet
from vlselect.plan.advice import GATE, Evidence, advise
from vlselect.tables.declarations import read_table

MADE = ("pool/samples.parquet", "tables")  # what there is of a run that has begun
POOL_COLUMNS = ["sample_id", "source", "n_images", "digest"]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, required=True, help="of the run")
    return parser


def find_run(config: Mapping, configfile: Path) -> Path:
    """Return the folder of the run, or of its largest trial; end if there is neither."""
    run = Path("results", config["run"])
    sizes = {}
    for path in run.parent.glob(f"{run.name}-trial-*"):
        if number := re.fullmatch(r"\d+", path.name.removeprefix(f"{run.name}-trial-")):
            sizes[int(number[0])] = path
    for folder in (run, *(sizes[n] for n in sorted(sizes, reverse=True))):
        if any((folder / made).exists() for made in MADE):
            return folder
    raise SystemExit(
        f"{run} is not there, and no trial of it: run `make trial CONFIG={configfile}` first"
    )


def read(path: Path, load: Callable[[Path], pd.DataFrame]) -> pd.DataFrame | None:
    """Read a file, or the first of those that a pattern finds; None if there is none."""
    found = sorted(path.parent.glob(path.name))
    return load(found[0]) if found else None


def gather(results: Path, config: Mapping) -> Evidence:
    """Read what there is of a run."""

    def table(name: str) -> pd.DataFrame | None:
        return read(results / f"tables/{name}.csv", lambda path: read_table(path, name))

    def counts(name: str) -> dict:
        path = results / "pool" / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    models = config.get("models") or {}
    small = (name for name in ("reference", *models) if name in models)
    sets = sorted(results.glob("tasks/*/validation.parquet"))
    summary = counts("summary.json")
    pool = read(results / MADE[0], lambda path: read_parquet(path, columns=POOL_COLUMNS))
    return Evidence(
        pool=pool,
        validation={path.parent.name: pq.read_metadata(path).num_rows for path in sets},
        votes=read(results / "votes/seed-*.parquet", read_parquet),
        agreement=table("task_agreement"),
        histogram=table("votes_histogram"),
        duplicates=read(results / "duplicates.parquet", read_parquet),
        **gather_losses(results, config, 0 if pool is None else len(pool)),
        comparison=table("comparison_with_random"),
        cost=table("cost"),
        budget=min(counts("budgets.json").values(), default=0),
        model=next(iter(models), "<model>"),
        proxy=(config.get("proxy") or {}).get("model") or next(small, None),
        whole=summary["read"] / max(1, summary["taken"]) if "taken" in summary else 1.0,
        trial=results.name != config["run"],
    )


def gather_losses(results: Path, config: Mapping, n: int) -> dict[str, object]:
    """Read the losses of the gate, or all n that clean_shares goes by; nothing without either."""
    if (gate := read(results / GATE, read_parquet)) is not None:
        return {"gate": gate}
    section = "proxy" if config.get("proxy") else "gradients"
    if section == "gradients" and "clean_shares" not in (config.get("methods") or {}):
        return {}
    model = (config.get(section) or {}).get("model")
    seeds = results.glob(f"{section}/{model}/seed-*/losses")
    for folder in sorted(seeds, key=lambda path: int(path.parent.name.removeprefix("seed-"))):
        shards = sorted(folder.glob("shard-*.safetensors"))
        if not shards or len(shards) != int(shards[0].stem.rpartition("-of-")[2]):
            continue  # of a run that goes on
        losses = ShardedArray(shards)[:].astype(np.float64)
        if len(losses) == n:
            where = f"{folder.relative_to(results)}/"
            return {"gate": pd.DataFrame({"loss": losses}), "losses": where}
    return {}


def main(argv: Sequence[str] | None = None) -> None:
    configfile = build_parser().parse_args(argv).configfile
    try:
        config = read_yaml(configfile)
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    if not isinstance(config, Mapping) or not isinstance(config.get("run"), str):
        raise SystemExit(f"{configfile} names no `run`: the folder below results/")
    results = find_run(config, configfile)
    try:
        lines = advise(gather(results, config)).lines()
    except InputError as error:
        raise SystemExit(f"{results}: {error}") from error
    print("\n".join([f"{results}:", *lines]))


if __name__ == "__main__":
    main()
