"""Whatever a file of records holds: hypothesis draws it, and shrinks what fails."""

import gzip
import json
from functools import partial
from xml.etree.ElementTree import fromstring
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlselect.core.json_stream import read_records
from vlselect.core.store import as_cell, from_cell
from vlselect.pool.image_roots import ImageRoots
from vlselect.pool.records import Rejection, parse_record, parse_task_record, sample_name
from vlselect.pool.rejection import ImageError
from vlselect.pool.samples import Samples, SamplesWriter

# The same draws in every run; a fixture's folder is the same for all of them.
alike = settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["<image>", "<image>\nWhat?", "human", "gpt", "user", "", "a/b.png", "=1"]),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
KEYS = st.sampled_from(
    ["id", "image", "images", "conversations", "messages", "texts", "from", "value", "role"]
    + ["content", "type", "text", "path", "url", "user", "assistant", "answer", "answers", "bytes"]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXTS, inner, max_size=4),
    max_leaves=12,
)
ROLES = st.sampled_from(["human", "gpt", "user", "assistant", "system"])
TURNS = st.fixed_dictionaries({"from": ROLES, "value": TEXTS}) | st.fixed_dictionaries(
    {"role": ROLES, "content": TEXTS}
)
RECORDS = st.dictionaries(KEYS, VALUES, max_size=5) | st.fixed_dictionaries(
    {"conversations": st.lists(TURNS, max_size=4)},
    optional={"id": TEXTS | st.integers(), "image": TEXTS | st.lists(TEXTS, max_size=2)},
)


def parsed(raw, parse=parse_record):
    """Return the record, or None if it is rejected."""
    try:
        return parse(raw)
    except Rejection as rejection:
        assert rejection.reason.isidentifier() and len(rejection.detail) < 5000
        return None


@alike
@given(VALUES | RECORDS)
def test_a_value_is_a_whole_record_or_rejected(value):
    raw = json.dumps(value)
    for parse in (parse_record, parse_task_record):
        if record := parsed(raw, parse):
            roles = [turn.role for turn in record.turns if turn.role != "system"]
            assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
            assert sum(t.text.count("<image>") for t in record.turns) == len(record.images)
            assert record.sample_id.strip()
    assert isinstance(sample_name(raw), str)


@alike
@given(st.text(max_size=4), st.text(max_size=4))
def test_ids_and_sources_can_stand_in_xml(name, source):
    turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    raw = json.dumps({"id": name, "task": source, "conversations": turns})
    if record := parsed(raw, partial(parse_record, source_key="task")):
        for text in (record.sample_id, record.source):
            assert fromstring(f"<a>{escape(text)}</a>").text == text


@alike
@given(st.lists(RECORDS, max_size=4))
def test_accepted_records_come_back_from_the_table_as_they_were(tmp_path, values):
    texts = [json.dumps(value) for value in values]
    kept = [(record, raw) for raw in texts if (record := parsed(raw))]
    path = tmp_path / "samples.parquet"
    with SamplesWriter(path) as writer:
        for record, raw in kept:
            writer.write(record, raw)
    samples = Samples(path)
    assert samples.records(range(len(samples))) == [record for record, _ in kept]
    assert list(samples.raw(range(len(samples)))) == [raw for _, raw in kept]


@alike
@given(
    st.lists(RECORDS, min_size=1, max_size=4),
    st.sampled_from([None, 0, 1, "\t"]),
    st.booleans(),
    st.booleans(),
)
def test_a_list_or_lines_give_each_record_once(tmp_path, values, indent, lines, compressed):
    ascii_only = indent == 1
    if lines:
        texts = [json.dumps(value, ensure_ascii=ascii_only) for value in values]
        whole = ("\n\n" if indent == 0 else "\n").join(texts)
    else:
        whole = json.dumps(values, indent=indent, ensure_ascii=ascii_only)
    content = whole.encode("utf-8", "surrogatepass")
    path = tmp_path / "records"
    path.write_bytes(gzip.compress(content, 1) if compressed else content)
    found = list(read_records(path))
    assert [position for position, _ in found] == list(range(len(values)))
    assert [repr(json.loads(raw)) for _, raw in found] == [repr(value) for value in values]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images beside a secret, with links inside, to the secret, and around in a circle."""
    base = tmp_path_factory.mktemp("base")
    (base / "images/a").mkdir(parents=True)
    for name in ("images/1.png", "images/a/2.png", "secret.png"):
        (base / name).touch()
    for name, target in {
        "in": "a",
        "out": "..",
        "a/round": "../a",
        "up.png": "../secret.png",
    }.items():
        (base / "images" / name).symlink_to(target)
    return base / "images"


STEPS = ["..", ".", "", "a", "in", "out", "round", "1.png", "2.png", "up.png", "secret.png", "~"]
STEPS += ["%2e%2e", "images", "\0", "..\\", " ", "file:", "FILE://localhost", "proc", "self", "/"]


@alike
@given(st.lists(st.sampled_from(STEPS), max_size=8), st.booleans())
def test_no_path_leads_out_of_the_images(folder, steps, absolute):
    name = "/".join([str(folder) if absolute else ".", *steps])
    try:
        found = ImageRoots({None: folder}, None).path(name)
    except ImageError as error:
        assert error.reason in ("missing_image", "image_outside_root")
        return
    assert found.resolve().is_relative_to(folder.resolve()) and found.is_file()


@alike
@given(st.text() | st.text("'=+-@\t\ra", max_size=4))
def test_a_cell_is_no_formula_and_is_read_as_it_was(text):
    cell = as_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert from_cell(cell) == text
