"""Every key of the config, changed in turn: just the jobs that it decides are done again.

The keys come from the schema and the methods' declarations. Each has its place in key_chains.py,
which says what a change of it reaches first; a new key without one fails. Each change is remembered
as done, so that what one left undone, or would do once more, is found at the next.
"""

import copy
import functools
import re
from collections.abc import Iterator, Mapping

import jsonschema
import pytest
from config_defaults import SCHEMA, declared
from key_chains import BASE, CHAINS, FIXED
from key_values import VALUES
from remembered_run import RememberedRun
from running import ROOT

METHODS = sorted(path.stem for path in (ROOT / "rules/methods").glob("*.smk"))
NAMED = re.compile(r"^(tasks|models|experiments|pool\.sources)\.\w+")


def keys(schema: Mapping, before: str = "") -> Iterator[tuple[str, Mapping]]:
    """Yield the path and the schema of every key that is a value; of named things, with <name>."""
    for key, child in schema["properties"].items():
        named = child.get("additionalProperties") or {}
        if "properties" in child:
            yield from keys(child, f"{before}{key}.")
        elif "properties" in named:
            yield from keys(named, f"{before}{key}.<name>.")
        elif key == "methods" and not before:
            for method in METHODS:
                yield from keys({"properties": declared(method)}, f"methods.{method}.")
        else:
            yield f"{before}{key}", child


KEYS = dict(keys(SCHEMA))


def general(path: str) -> str:
    """Return the path of a key in the schema: names of the config's own are <name>."""
    return NAMED.sub(r"\1.<name>", path)


def another(path: str, old: object) -> object:
    """Return another value that the schema allows for a key."""
    if path in VALUES:
        return VALUES[path]
    schema = KEYS[general(path)]
    old = schema.get("default") if old is None else old
    numbers = [old * 2, old + 1, old // 2, old / 2] if isinstance(old, int | float) else [1, 2]
    texts = [f"{old}-other", "other"]
    for value in (*schema.get("enum", ()), not old, *numbers, *texts):
        fits = jsonschema.Draft202012Validator(schema).is_valid(value)
        if fits and value != old and not (isinstance(value, bool) and "type" not in schema):
            return value
    raise AssertionError(f"{path}: no value but {old!r} is known; add one to VALUES")


def changed(config: Mapping, path: str) -> dict:
    """Return the config with another value for one key."""
    config = copy.deepcopy(config)
    *parents, last = path.split(".")
    section = config
    for key in parents:
        section = section.setdefault(key, {})
    section[last] = another(path, section.get(last))
    return config


STEPS = [
    (chain, path, reached)
    for chain, (lines, *_) in CHAINS.items()
    for reached, paths in lines
    for path in paths.split()
]


@pytest.fixture(scope="module")
def works(tmp_path_factory):
    """A function: what Snakemake would do after each change of a chain, and ("") once more."""

    @functools.cache
    def follow(chain):
        lines, sections, targets = CHAINS[chain]
        run, config, found = (
            RememberedRun(tmp_path_factory.mktemp("remembered")),
            BASE | sections,
            {},
        )
        made = run.run(config, targets)
        assert made.count == made.total and not run.run(config, targets).count
        for path in (path for _, paths in lines for path in paths.split()):
            config = changed(config, path)
            found[path] = run.run(config, targets)
        return found | {"": run.run(config, targets)}

    return follow


def test_every_key_has_its_place():
    named = [general(path) for _, path, _ in STEPS]
    assert FIXED.isdisjoint(named)
    assert set(named) | FIXED == set(KEYS)


@pytest.mark.parametrize(("chain", "path", "reached"), STEPS)
def test_a_changed_key_reaches_what_it_decides(works, chain, path, reached):
    work = works(chain)[path]
    if reached == "*":
        assert work.count == work.total
        return
    assert work.rules == set(reached.split())
    for section, kind in (("tasks", "task"), ("models", "model")):
        if path.startswith(f"{section}."):  # of jobs for one of them, only those for the changed
            name = path.split(".")[1]
            shared = ("check_samples", "list_refused")  # by models with the same processor
            own = [dict(wildcards) for rule, wildcards in work.first if rule not in shared]
            assert {wildcards.get(kind, name) for wildcards in own} <= {name}


@pytest.mark.parametrize("chain", CHAINS)
def test_one_more_run_finds_nothing_to_do(works, chain):
    assert works(chain)[""].count == 0
