"""What reruns when the config changes: parameters that decide on an output are recorded."""

import ast
import re
import shutil
import textwrap

import pytest
import yaml
from running import HERE, ROOT, jobs, snakemake, succeeded

CONSTRAINTS = {"minimum": {"charts": 5}, "exclude": "exclude.txt"}
GIVEN = {"input", "output"}  # Snakemake records no parameter that is made from these


@pytest.fixture(scope="module")
def selected(mini_input, tmp_path_factory):
    """A folder with a random subset, and a function that plans its run with other constraints."""
    folder = tmp_path_factory.mktemp("selected")
    shutil.copytree(mini_input / "data", folder / "data")
    (folder / "exclude.txt").write_text("pool-000\n")
    config = yaml.safe_load((HERE / "mini.yaml").read_text()) | {"seeds": [0]}
    config |= {"methods": {"random": {}}, "experiments": {"main": {"methods": ["random"]}}}
    path = folder / "config.yaml"

    def run(*flags, **constraints):
        path.write_text(yaml.safe_dump(config | {"constraints": CONSTRAINTS | constraints}))
        return jobs(succeeded(snakemake(folder, path, "--cores", "1", "subsets", *flags)))

    assert "select_random" in run()
    return run


def test_the_same_constraints_rerun_nothing(selected):
    assert selected("-n") == set()


@pytest.mark.parametrize(
    "changes",
    [{"minimum": {"charts": 6}}, {"maximum": {"photos": 0.9}}, {"exclude": None}],
    ids=["minimum", "maximum", "exclude"],
)
def test_changed_constraints_select_anew(selected, changes):
    assert {"check_budgets", "select_random"} <= selected("-n", **changes)


def rule_functions():
    """Every function of the rule files by its name, and the names that it reads."""
    found = {}
    for path in sorted((ROOT / "rules").rglob("*.smk")):
        for text in re.findall(
            r"^ *def \w+\(.*\n(?:(?: +.*)?\n)*?(?=\S|\Z)", path.read_text(), re.MULTILINE
        ):
            for node in ast.walk(ast.parse(textwrap.dedent(text))):
                if isinstance(node, ast.FunctionDef):
                    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                    found[node.name] = names, {a.arg for a in node.args.args}
    return found


def reads(name, functions):
    """Return the names that a function reads, itself or through functions of ours."""
    seen, waiting = set(), {name}
    while waiting:
        name = waiting.pop()
        new = functions[name][0] - seen if name in functions else set()
        seen |= new
        waiting |= new
    return seen


def test_parameters_made_from_inputs_depend_on_nothing_else():
    """A change of the inputs is noticed anyway; one of the config would not be."""
    functions = rule_functions()
    assert "config" in reads("subset_rows", functions) | reads("score_paths", functions)
    assert "RUNS" in reads("subset_rows", functions)
    found = {name for name, (_, arguments) in functions.items() if GIVEN & arguments}
    assert {"flags", "table_flags"} <= found
    known = {"config", "RUNS", "METHODS", "TESTED", "VALIDATED", "GROUPS", "VOTERS", "RESULTS"}
    for name in found:
        assert not reads(name, functions) & known, name
    for path in (ROOT / "rules").rglob("*.smk"):  # what they are made with is noted no more
        for given in re.findall(r"signal_flags\((.*?)\)", path.read_text()):
            assert re.fullmatch(r"(tables=)?(\(\)|\[\"\w+\"\])?", given), path.name
