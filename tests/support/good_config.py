"""The schema, and a small config that is right by it."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = yaml.safe_load((ROOT / "rules/schemas/config.schema.yaml").read_text())
GOOD = {
    "run": "test",
    "pool": {"records": "records.json", "images": "images"},
    "tasks": {
        "vqa": {"validation": "v.json", "test": "t.json"},
        "left": {"validation": "v.json", "group": "sides"},
    },
    "models": {"target": {"path": "model"}, "small": {"path": "owner/model", "revision": "abc"}},
    "methods": {"random": {}, "icons": {}, "coincide": {"model": "small"}},
    "gradients": {"model": "target"},
    "experiments": {"main": {"methods": ["random", "icons"], "models": ["target"]}},
}
