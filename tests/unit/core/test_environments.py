"""Environments against the imports of the scripts that run in them, and conda's pins against pip's.

Rules are read as text, since a config decides which of them Snakemake would see.
"""

import ast
import re
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from running import ROOT
from yaml import safe_load

from vlselect.core.sources import PACKAGE, SCRIPTS, imported_sources

ENVS = ROOT / "envs"
NAMES = sorted(path.relative_to(ENVS).as_posix() for path in ENVS.rglob("*.yaml"))
# a rule of rules/ may be the base of one in a folder below it
RULE_FILES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
RULE_FILES += sorted((ROOT / "rules").glob("*/*.smk"))
PIP_NAMES = {"pytorch": "torch"}  # where conda's name differs
DISTRIBUTIONS = metadata.packages_distributions()
OWN = {"spacy"}  # a user who sets `methods.mcl.tagger` installs it; without it the error says so
PLAIN = {"pytorch-gpu": "pytorch", "faiss-gpu": "faiss-cpu"}  # GPU build: plain package
PROGRAMS = {  # started by a script in another process instead of imported
    "run_lmms_eval.py": {
        *("accelerate", "datasets", "decord", "lmms-eval", "pytorch", "torchvision"),
        "transformers",
    }
}
RULE = re.compile(
    r"^( *)(?:rule (?P<own>\w+)|use rule (?P<parent>\w+) as (?P<child>\w+) with):\n"
    r"(?P<text>(?:\1 +.*\n|\n)*)",
    re.MULTILINE,
)
FUNCTION = re.compile(r"^def (\w+)\(.*\n(?:    .*\n|\n)*", re.MULTILINE)


def scripts_in(text):
    """Return the scripts that a text names in quotes; a part in braces stands for any name."""
    found = set()
    for name in re.findall(r'"([\w/]+(?:\{[^"]+\})?\w*\.py)"', text):
        pattern = re.sub(r"\{.*\}", "*", name)
        paths = {path.relative_to(SCRIPTS).as_posix() for path in SCRIPTS.glob(pattern)}
        assert paths, f"no script is named {name}"
        found |= paths - {path for path in paths if path.endswith("__init__.py")}
    return found


def functions():
    """Return the scripts that each function of the rule files names."""
    texts = [path.read_text() for path in RULE_FILES]
    return {m[1]: scripts_in(m[0]) for text in texts for m in FUNCTION.finditer(text)}


def read_rules():
    """Name of each rule that runs code → (names of its environments, its scripts, its text)."""
    named, found = functions(), {}
    for path in RULE_FILES:
        for match in RULE.finditer(path.read_text()):
            text = match["text"]
            environments = set(
                re.findall(r'"(?:(?:\.\./)+|\{workflow\.basedir\}/)envs/([\w/]+\.yaml)"', text)
            )
            if match["parent"]:
                parent = found[match["parent"]]
                environments = environments or parent[0]
                if "resources:" not in text:  # the parent's, as is its environment
                    text += parent[2]
            elif "shell:" not in text:
                continue
            scripts = scripts_in(text)
            for word in set(re.findall(r"\w+", text)) & set(named):
                scripts |= named[word]
            found[match["own"] or match["child"]] = environments, scripts, text
    return found


RULES = read_rules()


@cache
def imports_of(path):
    """Return the third-party packages that a file imports, by conda's names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module)
    roots = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {PACKAGE}
    roots -= {path.stem for path in SCRIPTS.glob("*.py")} | OWN
    conda_names = {pip: conda for conda, pip in PIP_NAMES.items()}
    found = {DISTRIBUTIONS[root][0].lower() for root in roots}
    return {conda_names.get(name, name) for name in found}


def needs(scripts):
    """Return the packages that scripts and the scripts they start need, by conda's names."""
    sources = set(imported_sources(*sorted(scripts)))
    for entry in scripts:
        sources |= set(imported_sources(*sorted(scripts_in((SCRIPTS / entry).read_text()))))
    packages = set().union(*map(imports_of, sources))
    return packages.union(*(PROGRAMS.get(path.name, set()) for path in sources))


def pins(name):
    """Package → version of an environment, including its pip section."""
    found = {}
    for entry in safe_load((ENVS / name).read_text())["dependencies"]:
        sign, texts = ("=", [entry]) if isinstance(entry, str) else ("==", entry["pip"])
        for text in texts:
            match = re.fullmatch(rf"([\w-]+){sign}(\d+(?:\.\w+)+)", text)
            assert match, f"{name}: {text} is not an exact version"
            assert match[1] not in found, f"{name}: {match[1]} stands there twice"
            found[match[1]] = match[2]
    return found


def pip_pins(name):
    """Package → version of a requirements file, in lower case."""
    lines = (ENVS / name).read_text().lower().splitlines()
    pinned = [line.partition("==") for line in lines if not line.startswith(("#", "-r"))]
    assert all(sign and version for _, sign, version in pinned)
    return {package: version for package, _, version in pinned}


