"""What the config says of records and images: parts, flags, files, and what is wrong."""

import pytest

from vlselect.config.checks import ConfigError
from vlselect.config.data_files import (
    check_data,
    check_files,
    flag_values,
    pool_files,
    task_files,
    task_images,
)

PLAIN = {"records": "pool.json", "images": "images", "source_key": None}
MIXTURE = {
    "source_key": "task",
    "sources": {
        "coco": {"records": "coco.json", "images": "coco.tar", "source_key": "kind"},
        "charts": {"records": "charts.parquet"},
    },
}


def config(pool, **tasks):
    return {"pool": pool, "tasks": tasks}


def test_a_plain_pool():
    assert flag_values(PLAIN, "records") == ["pool.json"]
    assert flag_values(PLAIN, "images") == ["images"]
    assert flag_values(PLAIN, "source_key") == []
    assert pool_files(PLAIN) == ["pool.json"]
    check_data(config(PLAIN, a={"test": "t.json"}))
    check_data(config({"records": "pool.parquet"}))


def test_a_path_that_looks_like_a_part():
    pool = {"records": "year=2024/x.parquet"}
    assert flag_values(pool, "records") == flag_values(pool, "images") == ["./year=2024/x.parquet"]


def test_a_mixture():
    assert flag_values(MIXTURE, "records") == ["coco=coco.json", "charts=charts.parquet"]
    assert flag_values(MIXTURE, "images") == ["coco=coco.tar", "charts=charts.parquet"]
    assert flag_values(MIXTURE, "source_key") == ["coco=kind", "charts=task"]
    own = {"id_key": "id", "sources": {"m4": {"records": "x.json", "id_key": "sample_id"}}}
    assert flag_values(own, "id_key") == ["m4=sample_id"]
    assert flag_values(own | {"sources": {"m4": {"records": "x"}}}, "id_key") == ["m4=id"]
    assert pool_files(MIXTURE) == ["coco.json", "charts.parquet"]
    check_data(config(MIXTURE, a={"test": "t.json", "images": "i"}, b={"test": "t.parquet"}))


def test_folders_are_expanded(tmp_path):
    for name in ("b.parquet", "a.parquet"):
        (tmp_path / name).touch()
    pool = {"records": str(tmp_path)}
    assert pool_files(pool) == [str(tmp_path / name) for name in ("a.parquet", "b.parquet")]
    assert flag_values(pool, "images") == [str(tmp_path / "*.parquet")]
    assert task_files({"test": str(tmp_path)}, "test") == pool_files(pool)
    assert task_files({"test": str(tmp_path)}, "validation") == []


@pytest.mark.parametrize(
    ("task", "pool", "expected"),
    [
        ({"test": "t.json"}, PLAIN, "images"),
        ({"test": "t.json", "images": "own"}, PLAIN, "own"),
        ({"test": "t.parquet"}, PLAIN, "t.parquet"),
        ({"test": "t.parquet", "images": "own"}, MIXTURE, "own"),
    ],
)
def test_images_of_a_task(task, pool, expected):
    assert task_images(config(pool, a=task), "a", "test") == expected


@pytest.mark.parametrize(
    ("pool", "task", "message"),
    [
        ({"records": "x.json"}, {}, "pool.images: missing"),
        ({"records": "no/*.parquet"}, {}, "pool.records: no/.* no file of records"),
        ({"sources": {"a": {"records": "x.json"}}}, {}, r"pool.sources.a.images: missing"),
        (MIXTURE | {"images": "x"}, {}, "pool: `records` and `images` belong"),
        (MIXTURE, {"test": "x.json"}, "tasks.t.images: missing"),
        (PLAIN, {"validation": "no/*.json"}, "tasks.t.validation: no/"),
    ],
)
def test_what_is_wrong_is_named(pool, task, message):
    with pytest.raises(ConfigError, match=message):
        check_data(config(pool, t=task))


def test_bounds_name_parts_of_the_mixture():
    sources = {"coco": {"records": "coco.parquet"}, "charts": {"records": "charts.parquet"}}
    bounds = {"quota": {"cocoa": 0.5}, "minimum": {"charts": 3}}
    message = r"constraints.quota: no source 'cocoa'; there are coco, charts"
    with pytest.raises(ConfigError, match=message):
        check_data({**config({"sources": sources}), "constraints": bounds})
    keyed = {"sources": sources, "source_key": "task"}  # known only when the records are read
    check_data({**config(keyed), "constraints": bounds})


FILES = {
    "pool.records": "pool.json",
    "pool.exclude": "bad.txt",
    "tasks.t.test": "t.json",
    "tasks.t.validation": "v.json",
    "constraints.keep": "keep.txt",
}


def with_files(**changes):
    """Return a config that names all of FILES."""
    constraints = {"keep": "keep.txt", "exclude": None}
    own = {"run": "mine", "given": [], "constraints": constraints}
    pool = changes.pop("pool", PLAIN) | {"exclude": "bad.txt"}
    return config(pool, t={"test": "t.json", "validation": "v.json"}) | own | changes


@pytest.fixture
def present(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in FILES.values():
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("key", FILES)
def test_a_file_that_is_not_there_is_named_with_its_key(present, key):
    check_files(with_files())
    (present / FILES[key]).unlink()
    with pytest.raises(ConfigError, match=f"^{key}: no file {FILES[key]} in {present}$"):
        check_files(with_files())


def test_files_of_given_stages_and_of_the_run_itself_need_not_be_there(present):
    for key in ("pool.records", "tasks.t.test"):
        (present / FILES[key]).unlink()
    check_files(with_files(given=["pool", "tasks"]))
    made = {"records": "results/mine/raw/mixture.json", "images": "images"}
    check_files(with_files(pool=made, tasks={}))
    with pytest.raises(ConfigError, match="pool.records"):
        check_files(with_files(pool=made, tasks={}, run="other"))


def test_every_missing_part_of_a_mixture_is_named(present):
    (present / "charts.parquet").touch()
    with pytest.raises(ConfigError, match=r"^pool.sources.coco.records: no file coco.json in \S+$"):
        check_files(with_files(pool=MIXTURE))
