import pytest

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
