"""A small config that is right by the schema, before its defaults are filled in."""

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
