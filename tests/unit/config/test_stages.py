"""Stages: the rule files of a config, and the stage of a file."""

import pytest
from running import ROOT

from vlselect.config.stages import DATA_STAGES, MADE_BY, UNCHARGED, rule_files, stage_of

PLAIN = {"tasks": {"a": {}}, "methods": {"random": {}}, "given": [], "evaluation": {}}
PLAIN |= {"on_contamination": "warn"}


def test_rule_files_go_from_left_to_right():
    files = rule_files(PLAIN)
    made = [name for name in DATA_STAGES if name not in MADE_BY]
    assert [name for name in files if name in DATA_STAGES] == made
    assert files.index("clusters") < files.index("methods/random") < files.index("tables")
    whole = PLAIN | {"digits": {}, "evaluation": {"lmms_eval": {}}, "tasks": {"a": {"build": {}}}}
    more = rule_files(whole)
    assert set(more) - set(files) == {"digits", "make_task", "lmms_eval"}
    assert more.index("make_task") < more.index("tasks")
    for name in {*more, *UNCHARGED}:
        assert (ROOT / f"rules/{name}.smk").is_file()


def test_a_given_stage_has_no_rules():
    files = rule_files(PLAIN | {"given": ["pool", "features"]})
    assert not {"pool", "features"} & set(files) and "gradients" in files


def test_rules_of_two_stages_are_needed_until_both_are_given():
    for given in (["gradients"], ["proxy"]):
        assert rule_files(PLAIN | {"given": given}).count("gradients") == 1
    assert "gradients" not in rule_files(PLAIN | {"given": ["gradients", "proxy"]})


def test_copies_are_counted_by_their_own_rule_or_kept_out_of_the_pool():
    assert "contamination" in rule_files(PLAIN)
    assert "contamination" not in rule_files(PLAIN | {"on_contamination": "exclude"})
    for unprepared in ({"tasks": {}}, {"given": ["pool"]}, {"given": ["tasks"]}):
        assert "contamination" not in rule_files(PLAIN | unprepared)


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("results/mini/features/m/clip/shard-1-of-2.safetensors", "features"),
        ("results/mini/votes.parquet", "votes"),
        ("results/mini", None),
        ("results/minimal/votes.parquet", None),
        ("scripts/vlselect/core/store.py", None),
    ],
)
def test_a_file_lies_in_its_stage(path, stage):
    assert stage_of(path, "mini") == stage
