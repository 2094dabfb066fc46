import numpy as np
import pytest

from vlselect.core.errors import InputError
from vlselect.core.store import ShardWriter
from vlselect.gradients import fingerprint

ONE = {"type": "sjlt", "size": 100, "dim": 8, "seed": 0, "nonzeros": 3, "probe": "ab"}


def header(rows="0:64", **changes):
    text = fingerprint.encode({**ONE, **changes})
    return {"part": "pool", "rows": rows, "projection": text}


def test_equal_fingerprints_pass_and_are_returned():
    assert fingerprint.require_same([header(), header("64:80")]) == ONE


def test_encoding_does_not_depend_on_the_order_of_keys():
    assert fingerprint.encode(ONE) == fingerprint.encode(dict(reversed(ONE.items())))


@pytest.mark.parametrize("change", [{"seed": 1}, {"type": "normal"}, {"probe": "cd"}])
def test_any_difference_is_refused_and_named(change):
    (key,) = change
    with pytest.raises(ValueError, match=rf"pool\[0:64\] and pool\[64:80\] differ in {key} \("):
        fingerprint.require_same([header(), header("64:80", **change)])


def test_files_are_named_where_their_names_are_given():
    with pytest.raises(ValueError, match=r"a\.x and b\.x differ in dim \(8, 9\), seed \(0, 5\)"):
        fingerprint.require_same([header(), header(dim=9, seed=5)], ["a.x", "b.x"])


def test_a_key_that_only_one_has_is_a_difference():
    with pytest.raises(ValueError, match="implementation"):
        fingerprint.require_same([header(), header(implementation="trak basic on cpu")])


def test_missing_fingerprints_are_refused():
    with pytest.raises(ValueError, match="no projection fingerprint"):
        fingerprint.require_same([header(), {"part": "counting", "rows": "0:5"}])
    with pytest.raises(ValueError, match="no shards"):
        fingerprint.require_same([])


JOB = {"code": "c", "warm_up": "w", "model": "m"}


def finish(path, about):
    """Write a shard of a row."""
    with ShardWriter(path, (1, 8), np.float16, about) as writer:
        writer.write(slice(0, 1), np.ones((1, 8), dtype=np.float16))


@pytest.mark.parametrize(("kind", "cure"), [("rademacher", "on one kind"), ("sjlt", "remove it")])
def test_another_map_of_the_same_job_is_refused_before_work_begins(tmp_path, kind, cure):
    """As fast_jl's on another kind of GPU: everything is the same but what the map does."""
    one = ONE | {"type": kind}
    first, second = (tmp_path / f"shard-{i}-of-2.safetensors" for i in (1, 2))
    finish(first, header("0:1", type=kind) | JOB)
    fingerprint.require_like_finished(second, JOB | {"projection": fingerprint.encode(one)})
    other = JOB | {"projection": fingerprint.encode(one | {"probe": "cd"})}
    with pytest.raises(InputError, match=rf"shard-1-of-2.* was projected by another map.*{cure}"):
        fingerprint.require_like_finished(second, other)
    fingerprint.require_like_finished(first, other)  # which it replaces


@pytest.mark.parametrize("change", [{"code": "d"}, {"warm_up": "v"}, {"model": "n"}])
def test_shards_that_will_be_replaced_do_not_count(tmp_path, change):
    finish(tmp_path / "shard-1-of-2.safetensors", header("0:1") | JOB | change)
    other = JOB | {"projection": fingerprint.encode(ONE | {"probe": "cd"})}
    fingerprint.require_like_finished(tmp_path / "shard-2-of-2.safetensors", other)


def test_shards_of_other_settings_will_be_replaced(tmp_path):
    finish(tmp_path / "shard-1-of-2.safetensors", header("0:1", seed=1, probe="cd") | JOB)
    own = JOB | {"projection": fingerprint.encode(ONE)}
    fingerprint.require_like_finished(tmp_path / "shard-2-of-2.safetensors", own)
