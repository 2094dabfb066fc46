"""Flags of small finetuning runs, and a way to start one in separate processes."""

import json
import os
import subprocess
from pathlib import Path

import finetune_model
import pandas as pd
from config_defaults import FINETUNE
from running import ROOT
from usual_flags import usual
from warm_python import warm_python

SCRIPT = ROOT / "scripts/finetune_model.py"
SMALL = {"rank": 2, "alpha": 4, "batch_size": 2, "gradient_accumulation": 1}


def finetune_flags(vlm: Path, pool: Path, out: Path, rows, *, seed: int = 0, **settings):
    """Return flags of finetune_model.py for these rows; the subset file is written beside `out`."""
    frame = pd.read_parquet(pool / "samples.parquet")
    frame.loc[list(rows), ["row", "sample_id"]].to_parquet(out.parent / "subset.parquet")
    return [
        *usual(finetune_model),
        *("--samples", str(pool / "samples.parquet")),
        *("--subset", str(out.parent / "subset.parquet")),
        *("--images", str(pool / "images"), "--settings", json.dumps(FINETUNE | SMALL | settings)),
        *("--seed", str(seed), "--model", str(vlm), "--device", "cpu", "--out", str(out)),
    ]


def start(command: list, **environment: str) -> subprocess.CompletedProcess:
    """Start a command with the library on its path; output is text, with stderr in stdout."""
    path = os.pathsep.join([str(Path(warm_python()).parent), os.environ["PATH"]])
    return subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "scripts"), **environment},
        check=False,
    )
