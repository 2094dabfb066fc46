"""SIGTERM ends a script like an error: with an exit status, and no half-written files."""

import signal
import subprocess
import sys

from vlselect.core.sources import SCRIPTS

PROGRAM = """
import time
from pathlib import Path
from vlselect.core import log, store
log.start()
with store.replacing(Path("out.txt")) as path:
    path.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_terminated_script_leaves_nothing_behind(tmp_path):
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={"PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout.readline() == "writing\n"
    assert [path.name for path in tmp_path.iterdir()] != []
    running.terminate()
    _, said = running.communicate()
    assert running.returncode == 128 + signal.SIGTERM
    assert said.endswith("vlselect.core.log: terminated\n")
    assert list(tmp_path.iterdir()) == []
