"""A Python whose libraries are imported already: the jobs of a run start in it by a fork.

A workflow test starts dozens of processes, and most of the time of each goes to importing torch,
transformers and peft. Here a server imports them once; `python`, a launcher, hands it arguments,
folder, environment and open files, and ends as the process that the server forks does. What a job
does is the same; its costs are not, since Snakemake measures the launcher. Whatever a library reads
from the environment when it is imported (and hash orders) is that of the server.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

LIBRARIES = (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "pandas",
    "peft",
    "pyarrow.parquet",
    "scipy.special",
    "snakemake.cli",
    "torch",
    "transformers.generation",
    "transformers.trainer",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.processing_auto",
    "transformers.models.llava.modeling_llava",
)
LENGTH = struct.Struct("!I")
STATUS = struct.Struct("!i")
FRESH = "FRESH_AT_FIRST"  # variable with a folder: the first process of each program is a fresh one
LAUNCHER = """#!{python} -IS
import json, os, signal, socket, struct, sys
arguments = sys.argv[1:]
if not arguments or arguments[0].startswith("-") and arguments[0] != "-m":
    os.execv({python!r}, [{python!r}, *arguments])
if {fresh!r} in os.environ and arguments[0] != "-m":
    first = os.path.join(os.environ[{fresh!r}], os.path.basename(arguments[0]))
    try:
        os.close(os.open(first, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        pass
    else:
        os.execv({python!r}, [{python!r}, *arguments])
server = socket.socket(socket.AF_UNIX)
server.connect({socket!r})
mask = os.umask(0)
os.umask(mask)
os.environ.pop("VLSELECT_SNAKEMAKE", None)  # no parent of the job: this launcher ends it instead
job = [arguments, os.getcwd(), dict(os.environ), mask]
text = json.dumps(job).encode()
socket.send_fds(server, [struct.pack("!I", len(text))], [0, 1, 2])
server.sendall(text)
status = struct.unpack("!i", server.recv(4, socket.MSG_WAITALL))[0]
if status < 0:
    if -status not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@functools.cache
def warm_python(*libraries: str, **environment: str) -> str:
    """Start a server, once, and return the path of its `python`.

    It has imported these libraries, or LIBRARIES, with these changes of the environment.
    """
    folder = tempfile.TemporaryDirectory(prefix="warm-")
    program, address = Path(folder.name, "python"), str(Path(folder.name, "socket"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        command = [sys.executable, __file__, str(listener.fileno()), str(program)]
        server = subprocess.Popen(
            [*command, *(libraries or LIBRARIES)],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            env={**os.environ, **environment},
        )
    program.write_text(LAUNCHER.format(python=sys.executable, socket=address, fresh=FRESH))
    program.chmod(0o755)
    atexit.register(folder.cleanup)
    atexit.register(server.stdin.close)  # at which it ends
    return str(program)


def serve(listener: socket.socket) -> list | None:
    """Fork for each connection; return the job in its process, None when stdin is closed."""
    while True:
        ready = select.select([listener, sys.stdin], [], [])[0]
        with suppress(ChildProcessError):  # of the attendants that have ended
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if sys.stdin in ready:
            return None
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            return attend(connection)
        connection.close()


def attend(connection: socket.socket) -> list:
    """Fork a job's process and return the job in it; here, wait for its end or its launcher's."""
    length, files, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
    text = connection.recv(LENGTH.unpack(length)[0], socket.MSG_WAITALL)
    process = os.fork()
    if not process:
        connection.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return json.loads(text)
    for file in files:
        os.close(file)
    ended = os.pidfd_open(process)
    if connection in select.select([connection, ended], [], [])[0]:
        os.kill(process, signal.SIGTERM)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with suppress(BrokenPipeError):  # a launcher that was killed does not read it
        connection.sendall(STATUS.pack(status))
    os._exit(0)


def run(job: list, program: str) -> int:
    """Do in this process what `python` does with the job's arguments; return the exit status."""
    arguments, folder, environment, mask = job
    os.chdir(folder)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = program
    try:
        if arguments[0] == "-m":
            sys.argv, sys.path[0] = arguments[1:], folder
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).resolve().parent)
            runpy.run_path(str(Path(folder, arguments[0])), run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def end(status: int) -> NoReturn:
    """End the process as the interpreter does, without taking apart what it shares by the fork."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    for name in sys.argv[3:]:
        importlib.import_module(name)
    gc.freeze()
    if job := serve(socket.socket(fileno=int(sys.argv[1]))):
        end(run(job, sys.argv[2]))
