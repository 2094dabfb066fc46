"""Locations of records: which files they mean, in which order."""

import json

import pytest
from record_forms import write_saved

from vlselect.config.record_files import (
    by_part,
    image_location,
    is_table,
    record_files,
    record_folder,
)
from vlselect.core.errors import InputError

ROWS = [{"id": i, "images": []} for i in range(4)]


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_file_is_itself_whether_it_is_there_or_not(tmp_path):
    for name in ("x.json", "no/such.parquet"):
        assert record_files(tmp_path / name) == [str(tmp_path / name)]


def test_patterns_and_folders_are_sorted(tmp_path):
    touch(tmp_path, "b.parquet", "a.parquet", "c.json", "d/e.parquet", "d.jsonl")
    expected = [str(tmp_path / name) for name in ("a.parquet", "b.parquet")]
    assert record_files(tmp_path) == record_files(tmp_path / "*.parquet") == expected
    assert record_files(tmp_path / "**/*.parquet") == [*expected, str(tmp_path / "d/e.parquet")]
    assert record_files(str(tmp_path / "?.json*")) == [
        str(tmp_path / name) for name in ("c.json", "d.jsonl")
    ]
    assert image_location(tmp_path) == str(tmp_path / "*.parquet")
    with pytest.raises(ValueError, match="both tables and other files"):
        record_files(tmp_path / "*.*")


def test_a_file_whose_name_is_a_pattern(tmp_path):
    touch(tmp_path, "x[1].json")
    assert record_files(tmp_path / "x[1].json") == [str(tmp_path / "x[1].json")]


def test_a_saved_dataset_lists_its_files(tmp_path):
    folder = write_saved(ROWS, tmp_path / "set")
    assert record_files(folder) == [str(folder / f"data-0000{i}-of-00002.arrow") for i in range(2)]
    assert is_table(folder) and image_location(folder) == str(folder)
    state = json.loads((folder / "state.json").read_text())
    chosen = state | {"_indices_data_files": [{"filename": "indices.arrow"}]}
    (folder / "state.json").write_text(json.dumps(chosen))
    with pytest.raises(ValueError, match="flatten_indices"):
        record_files(folder)


@pytest.mark.parametrize("name", ["state.json", "dataset_dict.json"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("version https://git-lfs.github.com/spec/v1", "is broken; copy it again"),
        ("[]", "is broken; copy it again"),
        ("[" * 100_000, "is broken; copy it again"),
        ("{}", "was not written by save_to_disk"),
        ('{"_data_files": "a.arrow", "splits": {"train": 1}}', "was not written by save_to_disk"),
    ],
)
def test_a_saved_dataset_that_is_not_whole_is_named(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"{name} .*{expected}"):
        record_files(tmp_path)


def test_splits_of_a_saved_dataset(tmp_path):
    train = write_saved(ROWS, tmp_path / "train")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    assert record_files(tmp_path) == record_files(train)
    assert image_location(tmp_path) == str(tmp_path)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(ValueError, match="splits train, test"):
        record_files(tmp_path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.arrow", "a/../../x.arrow", "..", ".", "", 3])
def test_a_saved_dataset_has_nothing_outside_its_folder(tmp_path, name):
    for file, content in {
        "state.json": {"_data_files": [{"filename": "x.arrow"}, {"filename": name}]},
        "dataset_dict.json": {"splits": [name]},
    }.items():
        (tmp_path / file).write_text(json.dumps(content))
        with pytest.raises(InputError, match=f"{file} lists {name!r}, which is nothing in its"):
            record_files(tmp_path)


def test_a_saved_dataset_without_a_choice_of_rows_may_say_so(tmp_path):
    folder = write_saved(ROWS, tmp_path / "set")
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | {"_indices_data_files": None}))
    assert len(record_files(folder)) == 2


@pytest.mark.parametrize("name", ["", "*.json"])
def test_nothing_there_is_an_error(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="no file of records"):
        record_files(tmp_path / name)


def test_suffixes_tell_tables():
    assert is_table("x.parquet") and is_table("x/*.arrow")
    assert not is_table("x.json") and not is_table("x.jsonl") and not is_table("x")


def test_parts():
    assert by_part(["a=x", "b-1=y=z"]) == {"a": "x", "b-1": "y=z"}
    assert by_part(["x/a=b"]) == {None: "x/a=b"} and by_part([]) == {}
    with pytest.raises(ValueError, match="a is given twice"):
        by_part(["a=x", "a=y"])
    with pytest.raises(ValueError, match="names no part"):
        by_part(["a=x", "./y"])


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (("a.json", "b.json"), r"JSON files are named by a pattern: \S+/set/\*\.json$"),
        (("a.jsonl.gz", "images/1.png"), r"a pattern: \S+/set/\*\.jsonl\.gz$"),
        (("train/a.json", "test/b.json"), r"a pattern: \S+/set/\*/\*\.json$"),
        (("data/a.parquet", "readme.md"), r"tables in \S+/set/data: \S+/set/\*/\*\.parquet$"),
        (("a/b/c.arrow",), r"tables in \S+/set/a/b: \S+/set/\*/\*/\*\.arrow$"),
        (("a.zip",), r"; unpack \S+/set/a\.zip$"),
        (("1.png", "readme.md"), "$"),
    ],
)
def test_a_folder_without_tables_says_what_to_write(tmp_path, names, advice):
    touch(tmp_path / "set", *names)
    with pytest.raises(FileNotFoundError, match=f"no file of records there.*{advice}"):
        record_files(tmp_path / "set")


def test_a_pattern_that_means_a_folder_says_what_to_write(tmp_path):
    touch(tmp_path, "set/a/x.json", "set/b/x.json")
    with pytest.raises(ValueError, match=r"set/a too; JSON files .* pattern: \S+/set/a/\*\.json$"):
        record_files(tmp_path / "set/*")


def test_the_folder_of_records(tmp_path):
    touch(tmp_path, "a/x.json", "a/y.json", "b/x.json")
    (tmp_path / "link").symlink_to("a")
    for location in ("a/x.json", "a/?.json", "link/*.json", "a/none.json"):
        assert record_folder(tmp_path / location) == str(tmp_path / "a")
    assert record_folder(tmp_path / "?/x.json") is None
