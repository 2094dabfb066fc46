"""A Python whose libraries are imported already: the jobs of a run start in it by a fork.

A workflow test starts dozens of processes, and most of the time of each goes to importing torch,
transformers and peft. Here a server imports them once, when it is first asked; `python`, a
launcher, hands it arguments, folder, environment and open files, and ends as the process that the
server forks does. What a job does is the same; its costs are not, since Snakemake measures the
launcher. Whatever a library reads from the environment when it is imported (and hash orders) is
that of the server, as is what it prints with. A signal to the launcher is SIGTERM to its job. A
plugin of conftest.py: all processes of a run of the tests share one server.
"""

import ast
import atexit
import ctypes
import functools
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

SNAKEMAKE = (
    "jsonschema.validators",
    "parsed_rules",
    "snakemake.benchmark",
    "snakemake.cli",
    "snakemake.profiles",
    "snakemake.report",
    "snakemake.storage",
    "smart_open",
)
LIBRARIES = (
    *SNAKEMAKE,
    "faiss",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "matplotlib.patheffects",
    "matplotlib.style",
    "pandas",
    "peft.utils.transformers_weight_conversion",
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
    "scipy.special",
    "threadpoolctl",
    "torch",
    "trak",
    "transformers.generation",
    "transformers.trainer",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.processing_auto",
    "transformers.models.clip.image_processing_pil_clip",
    "transformers.models.clip.modeling_clip",
    "transformers.models.llama.modeling_llama",
    "transformers.models.llava.modeling_llava",
    "transformers.models.llava.processing_llava",
)
LARGE_PAGE, MADV_COLLAPSE = 2 << 20, 25
SHARED = "WARM_PYTHON"  # variable: the path of the `python` that the tests' processes share
LAUNCHER = """#!{python} -IS
import _signal, _socket, os, sys  # those that take no time to import
arguments = sys.argv[1:]
program = arguments[arguments[:1] == ["-u"]:]
if not program or program[0].startswith("-") and program[0] != "-m":
    os.execv({python!r}, [{python!r}, *arguments])
try:
    [os.fstat(number) for number in (0, 1, 2)]
except OSError:  # the socket would take the place of what is closed
    os.execv({python!r}, [{python!r}, *arguments])
server = _socket.socket(_socket.AF_UNIX)
server.connect({socket!r})
mask = os.umask(0)
os.umask(mask)
os.environ.pop("VLSELECT_SNAKEMAKE", None)  # no parent of the job: this launcher ends it instead
text = repr([arguments, os.getcwd(), dict(os.environ), mask]).encode()
files = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
length = len(text).to_bytes(4, sys.byteorder)
server.sendmsg([length], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
server.sendall(text)
answer = server.recv(4, _socket.MSG_WAITALL)
if not answer:
    sys.exit("the server of warm_python.py ended before its job")
status = int.from_bytes(answer, sys.byteorder, signed=True)
if status < 0:
    if -status not in (_signal.SIGKILL, _signal.SIGSTOP):
        _signal.signal(-status, _signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def pytest_configure() -> None:
    """Start the server that the tests share, which waits and has imported nothing yet."""
    os.environ[SHARED] = warm_python()


@functools.cache
def warm_python(*libraries: str, **environment: str) -> str:
    """Start a server, once, and return the path of its `python`.

    It imports these libraries, with these changes of the environment. Without libraries it is the
    one that the tests share.
    """
    if not libraries:
        return os.environ.get(SHARED) or warm_python(*LIBRARIES)
    folder = tempfile.TemporaryDirectory(prefix="warm-", dir="/tmp")  # a socket's path is short
    program, address = Path(folder.name, "python"), str(Path(folder.name, "socket"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        command = [sys.executable, __file__, str(listener.fileno()), str(program)]
        server = subprocess.Popen(
            [*command, *libraries],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            env={**os.environ, **environment},
        )
    program.write_text(LAUNCHER.format(python=sys.executable, socket=address))
    program.chmod(0o755)
    atexit.register(folder.cleanup)
    atexit.register(server.stdin.close)  # at which it ends
    return str(program)


def serve(listener: socket.socket, libraries: Iterable[str]) -> list | None:
    """Fork for each connection; return the job in its process, None when stdin is closed."""
    running: dict[int, tuple[int, socket.socket]] = {}  # by their descriptors: processes, launchers
    launchers: dict[socket.socket, int] = {}  # that have not ended, and their processes
    while True:
        ready = select.select([listener, sys.stdin, *running, *launchers], [], [])[0]
        if sys.stdin in ready:
            return None
        for ended in filter(running.__contains__, ready):
            process, connection = running.pop(ended)
            launchers.pop(connection, None)
            os.close(ended)
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            with suppress(ConnectionError), connection:  # its launcher may have been killed
                connection.sendall(status.to_bytes(4, sys.byteorder, signed=True))
        for connection in filter(launchers.__contains__, ready):
            os.kill(launchers.pop(connection), signal.SIGTERM)
        if listener not in ready:
            continue
        if libraries:
            load(libraries)
            libraries = ()
        connection, _ = listener.accept()
        length, files, _, _ = socket.recv_fds(connection, 4, 3)
        if not length:  # a launcher that was killed
            connection.close()
            continue
        text = connection.recv(int.from_bytes(length, sys.byteorder), socket.MSG_WAITALL)
        if process := os.fork():
            for file in files:
                os.close(file)
            running[os.pidfd_open(process)] = process, connection
            launchers[connection] = process
            continue
        for other in (listener, connection, *launchers):
            other.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        for other in running:
            os.close(other)
        return ast.literal_eval(text.decode())


def load(libraries: Iterable[str]) -> None:
    """Import libraries; no job will have to look through what is theirs, nor to take it apart."""
    for name in libraries:
        importlib.import_module(name)
    if images := sys.modules.get("PIL.Image"):
        images.init()  # which imports a module for each format
    if renamed := sys.modules.get("transformers.conversion_mapping"):
        renamed.get_checkpoint_conversion_mapping("llava")  # which compiles a thousand patterns
    gc.freeze()
    for each in list(weakref.finalize._registry):
        each.atexit = False
    join_pages()


def join_pages() -> None:
    """Make the memory of this process of large pages: a fork takes a third of the time.

    Linux since 6.1; elsewhere nothing changes.
    """
    if not Path("/proc/self/maps").exists():
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, rights, _, _, _, *name = line.split()
        if rights.startswith("rw") and name in ([], ["[heap]"]):
            begin, end = (int(number, 16) for number in place.split("-"))
            for page in range(
                -(-begin // LARGE_PAGE) * LARGE_PAGE, end - LARGE_PAGE + 1, LARGE_PAGE
            ):
                madvise(page, LARGE_PAGE, MADV_COLLAPSE)


def run(job: list, program: str) -> int:
    """Do in this process what `python` does with the job's arguments; return the exit status."""
    arguments, folder, environment, mask = job
    os.chdir(folder)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = program
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [path for path in paths if path and path not in sys.path[1:]]
    if numpy := sys.modules.get("numpy.random"):
        numpy.seed()  # each job's own
    if arguments[0] == "-u":
        del arguments[0]
        sys.stdout.reconfigure(write_through=True)
    try:
        if arguments[0] == "-m":
            sys.argv, sys.path[0] = arguments[1:], folder
            if arguments[1] == "snakemake":
                keep_parsed_rules(Path(program).parent)
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).resolve().parent)
            runpy.run_path(str(Path(folder, arguments[0])), run_name="__main__")
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def keep_parsed_rules(folder: Path) -> None:
    """Let Snakemake take rule files that another run has parsed already."""
    from parsed_rules import ParsedRules
    from snakemake import workflow

    workflow.parse = ParsedRules(folder)


def end(status: int) -> NoReturn:
    """End the process as the interpreter does, without taking apart what it shares by the fork."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream and not stream.closed:
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    if job := serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[3:]):
        end(run(job, sys.argv[2]))
