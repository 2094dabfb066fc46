"""A trial: what becomes of the config, and which records are taken."""

import copy
import json
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import yaml
from config_defaults import FINETUNE, GOOD, SCHEMA

from vlselect.config import trial
from vlselect.config.checks import ConfigError, check
from vlselect.pool.records import parse_record
from vlselect.pool.trial_choice import choose, places, seats

ROOT = Path(__file__).resolve().parents[3]
PARSE = partial(parse_record, source_key="task")


def records(counts, broken=0):
    """Records of these sources, then broken ones, as JSON texts."""
    turns = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]
    named = [(f"{s}-{i}", s) for s, n in counts.items() for i in range(n)]
    good = [{"id": name, "task": source, "conversations": turns} for name, source in named]
    return [json.dumps(r) for r in [*good, *({"id": f"bad-{i}"} for i in range(broken))]]


def taken(texts, n):
    """Texts that a trial of n takes, in their order."""
    found, read = choose(places(enumerate(texts), PARSE), lambda _: n)
    assert read == len(texts)
    return [text for i, text in enumerate(texts) if (None, i) in found]


def test_every_source_has_its_share_and_one_at_least():
    assert seats({"a": 600, "b": 300, "c": 100}, 10) == {"a": 6, "b": 3, "c": 1}
    assert seats({"a": 997, "b": 2, "c": 1}, 10) == {"a": 8, "b": 1, "c": 1}
    assert seats({"a": 5, "b": 4}, 100) == {"a": 5, "b": 4}
    assert sum(seats({str(i): 1 for i in range(20)}, 7).values()) == 7
    assert seats({"a": 900, "b": 99, None: 1}, 10) == {"a": 9, "b": 1, None: 0}
    assert seats({"a": 500, None: 500}, 10) == {"a": 5, None: 5}


def test_the_choice_knows_no_order_of_records():
    texts = records({"x": 70, "y": 20, "z": 9}, broken=11)
    chosen = taken(texts, 20)
    assert len(chosen) == 20 and sorted(taken(texts[::-1], 20)) == sorted(chosen)
    sources = Counter(json.loads(text).get("task") for text in chosen)
    assert sources == {"x": 13, "y": 4, "z": 1, None: 2}  # y and z had equal remainders
    assert taken(texts, 200) == texts


def complete(tmp_path, **changes):
    """GOOD with all defaults, whose pool has 1,000 records."""
    config = copy.deepcopy(GOOD) | {"run": "big", "trial": 100} | changes
    path = tmp_path / "records.jsonl"
    path.write_text("".join(f'{{"id": {i}}}\n' for i in range(1000)))
    config["pool"] = {"records": str(path), "images": "images", "shards": 64}
    check(config, SCHEMA)
    for experiment in config["experiments"].values():
        experiment |= {"seeds": [4, 5], "samples": [300, 302, 1], "ratios": [0.2], "tokens": [9999]}
    return config


def test_numbers_are_scaled_and_ratios_are_not(tmp_path):
    bounds = {
        "keep": "ids.txt",
        "minimum": {"a": 25, "b": 0.5},
        "maximum": {"a": 25},
        "quota": {"c": 26},
    }
    config = complete(tmp_path, constraints=bounds)
    assert trial.begin(config, SCHEMA) == 0.1
    assert config["run"] == "big-trial-100" and trial.origin(config) == "big"
    main = config["experiments"]["main"]
    assert main["samples"] == [30, 1] and main["tokens"] == [1000] and main["ratios"] == [0.2]
    assert main["seeds"] == [4] and config["pool"]["shards"] == 1
    assert config["constraints"]["minimum"] == {"a": 2, "b": 0.5}
    assert config["constraints"]["maximum"] == {"a": 3}
    assert config["constraints"]["quota"] == {"c": 3} and config["constraints"]["keep"] == "ids.txt"
    assert config["constraints"]["duplicates"] is None and config["finetune"] == FINETUNE
    assert trial.task_share(0.01) == 0.1 and trial.task_share(0.5) == 1


def test_no_trial_changes_nothing(tmp_path):
    config = complete(tmp_path, trial=None)
    before = copy.deepcopy(config)
    assert trial.begin(config, SCHEMA) == 1 and config == before
    assert trial.origin(config) == "big"


def test_a_trial_of_all_and_more_is_the_whole_pool(tmp_path):
    config = complete(tmp_path, trial=5000)
    assert trial.begin(config, SCHEMA) == 1
    assert config["experiments"]["main"]["samples"] == [300, 302, 1]


def test_finished_files_and_missing_records_are_told(tmp_path):
    for key, value in (("given", ["pool"]), ("cached", True)):
        with pytest.raises(ConfigError, match=f"finished files .{key}"):
            trial.begin(complete(tmp_path, **{key: value}), SCHEMA)
    config = complete(tmp_path)
    path = Path(config["pool"]["records"])
    path.write_text("[{} {}]")
    with pytest.raises(ConfigError, match=r"trial: .*records.jsonl, byte 4: expected ','"):
        trial.begin(config, SCHEMA)
    path.unlink()
    with pytest.raises(ConfigError, match=r"records.jsonl is not there"):
        trial.begin(config, SCHEMA)


def test_the_demo_says_how_many_records_it_will_make(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert trial.count_records(demo) == 4500


def test_rows_of_tables_are_counted_without_being_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"id": list(range(70))})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=32)
    with pa.ipc.new_stream(str(tmp_path / "b.arrow"), table.schema) as out:
        out.write_table(table, max_chunksize=9)
    for name in ("a.parquet", "b.arrow"):
        assert trial.count_records({"pool": {"records": str(tmp_path / name)}}) == 70


def test_blocks_are_those_of_the_shards():
    from vlselect.core.shard_files import BLOCK

    assert trial.BLOCK == BLOCK


def test_a_methods_numbers_are_scaled_where_its_declaration_says_so():
    schema = {"properties": {"n_clusters": {"trial": "nearest"}, "iterations": {}}}
    for given, scaled in ((100, 10), (3, 1), (None, None)):
        value = {"n_clusters": given, "iterations": 50}
        trial.scale(value, schema, 0.1)
        assert value == {"n_clusters": scaled, "iterations": 50}
