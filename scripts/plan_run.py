"""Print what a run will take: jobs, hours, disk and memory of every stage, before any is run.

Counts come from the records themselves, sizes from shapes, hours from a calibration; what is not
known without one is left out and said. The same goes to a CSV.
"""

import argparse
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from vlselect.core import log, store
from vlselect.models.hub_cache import has_weights, model_folder
from vlselect.plan import run_plan
from vlselect.plan.plan_facts import Facts, Stage
from vlselect.pool.json_stream import read_records

logger = logging.getLogger(__name__)

GB = 1e9
LARGEST = 5
AFTER_SUBSETS = ("finetune_model/", "run_benchmarks/")  # stages
ACTIVATED = 5  # decoder layers that activations are taken of, at most (`layers.choose_layers`)


def build_parser() -> argparse.ArgumentParser:
    """Describe the flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="the config with all defaults, as JSON")
    parser.add_argument("--runs", required=True, help="JSON: model, method, budget, seed of each")
    parser.add_argument("--summary", type=Path, help="pool/summary.json, where there is one")
    parser.add_argument("--calibration", type=Path, nargs="?", help="JSON of calibrate.py")
    parser.add_argument(
        "--tests", type=Path, nargs="*", default=[], help="each task's test.parquet"
    )
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    return parser


def count_records(path: str | Path | None) -> int:
    """Count the records of a file, one at a time; 0 where the file is not there."""
    if path is None or not Path(path).is_file():
        logger.warning("%s is not there: its records count as none", path)
        return 0
    return sum(1 for _ in read_records(Path(path)))


def count_questions(config: Mapping, tests: Sequence[Path], split: str) -> dict[str, int]:
    """Count a split's records in every task that has it: rows of its table, else records."""
    tables = {path.parent.name: path.with_name(f"{split}.parquet") for path in tests}
    counts = {}
    for name, task in config["tasks"].items():
        if split in task and name in tables:
            counts[name] = pq.ParquetFile(tables[name]).metadata.num_rows
        elif split in task:
            counts[name] = count_records(task[split])
    return counts


def local_widths(config: Mapping) -> dict[str, dict[str, int]]:
    """Columns of the features of models whose config.json is on this machine."""
    widths, features = {}, config["features"]
    for name, model in config["models"].items():
        path = model_folder(model) / "config.json"
        if not path.is_file():
            continue
        known = json.loads(path.read_text(encoding="utf-8"))
        text = known.get("text_config") or known
        if "projection_dim" in known and "vision_config" in known:
            widths[name] = {"clip": 2 * known["projection_dim"]}
        elif "hidden_size" in text:
            width, depth = text["hidden_size"], text.get("num_hidden_layers", ACTIVATED)
            layers = len(features["layers"] or range(min(depth, ACTIVATED)))
            kinds = dict.fromkeys(("last_token", "mean_hidden", "attended"), width)
            widths[name] = kinds | {"activations": 2 * layers * width, "likelihood": 3}
    return widths


def downloads(config: Mapping) -> list[str]:
    """Arguments of `hf download` for the models that are not on this machine."""
    absent = [model for model in config["models"].values() if not has_weights(model)]
    revisions = [f" --revision {m['revision']}" if m["revision"] else "" for m in absent]
    return [f"{m['path']}{r}" for m, r in zip(absent, revisions, strict=True)]


def table(stages: Iterable[Stage], kind: str) -> pd.DataFrame:
    """Give the stages as rows with units that are read with ease; NaN is not known."""
    rows = [
        {
            "stage": stage.name,
            "jobs": stage.jobs,
            "hours": stage.seconds,
            "device": kind if stage.model else "cpu",
            "disk_gb": stage.disk,
            "memory_gb": stage.memory,
            "gpu_memory_gb": stage.gpu_memory,
            "basis": stage.basis,
        }
        for stage in stages
    ]
    frame = pd.DataFrame(rows, columns=[*run_plan.COLUMNS])
    numbers = ["hours", "disk_gb", "memory_gb", "gpu_memory_gb"]
    frame[numbers] = frame[numbers].astype(float) / [3600, GB, GB, GB]
    return frame


def show(frame: pd.DataFrame, calibration: Mapping, n_pool: int, absent: Sequence[str] = ()) -> str:
    """Lay the table out as text, with totals, the largest stages, and what is not known."""
    hours = frame.groupby("device")["hours"].sum()
    total = {"stage": "total", "jobs": frame["jobs"].sum(), "hours": frame["hours"].sum()}
    total |= {"disk_gb": frame["disk_gb"].sum(), "memory_gb": frame["memory_gb"].max()}
    total |= {"gpu_memory_gb": frame["gpu_memory_gb"].max(), "device": "", "basis": ""}
    whole = pd.concat([frame, pd.DataFrame([total])], ignore_index=True)
    text = whole.to_string(index=False, na_rep="?", float_format=_number, justify="left")
    lines = [f"{n_pool} records in the pool", "", text, ""]
    for what, unit in (("hours", "h"), ("disk_gb", "GB")):
        largest = frame.nlargest(LARGEST, what)
        parts = [f"{r['stage']} {_number(r[what])} {unit}" for r in largest.to_dict("records")]
        lines += [f"largest, {what.partition('_')[0]}: {', '.join(parts)}"] if parts else []
    if calibration:
        spent = ", ".join(f"{_number(hours[device])} {device}-hours" for device in hours.index)
        device = calibration["device"]
        lines += [f"{spent}; measured on {device['name']} with {calibration['samples']} samples"]
        after = frame["stage"].str.startswith(AFTER_SUBSETS)
        chosen = _number(frame.loc[~after, "hours"].sum())
        lines += [f"{chosen} of these hours lead to the subsets, the others train and test"]
    else:
        lines += ["Times need a calibration, and that the pool's records and these models:"]
        lines += [f"  hf download {text}" for text in absent]
    unknown = frame.loc[frame["hours"].isna(), "stage"].tolist()
    if calibration and unknown:
        lines += [f"not measured, and not in the total: {', '.join(unknown)}"]
        reasons = {s["error"]: name for name, s in calibration["stages"].items() if "error" in s}
        lines += [f"  {name}: {error}" for error, name in reasons.items()]
    return "\n".join(lines)


def _number(value: float) -> str:
    """Three digits that matter, plain."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the plan and write it."""
    arguments = build_parser().parse_args(argv)
    log.start()
    config = json.loads(arguments.config)
    if arguments.summary is not None:
        n_pool = json.loads(arguments.summary.read_text(encoding="utf-8"))["accepted"]
    else:
        n_pool = count_records(config["pool"].get("records"))
    calibration = {}
    if arguments.calibration is not None:
        calibration = json.loads(arguments.calibration.read_text(encoding="utf-8"))
    facts = Facts(
        config,
        json.loads(arguments.runs),
        n_pool,
        count_questions(config, arguments.tests, "test"),
        count_questions(config, arguments.tests, "validation"),
        local_widths(config),
        calibration,
    )
    kind = calibration.get("device", {}).get("kind", "gpu")
    frame = table(run_plan.plan(facts), kind)
    with store.replacing(arguments.out) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g")
    print(show(frame, calibration, n_pool, downloads(config)))


if __name__ == "__main__":
    main()
