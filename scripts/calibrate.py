"""Measure, on few samples of the pool and the tests, what the stages of a run take.

Runs the rules' own scripts on samples that the pool accepts and writes one JSON: seconds of a job
and of a sample for each stage with a model, columns of each kind of features, rates of the machine.
A stage that fails is reported and left out.
"""

import argparse
import importlib
import json
import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from vlselect.core import log, store
from vlselect.plan import calibration
from vlselect.plan.calibration_samples import of_pool, of_records, spread, write_rows
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

TEST_SHARE = 4  # test questions are this many times fewer than samples


def build_parser() -> argparse.ArgumentParser:
    """Describe the flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", required=True, help="JSON: name, script, arguments, output")
    parser.add_argument("--pool", type=Path, nargs="?", help="samples.parquet, where it is made")
    parser.add_argument("--records", type=Path, nargs="?", help="the records, where it is not")
    parser.add_argument("--intake", required=True, help="JSON: other arguments of prepare_pool")
    parser.add_argument("--tasks", nargs="*", default=[], help="names of the tests")
    parser.add_argument("--tests", nargs="*", default=[], type=Path, help="test.parquet of each")
    parser.add_argument("--samples", type=int, required=True, help="samples to measure with")
    parser.add_argument("--device", required=True, help="of the models, for the report")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    return parser


def filled(arguments: Sequence[str], values: dict[str, Path | str]) -> list[str]:
    """Put paths in the place of arguments such as ``{samples}``; others stay as they are."""
    return [str(values.get(a.strip("{}"), a)) if a.startswith("{") else a for a in arguments]


def measured(stages: Sequence[dict], pool: Path, tests: dict, folder: Path) -> Iterator[tuple]:
    """Measure stage by stage; give name, findings and the path of the output on most samples."""
    samples = Samples(pool)
    sizes = [max(1, len(samples) // 4), len(samples)]
    table = pq.read_table(pool)
    pools = [write_rows(table.slice(0, n), folder / f"pool-{n}.parquet") for n in sizes]
    subsets = [
        samples.frame(["row", "sample_id"]).iloc[:size].reset_index(drop=True) for size in sizes
    ]
    made: dict[str, list[Path]] = {}
    for number, stage in enumerate(stages):
        outs, argvs = [folder / f"stage-{number}-{size}" for size in sizes], []
        for i, out in enumerate(outs):
            out.mkdir()
            subsets[i].to_parquet(out / "subset.parquet", index=False)
            values = {"samples": pools[i], "subset": out / "subset.parquet", "out": out / "made"}
            values |= {"log": out / "log.csv"}
            values |= {kind: out / f"{kind}.safetensors" for kind in stage["kinds"]}
            values |= {f"test:{task}": tables[i] for task, tables in tests.items()}
            values |= {name: paths[i] for name, paths in made.items()}
            argvs.append(filled(stage["arguments"], values))
        counts = {task: [len(Samples(t)) for t in both] for task, both in tests.items()}
        counts = counts if stage["tests"] else sizes
        logger.info("%s on %s samples", stage["name"], counts)
        found = calibration.measure(stage["script"], argvs, counts)
        kinds = {kind: [out / f"{kind}.safetensors" for out in outs] for kind in stage["kinds"]}
        made |= {stage["name"]: [out / "made" for out in outs]}
        made |= {f"{stage['name']}/{kind}": paths for kind, paths in kinds.items()}
        yield stage, found, outs[1]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write."""
    arguments = build_parser().parse_args(argv)
    log.start()
    begin = time.perf_counter()
    stages = json.loads(arguments.stages)
    tests = dict(zip(arguments.tasks, arguments.tests, strict=True))
    import_scripts(stages)
    started = time.perf_counter() - begin
    with tempfile.TemporaryDirectory(dir=arguments.out.parent) as scratch:
        folder = Path(scratch)
        if arguments.pool is not None:
            pool, intake = of_pool(arguments.pool, arguments.samples, folder)
        else:
            flags = json.loads(arguments.intake)
            pool, intake = of_records(arguments.records, arguments.samples, flags, folder)
        questions = [max(1, n // TEST_SHARE) for n in (arguments.samples // 4, arguments.samples)]
        both = {
            task: [write_rows(spread(path, n), folder / f"{task}-{n}.parquet") for n in questions]
            for task, path in tests.items()
        }
        found, columns = {}, {}
        for stage, finding, out in measured(stages, pool, both, folder):
            if "error" in finding:
                logger.warning("%s is not measured: %s", stage["name"], finding["error"])
                found[stage["name"]] = finding
                continue
            finding["fixed"] += started
            if (out / "made").is_dir():
                finding["bytes"] = calibration.folder_bytes(out / "made")
            own = columns.setdefault(stage["model"], {})
            for kind in stage["kinds"]:
                own[kind] = calibration.array_columns(out / f"{kind}.safetensors")
            found[stage["name"]] = finding
        script = Path(__file__).with_name("select_subset.py")
        result = {
            "device": calibration.device_name(arguments.device),
            "samples": len(Samples(pool)),
            "machine": calibration.machine_rates(folder, Samples(pool), script),
            "pool": intake,
            "stages": found,
            "columns": columns,
        }
    store.write_json(result, arguments.out)
    log_summary(result)


def import_scripts(stages: Sequence[dict]) -> None:
    """Import all scripts before any process is forked: each then starts at once."""
    for script in dict.fromkeys(stage["script"] for stage in stages):
        importlib.import_module(script)


def log_summary(result: dict) -> None:
    """Log what was found, a line for each stage."""
    frame = pd.DataFrame(result["stages"]).T
    logger.info(
        "on %s:\n%s", result["device"]["name"], frame.drop(columns="tasks", errors="ignore")
    )


if __name__ == "__main__":
    main()
