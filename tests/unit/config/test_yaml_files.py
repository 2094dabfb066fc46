"""YAML is read to the letter: no key twice, none that is something else than it looks like."""

import pytest
from running import ROOT

from vlselect.config.checks import ConfigError
from vlselect.config.yaml_files import read_yaml

MERGED = """
usual: &usual {batch_size: 16, dtype: float32}
other: {<<: *usual, dtype: bfloat16}
both: [*usual, *usual]
"""


@pytest.fixture
def file(tmp_path):
    """A function that writes a file and returns its path."""

    def write(text, name="config.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("run: a\nseeds: [0]\nrun: b\n", "run", (3, 1)),
        ("models:\n  target: {path: a}\n  'target': {path: b}\n", "target", (3, 2)),
        ("x: [1, {a: 1,\n b: 2,\n a: 1}]", "a", (3, 1)),
        ("a: &a {x: 1}\nb: {<<: *a, <<: *a}", "<<", (2, 2)),
        ('{"run": "a",\n\t"run": "a"}', "run", (2, 1)),
    ],
    ids=["top", "quoted", "in a list", "merge", "json"],
)
def test_a_key_that_is_there_twice_is_refused(file, text, key, lines):
    path = file(text)
    with pytest.raises(ConfigError) as error:
        read_yaml(path)
    second, first = lines
    assert str(error.value).startswith(f"{path}: line {second}: the key {key!r} is in line {first}")


@pytest.mark.parametrize("key", ["yes", "No", "on", "off", "true", "null", "2017", "0x1"])
def test_a_key_that_is_no_text_to_yaml_is_refused(file, key):
    read_yaml(file(f'"{key}": 1\n'))
    path = file(f"tasks:\n  {key}: {{test: t.json}}\n")
    with pytest.raises(ConfigError, match=f'line 2: .* YAML reads {key} as .*: "{key}"$') as error:
        read_yaml(path)
    assert str(path) in str(error.value)


def test_all_such_keys_of_a_file_are_named(file):
    path = file("run: a\nrun: b\ntasks:\n  yes: {test: a}\n  no: {test: b, test: c}\n")
    with pytest.raises(ConfigError) as error:
        read_yaml(path)
    lines = str(error.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        *([str(path), f"line {number}"] for number in (2, 4, 5, 5)),
    ]


def test_what_is_merged_or_named_twice_by_an_alias_is_no_second_key(file):
    read = read_yaml(file(MERGED))
    assert read["other"] == {"batch_size": 16, "dtype": "bfloat16"}
    assert read["both"] == [read["usual"]] * 2


@pytest.mark.parametrize("text", ["a: [1", "a:\t- 1", "a: !!python/name:os.system x"])
def test_what_is_no_safe_yaml_is_refused(file, text):
    path = file(text)
    with pytest.raises(ConfigError, match=str(path)):
        read_yaml(path)


def test_a_json_file_with_tabs_is_read(file):
    assert read_yaml(file('{\n\t"run": "a"\n}')) == {"run": "a"}


def test_a_file_in_another_encoding_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes("run: ä".encode("latin-1"))
    with pytest.raises(ConfigError, match=str(path)):
        read_yaml(path)


@pytest.mark.parametrize("folder", ["configs", "docs", "envs", "profiles", "rules", "tests"])
def test_our_own_files_can_be_read(folder):
    paths = list((ROOT / folder).rglob("*.yaml"))
    assert paths or folder == "docs"
    for path in paths:
        read_yaml(path)


LEVELS = zip("abcdefghi", "bcdefghij", strict=True)
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]\n" for last, name in LEVELS
)
BOMBS = {
    "anchors": (LAUGHS, "aliases make more than 100000"),
    "itself": ("a: &a [*a]", "an alias of what it is in"),
    "itself, deeper": ("a: &a {b: [{c: *a}]}", "an alias of what it is in"),
    "itself, merged": ("a: &a\n  <<: *a", "an alias of what it is in"),
    "lists": ("a: " + "[" * 100_000 + "]" * 100_000, "line 1: .*nested"),
    "mappings": ("\n".join("  " * i + "k:" for i in range(2000)), "line 6[45]: .*nested"),
    "date": ("run: 2020-99-99", "month"),
    "offset": ("run: 2020-01-01T00:00:00+99:99", "offset"),
    "integer": ("run: " + "9" * 5000, "digits"),
    "code": ("run: !!python/object/apply:os.system [ls]", "constructor"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_no_config_holds_is_refused(file, name):
    text, problem = BOMBS[name]
    with pytest.raises(ConfigError, match=rf"config\.yaml: .*{problem}"):
        read_yaml(file(text))
