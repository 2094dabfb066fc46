"""CPU seconds of tests: those of processes count, running or ended, and sleep does not."""

import subprocess
import sys
import time

import pytest
from cpu_seconds import cpu_seconds
from warm_python import warm_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
BUSY = """
import time

begin = time.process_time()
while time.process_time() < begin + 0.5:
    pass
print("done", flush=True)
"""


@pytest.mark.parametrize("python", [sys.executable, warm_python], ids=["fresh", "warm"])
def test_processes_count_when_they_have_ended(python, tmp_path):
    (tmp_path / "busy.py").write_text(BUSY)
    command = [python if isinstance(python, str) else python("json"), tmp_path / "busy.py"]
    begin = cpu_seconds()
    subprocess.run(command, check=True)
    assert cpu_seconds() - begin > 0.4


def test_a_running_process_counts_and_sleep_does_not():
    begin = cpu_seconds()
    command = [sys.executable, "-c", f"{BUSY}input()"]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as running:
        assert running.stdout.readline() == "done\n"
        assert cpu_seconds() - begin > 0.4
        running.communicate("\n")
    begin = cpu_seconds()
    time.sleep(0.5)
    assert cpu_seconds() - begin < 0.4
