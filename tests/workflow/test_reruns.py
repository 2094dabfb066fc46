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


def functions_of_inputs():
    """Functions of the rule files that take a job's inputs or outputs, by file and name."""
    found = {}
    for path in sorted((ROOT / "rules").rglob("*.smk")):
        for text in re.findall(
            r"^ *def \w+\(.*\n(?:(?: +.*)?\n)*?(?=\S|\Z)", path.read_text(), re.MULTILINE
        ):
            for node in ast.walk(ast.parse(textwrap.dedent(text))):
                if isinstance(node, ast.FunctionDef) and GIVEN & {a.arg for a in node.args.args}:
                    found[f"{path.stem}.{node.name}"] = node
    return found


def test_parameters_made_from_inputs_depend_on_nothing_else():
    """A change of the inputs is noticed anyway; one of the config would not be."""
    found = functions_of_inputs()
    assert {"methods.flags", "figures.table_flags"} <= set(found)
    for name, node in found.items():
        read = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        assert not read & {"config", "RUNS", "METHODS", "TESTED", "VALIDATED", "VOTERS"}, name
