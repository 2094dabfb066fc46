"""Memory that a process keeps; tested in separate processes, since it cannot be undone."""

import platform
import subprocess
import sys

import pytest
from running import ROOT

# Page faults of a hundred arrays of 64 MiB, allocated and freed one after the other.
PROGRAM = """
import resource
import numpy as np
from vlselect.core.kept_memory import keep_freed_memory
{first}
np.ones(1 << 23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    np.ones(1 << 23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(first: str) -> int:
    program = [sys.executable, "-c", PROGRAM.format(first=first)]
    return int(subprocess.check_output(program, cwd=ROOT / "scripts", text=True))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc supports this")
def test_what_is_freed_is_used_again():
    assert 100 * faults("assert keep_freed_memory()") < faults("")