def pip_route(name):
    """Return an environment's pins by pip's names, without Python and pip, GPU builds as plain."""
    packages = {PLAIN.get(p, p): version for p, version in pins(name).items()}
    return {PIP_NAMES.get(p, p): v for p, v in packages.items() if p not in ("python", "pip")}


def test_the_rules_are_found():
    text = "".join(path.read_text() for path in RULE_FILES)
    assert len(RULES) == len(re.findall(r"^\s*shell:|^ *use rule ", text, re.MULTILINE)) > 50
    assert RULES["make_task"][1] >= {"make_task.py", "vlselect/tasks/layouts/gqa.py"}
    assert RULES["run_benchmarks"][1] >= {
        "run_benchmarks.py",
        "vlselect/benchmarks/metrics/anls.py",
    }
    assert "vlselect/methods/icons.py" in RULES["select_icons"][1]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_an_environment_and_another_for_a_gpu(rule):
    environments, scripts, text = RULES[rule]
    assert scripts and environments <= set(NAMES)
    on_gpu = {name for name in environments if name.startswith("gpu/")}
    assert len(environments - on_gpu) == 1
    asks = re.search(r"^ +gpu=(.+),$", text, re.MULTILINE)
    assert len(on_gpu) == bool(asks)
    if asks:  # the config decides on both, and what a machine has on what `auto` takes
        condition = re.sub(r"^(asked|finetune|warm_up)_gpus", "gpus", asks[1])
        assert re.search(rf"branch\(\s*{re.escape(condition)},", text)


@pytest.mark.parametrize("name", NAMES)
def test_an_environment_is_what_its_rules_import(name):
    rules = [rule for rule in RULES.values() if name in rule[0]]
    assert rules, "no rule names it"
    needed = needs(set().union(*(scripts for _, scripts, _ in rules)))
    if any(".parquet" in text for _, _, text in rules):
        needed.add("pyarrow")  # used by pandas to read and write them
    given = {PLAIN.get(package, package) for package in pins(name)} - {"python", "pip"}
    assert given == needed


@pytest.mark.parametrize("name", NAMES)
def test_an_environment_has_the_right_builds_and_channels(name):
    content = safe_load((ENVS / name).read_text())
    assert set(content) == {"channels", "dependencies"}
    assert content["channels"] == ["conda-forge", "nodefaults"]
    wrong = set(PLAIN.values()) if name.startswith("gpu/") else set(PLAIN)
    assert not set(pins(name)) & wrong
    of_pip = isinstance(content["dependencies"][-1], dict)
    assert ("pip" in pins(name)) == of_pip


@pytest.mark.parametrize("package", ["python", "pip", "torchvision"])
def test_what_only_conda_installs_has_one_version(package):
    given = {name: pins(name).get(package) for name in NAMES}
    assert len({version for version in given.values() if version}) == 1, given
    assert package != "python" or all(given.values()), given


def workflow_imports():
    """Return the imports of Snakemake and the rule files themselves."""
    found = {"snakemake"}
    for path in RULE_FILES:
        for line in re.findall(r"^ *((?:from|import) .+)$", path.read_text(), re.MULTILINE):
            modules = re.findall(rf"from ({PACKAGE}[\w.]*) import (\w+)", line)
            if modules:
                module, name = modules[0]
                files = [
                    Path(*m.split(".")).with_suffix(".py") for m in (module, f"{module}.{name}")
                ]
                own = [file for file in files if (SCRIPTS / file).is_file()]
                assert own, line
                found |= set().union(*map(imports_of, imported_sources(*own)))
            else:
                root = re.split(r"[ .,]", line)[1]
                if root not in sys.stdlib_module_names:
                    found.add(DISTRIBUTIONS[root][0].lower())
    return found


def test_pips_route_has_the_same_versions_and_nothing_else():
    expected, pinned = {}, pip_pins("requirements.txt")
    for name in NAMES:
        if not name.endswith("lmms_eval.yaml"):
            for package, version in pip_route(name).items():
                assert expected.setdefault(package, version) == version, name
    assert {package: pinned.get(package) for package in expected} == expected
    assert set(pinned) == set(expected) | workflow_imports()


def test_lmms_eval_has_the_same_versions_on_both_routes():
    pinned = pip_pins("requirements-lmms.txt") | {"torch": pip_pins("requirements.txt")["torch"]}
    for name in ("lmms_eval.yaml", "gpu/lmms_eval.yaml"):
        given = pip_route(name)
        del given["torchvision"]  # not needed with pip
        assert {package: pinned.get(package) for package in given} == given


def test_the_tests_run_with_these_versions():
    pinned = pip_pins("requirements.txt")
    installed = {package: metadata.version(package).partition("+")[0] for package in pinned}
    assert installed == pinned
