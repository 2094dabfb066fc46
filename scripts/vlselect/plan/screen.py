"""What a run shows of its jobs: one line for each, and the last lines of those that failed."""

import os
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

TAIL = 1 << 16  # bytes that are read of a log
LINES, WIDTH = 24, 400  # shown of a log, at most
SKEW = 60  # seconds that the clocks of a cluster's machines may differ
ERROR = " ERROR "  # in the line of a log with which an error begins (`core.log.start`)
LAUNCHER = " torch/distributed/elastic/"  # in lines of what starts a training's processes
TERMINATED = ": terminated"  # ends that of a process whose sibling failed, or that was stopped
KILLED = re.compile(  # the job itself, by the system or by a library; a process of it
    r"exit status (137|134)\b|<Signals\.SIG(KILL|ABRT)|exitcode: -[69]\)|Signal 9 \(SIGKILL\)"
    r"|by signal: Killed|[Ee]xceeded (job |step )?memory limit|oom[-_ ]kill|'OUT_OF_MEMORY'"
)
ENDED = re.compile(r"SLURM-job .*SLURM status is: '(\w+)", re.DOTALL)  # how, in the plugin's words
REFUSED = re.compile(  # by Slurm, in the words of its plugin
    r"sbatch failed\. The error message was '(.*?)'\.?\s*sbatch call", re.DOTALL
)
OUT_OF_MEMORY = re.compile(  # in the log of a job that noticed it: `core.errors`, Python, OpenBLAS
    r"out of memory|^\s*(\w+\.)*MemoryError\b|Memory allocation still failed", re.MULTILINE
)
LEVERS = {  # flags of a job's command, and what in the config makes it need less memory
    "--cache-mb": "lower cache_mb, workers or batch_size of its training's settings",
    "--batch-size": "lower models.<model>.batch_size",
    "--memory-gb": "lower memory_gb of its method",
}
SHOWN = 5  # failed jobs whose lines are repeated; of others the logs are named


def job_line(rule: str, wildcards: Mapping[str, str], reason: str = "") -> str:
    """Return the line of a job: its rule, its wildcards and, in short, why it is run."""
    values = ", ".join(f"{name}={value}" for name, value in wildcards.items())
    causes = "; ".join(part.partition(":")[0] for part in reason.split("; ") if part)
    return " ".join(filter(None, [f"rule {rule}:", values, causes and f"({causes})"]))


def last_lines(path: str | Path, begun: float = 0.0) -> list[str]:
    """Return what a log says of its job's end: the last error, from its first line, or the end.

    That a process was terminated is its error only where there is no other.

    Of long errors the beginning is shown, long lines are cut.
    """
    try:
        with Path(path).open("rb") as stream:
            if os.fstat(stream.fileno()).st_mtime < begun - SKEW:
                return ["(this job wrote no log; the one that is there is of an earlier run)"]
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - TAIL))
            lines = stream.read().decode("utf-8", errors="replace").splitlines()
    except OSError as error:
        return [f"(no log: {error.strerror})"]
    lines = [line for line in lines if line.strip()]
    errors = [i for i, line in enumerate(lines) if ERROR in line]
    own = [i for i in errors if not lines[i].endswith(TERMINATED)]
    begin = (own or errors or [None])[-1]
    lines = lines[-LINES:] if begin is None else lines[begin:]
    if own:  # what ended its processes adds nothing
        lines = list(takewhile(lambda line: LAUNCHER not in line, lines))
    left = len(lines) - LINES
    more = [f"(and {left} lines more)"] if left > 0 else []
    return [_cut(line) for line in lines[:LINES]] + more or ["(the log is empty)"]


def failure(rule: str, logs: Sequence[str], errors: Sequence[str] = (), begun: float = 0.0) -> str:
    """Return the name of a failed job, its logs and their last lines; what to do about memory.

    `errors` are Snakemake's, each with the command that failed and how it ended, or with what the
    executor says and the job's logs. `begun` is the time at which the run began: a log that is
    older says nothing of this job, which had none.
    """
    parts = [f"Error in rule {rule}: {', '.join(map(str, logs)) or 'it has no log'}"]
    ended = next((text for text in reversed(errors) if any(str(log) in text for log in logs)), "")
    if refused := REFUSED.search(ended):
        why = "; ".join(line.removeprefix("sbatch: error: ") for line in refused[1].splitlines())
        return f"{parts[0]}\n    Slurm refused the job: {why}"
    parts += [f"    {line}" for path in logs for line in last_lines(path, begun)]
    if status := ENDED.search(ended):
        parts.append(f"    Slurm's word for its end: {status[1]}")
        if status[1] == "TIMEOUT":
            parts.append(f"    With --set-resources {rule}:runtime=<minutes> it has more time")
    if KILLED.search("\n".join([ended, *parts[1:]])):
        parts.append(f"    It was killed: for its memory, unless by hand. {_advice(rule, ended)}")
    elif OUT_OF_MEMORY.search("\n".join(parts[1:])):
        parts.append(f"    {_advice(rule, ended)}")
    return "\n".join(parts)


def _advice(rule: str, command: str) -> str:
    """Return what makes a job need less memory, or gives it more."""
    lower = [text for flag, text in LEVERS.items() if flag in command]
    more = f"--retries 2 or --set-resources {rule}:mem_mb=<MB> asks for more"
    if ENDED.search(command):
        text = "; ".join([more, *lower[:1]])
    else:
        fewer = "let fewer jobs run at once (--resources mem_mb=<what this machine has>)"
        text = "; ".join([*lower[:1], fewer, f"on a cluster, {more}"])
    return text[0].upper() + text[1:]


def failures(
    jobs: Sequence[tuple[str, Sequence[str]]], errors: Sequence[str] = (), begun: float = 0.0
) -> list[str]:
    """Return what is said at the end of the jobs (rule, logs) that failed: of all, the logs."""
    shown = [failure(*job, errors, begun) for job in jobs[:SHOWN]]
    rest = [f"Error in rule {rule}: {', '.join(map(str, logs))}" for rule, logs in jobs[SHOWN:]]
    return shown + rest


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[:WIDTH]} …"
