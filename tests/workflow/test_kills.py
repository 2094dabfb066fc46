"""A short part of `make test-faults`: killed runs end like the undisturbed one."""

import sys

import kill_faults
import pytest
from whole_run import WholeRun

TARGETS = ["results/kills/features/target/checked/shard-1-of-2.parquet"]  # the pool and a pass
RULES = {"prepare_pool", "accept_pool", "check_samples"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return WholeRun(tmp_path_factory.mktemp("kills") / "runs", TARGETS)


@pytest.fixture(scope="module")
def trials(whole):
    return kill_faults.Killed(whole, 0)


def test_kills_at_random_moments_change_nothing(whole):
    tally = kill_faults.killed(whole, 0, 2)
    assert tally.kills == 2 and not tally.fell, tally.lines()


def test_kills_inside_writing_change_nothing(trials):
    tally = kill_faults.Tally()
    trials.in_every_rule(kill_faults.WRITING, tally)
    assert set(tally.rules) == RULES and tally.kills >= 2 * len(RULES)
    assert not tally.fell, tally.lines()


def test_a_job_without_memory_is_tried_again_with_twice_as_much_and_says_what_helps(trials):
    tally = kill_faults.Tally()
    trials.in_every_rule(kill_faults.MEMORY, tally)
    assert "check_samples" in tally.rules and not tally.fell, tally.lines()
