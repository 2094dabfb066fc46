"""Kill a job inside its writing, once in each way for every rule; on the PYTHONPATH of trials only.

Each process of a job is killed in the first of KILLS_WAYS that its rule has not died in before:
"bytes" when it writes beyond the 16th byte of an output, "rename" just before an output gets its
name, "second rename" just before a second one does, "memory" when it opens its first data, by the
signal of a system without memory. With "<n> MB" it goes on from there, but gets no more memory than
that. With "no space" it lives, and the disk has no room for an output's file or name. The folder
KILLS_FOLDER gets a file for each.
"""

import errno
import os
import re
import resource
import signal
import sys
from pathlib import Path

TEMPORARY = re.compile(r"/?\.[^/]+\.[0-9a-f]{32}\.tmp$")
DATA = re.compile(r"(data|results)/(?!.*/logs/)")


def rule():
    """Return the rule of this process by the log that its stderr goes to, "" outside of jobs."""
    try:
        log = Path("/proc/self/fd/2").readlink()
    except OSError:
        return ""
    return Path(log.parts[log.parts.index("logs") + 1]).stem if log.suffix == ".log" else ""


def limit(more):
    """Let this process and its children have so many bytes more than it has now, each of them."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def arm(done, way):
    """Watch what this process opens, makes and renames."""
    renames = 0

    def watch(event, arguments):
        nonlocal renames
        if event not in ("open", "os.mkdir", "os.rename") or done.exists():
            return
        path = arguments[0] if isinstance(arguments[0], (str, os.PathLike)) else ""
        output = TEMPORARY.search(os.fspath(path))
        begins = output or DATA.match(os.fspath(path))
        if way == "memory" and begins:
            done.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        elif way.endswith(" MB") and begins:
            done.touch()
            limit(int(way.removesuffix(" MB")) << 20)
        elif way == "no space" and output:
            done.touch()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        elif way == "bytes" and output and event != "os.rename":
            done.touch()
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))
        elif output and event == "os.rename":
            renames += 1  # some libraries open files without Python: they get no further either
            if way == "second rename" if renames == 2 else way in ("bytes", "rename"):
                done.touch()
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def choose():
    """Arm the first way that is left for this rule."""
    name = rule()
    for way in os.environ["KILLS_WAYS"].split(",") if name else ():
        done = Path(os.environ["KILLS_FOLDER"], f"{name}.{way}")
        if not done.exists():
            arm(done, way)
            return


if "KILLS_FOLDER" in os.environ:
    choose()
