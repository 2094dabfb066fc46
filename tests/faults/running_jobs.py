"""A run of Snakemake and its processes, found by a mark in their environment."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MARK = "VLSELECT_FAULTS"  # set in a run's environment, so in that of all its processes
POLL = 0.05
PATIENCE = 3600  # seconds that a run may take from one step to the next


@dataclass(frozen=True)
class Process:
    """A process of a run; `job` is the log that its stderr goes to, None of Snakemake itself."""

    pid: int
    job: Path | None
    command: str

    @property
    def rule(self) -> str:
        """Rule of its job."""
        parts = self.job.parts
        return Path(parts[parts.index("logs") + 1]).stem

    def kill(self, number: signal.Signals) -> None:
        """Send a signal, if the process is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def find(mark: str) -> list[Process]:
    """Return the living processes that have this mark, the oldest first."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if f"{MARK}={mark}\0".encode() in (folder / "environ").read_bytes():
                stderr = (folder / "fd/2").readlink()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                job = stderr if stderr.suffix == ".log" else None
                found.append(Process(int(folder.name), job, command[:300]))
    return sorted(found, key=lambda process: process.pid)


@dataclass
class Snakemake:
    """One Snakemake in a process group of its own: a copy of the program, working in `folder`."""

    root: Path
    folder: Path
    config: Path
    arguments: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> "Snakemake":
        self.mark = uuid.uuid4().hex
        self.output = self.folder / f"snakemake-{self.mark}.out"
        command = [sys.executable, "-m", "snakemake", "--snakefile", self.root / "Snakefile"]
        command += ["--workflow-profile", self.root / "profiles/default"]
        command += ["--configfile", self.config]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        given = {MARK: self.mark, "PATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*map(str, command), *self.arguments],
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **given, **self.environment},
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        return self

    def __exit__(self, *error: object) -> None:
        while self.alive() or find(self.mark):  # also those that Snakemake starts meanwhile
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            for process in find(self.mark):
                process.kill(signal.SIGKILL)
            time.sleep(POLL)

    def alive(self) -> bool:
        """Return whether Snakemake itself still runs."""
        return self.process.poll() is None

    def jobs(self) -> list[Process]:
        """Return the processes of jobs, the oldest first."""
        return [process for process in find(self.mark) if process.job]

    def wait(self, what: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Wait until `what` holds; return whether it did in time."""
        until = time.monotonic() + seconds
        while not what():
            if time.monotonic() > until:
                return False
            time.sleep(POLL)
        return True

    def end(self) -> int | None:
        """Wait for Snakemake's end; return its exit status, None if it does not end."""
        return self.process.returncode if self.wait(lambda: not self.alive()) else None

    def said(self) -> str:
        """Return what it wrote so far."""
        return self.output.read_text(errors="replace")
