"""Imported by entries before torch: no garbage is looked for in imports, which make none.

Torch and transformers make a million objects while they are imported, and each search for garbage
looks at all of them: a quarter of a job's start. `log.start` ends it. Only in an entry that was
started itself: not where it is imported, nor in its worker processes, where `log.start` never is.
"""

import gc
import multiprocessing
import sys
from pathlib import Path

ENTRIES = Path(__file__).resolve().parents[2]

started = Path(sys.argv[0]).resolve().parent == ENTRIES
if started and multiprocessing.current_process().name == "MainProcess":
    gc.disable()
