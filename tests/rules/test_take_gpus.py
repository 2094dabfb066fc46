"""Jobs that run at the same time never share a GPU, and all GPUs are used."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import take_gpus

SCRIPT = Path(take_gpus.__file__)
STAMPS = """
import os, sys, time
begin = time.monotonic()
time.sleep(0.4)
print(os.environ.get("CUDA_VISIBLE_DEVICES"), begin, time.monotonic())
"""


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Variables of jobs on a machine with GPUs 3 and 5; locks are in the test's folder."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return {**os.environ, "TMPDIR": str(tmp_path), "VLSELECT_GPUS": "3,5"}


def start(environment, number, *command):
    """Start a command on so many GPUs."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(number), *(command or (sys.executable, "-c", STAMPS))],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def stamps(processes):
    """Return (devices, begin, end) of each process."""
    rows = [process.communicate(timeout=60)[0].split() for process in processes]
    return [(set(devices.split(",")), float(begin), float(end)) for devices, begin, end in rows]


def overlap(one, other):
    """Return whether two were at work at the same time."""
    return max(one[1], other[1]) < min(one[2], other[2])


def test_two_are_at_work_at_once_and_none_share(environment):
    rows = stamps([start(environment, 1) for _ in range(5)])
    assert set.union(*(devices for devices, *_ in rows)) == {"3", "5"}
    pairs = [(a, b) for a, b in itertools.combinations(rows, 2) if overlap(a, b)]
    assert pairs and all(not a[0] & b[0] for a, b in pairs)


def test_a_job_of_two_has_both_to_itself(environment):
    rows = stamps([start(environment, number) for number in (2, 1, 2, 1)])
    assert sorted(len(devices) for devices, *_ in rows) == [1, 1, 2, 2]
    for a, b in itertools.combinations(rows, 2):
        assert not (overlap(a, b) and a[0] & b[0])


def test_a_killed_job_leaves_its_gpu(environment):
    alone = {**environment, "VLSELECT_GPUS": "3"}
    held = start(alone, 1, "sleep", "60")
    assert held.stderr.readline() == "GPUs: 3\n"
    waiting = start(alone, 1)
    assert waiting.stderr.readline() == "waiting for 1 of the GPUs 3\n"
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=1.5)
    held.send_signal(signal.SIGKILL)
    ((devices, *_),) = stamps([waiting])
    assert devices == {"3"}
    held.communicate()


def test_what_is_asked_for_and_not_there_is_an_error(environment):
    process = start(environment, 3)
    assert "3 GPUs are needed, and there are 2: 3, 5" in process.communicate(timeout=60)[1]
    assert process.returncode == 1


def test_a_cluster_assigns_gpus_itself(environment):
    process = start({**environment, "VLSELECT_GPUS": ""}, 1)
    assert process.communicate(timeout=60)[0].split()[0] == "None"


def test_a_job_that_may_have_none_sees_none(environment):
    """With --resources gpu=0, a model whose device is `auto` runs on the CPU."""
    code = "import os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    process = start(environment, 0, sys.executable, "-c", code)
    assert process.communicate(timeout=60)[0] == "''\n"


def test_a_device_that_the_command_names_is_locked_and_keeps_its_number(environment):
    command = (sys.executable, "-c", STAMPS, "--device", "cuda:1")
    rows = [process.communicate(timeout=60) for process in [start(environment, 1, *command)]]
    assert rows[0][0].split()[0] == "None" and rows[0][1] == "GPUs: 5\n"


def test_a_name_with_slashes_is_a_name(environment):
    """Older drivers name parts of a GPU so: MIG-GPU-<uuid>/<instance>/<instance>."""
    names = "MIG-GPU-5ebe/1/0,MIG-GPU-5ebe/2/0"
    rows = stamps([start({**environment, "VLSELECT_GPUS": names}, 1) for _ in range(2)])
    assert {name for devices, *_ in rows for name in devices} == set(names.split(","))


@pytest.mark.parametrize("kind", ["link", "dangling", "file", "another's"])
def test_locks_lie_in_a_folder_of_the_users_own(environment, tmp_path, kind):
    place = tmp_path / f"vlselect-gpus-{os.getuid()}"
    if kind in ("link", "dangling"):
        place.symlink_to(tmp_path / "elsewhere")
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
    elif kind == "file":
        place.touch()
    elif kind == "another's":
        if os.getuid():
            pytest.skip("only root can make another user's folder")
        place.mkdir()
        os.chown(place, 12345, 12345)
    process = start(environment, 1)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and len(said.splitlines()) == 1, said
    assert str(place) in said and "TMPDIR" in said
    assert not [*tmp_path.rglob("choosing")]
