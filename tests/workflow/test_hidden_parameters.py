"""Parameters that are made from a job's inputs: Snakemake does not record them.

That all others are recorded, test_every_key.py shows.
"""

import ast
import re
import textwrap

from running import ROOT

GIVEN = {"input", "output"}


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
    for path in (ROOT / "rules").rglob("*.smk"):  # what such a function is made with is hidden too
        for given in re.findall(r"=signal_flags\((.*)\)", path.read_text()):
            assert re.fullmatch(r'(tables=\["\w+"\])?', given), path.name
