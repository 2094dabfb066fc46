"""Flags of the entry scripts repeat no default: what the config sets has it in the schema."""

import importlib

import pytest
from running import ROOT

SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))
ABSENT = (None, False, [], {}, "{}")  # values that say that there is nothing
KEPT = {  # what no key of the config sets, or what is absent where its rule leaves it out
    "--attention": "extract_attention needs the weights",
    "--batch-size": "of the pretraining of the demo's models",
    "--cards": "of plan_run: a device by itself",
    "--count": "samples on the contact sheet",
    "--finetuning": "name of a rule",
    "--images": "absent where the tables hold them",
    "--index": "for tests of the lists",
    "--shard": "the whole",
    "--threads": "of methods that need one only",
    "--tolerance": "of import_published, which no rule runs",
    "--workers": "helpers: none",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_repeats_no_default_of_the_config(script):
    parser = importlib.import_module(script).build_parser()
    own = {
        action.option_strings[0]: action.default
        for action in parser._actions
        if action.option_strings and not action.required and action.dest != "help"
    }
    found = {flag: value for flag, value in own.items() if value not in ABSENT}
    assert set(found) <= set(KEPT), found
    if script not in ("score_samples", "select_subset"):
        assert "--threads" not in found
    if script not in ("pretrain_base", "pretrain_vision"):
        assert "--batch-size" not in found
