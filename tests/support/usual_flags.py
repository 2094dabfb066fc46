"""Values of the flags that the rules always pass, for tests that are about other flags."""

import json
from argparse import Namespace
from types import ModuleType

from config_defaults import FINETUNE

USUAL = {
    "--batch-size": "64",
    "--cache-mb": "1024",
    "--device": "cpu",
    "--dtype": "float32",
    "--fraction": "1",
    "--implementation": "auto",
    "--initial-spread": "0.02",
    "--iterations": "50",
    "--limit": "20000",
    "--max-cosine": "0.9",
    "--max-pixels": "50000000",
    "--memory-gb": "4",
    "--n-probe": "16",
    "--net-learning-rate": "2e-5",
    "--nonzeros": "3",
    "--on-refused": "error",
    "--on-collapse": "error",
    "--parameters": "{}",
    "--pixels": "1024",
    "--precondition": "none",
    "--points-per-centroid": "256",
    "--projection": "sjlt",
    "--projection-seed": "0",
    "--repeated-ids": "reject",
    "--representation": "lora",
    "--save-steps": "0",
    "--seed": "0",
    "--settings": json.dumps(FINETUNE),
    "--sigma": "1.0",
    "--template-date": "2025-01-01",
    "--threads": "1",
    "--variant": "released",
    "--workers": "0",
}

PROJECTION = ("--projection", "--projection-seed", "--nonzeros", "--implementation")  # of lora


def usual(script: ModuleType) -> list[str]:
    """Return the flags that an entry script needs; later flags override their values."""
    actions = script.build_parser()._actions
    needed = [
        flag for a in actions for flag in a.option_strings[:1] if a.required or flag in PROJECTION
    ]
    return [part for flag in needed if flag in USUAL for part in (flag, USUAL[flag])]


def clip_flags(path, **changed):
    """Return the flags for loading a CLIP, some of them changed."""
    given = {"model": str(path), "revision": None, "dtype": "float32", "device": "cpu"}
    given |= {
        "attention": None,
        "quantisation": None,
        "tf32": False,
        "batch_size": 16,
        "threads": 1,
        "trust_remote_code": False,
    }
    return Namespace(**(given | changed))
