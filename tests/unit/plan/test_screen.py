"""What a run shows of its jobs is short: a line for each, and the errors at the ends of logs."""

import pytest

from vlselect.plan import screen


def write(tmp_path, *lines):
    path = tmp_path / "job.log"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_job_is_a_line():
    assert screen.job_line("prepare_pool", {}) == "rule prepare_pool:"
    wildcards = {"model": "target", "scatteritem": "1-of-3"}
    reason = "Missing output files: a, b, c; Code has changed since last execution"
    assert screen.job_line("extract_features", wildcards, reason) == (
        "rule extract_features: model=target, scatteritem=1-of-3"
        " (Missing output files; Code has changed since last execution)"
    )


def test_an_error_is_shown_from_its_first_line(tmp_path):
    lines = ["10:00:00 INFO a: 3 samples", "10:00:01 ERROR a: first", "10:00:02 WARNING a: b"]
    error = ["10:00:03 ERROR vlselect.core.log: budgets that cannot be met:", "samples-8: no"]
    assert screen.last_lines(write(tmp_path, *lines, *error)) == error


def test_of_a_training_s_processes_the_error_is_shown_not_how_they_were_ended(tmp_path):
    error = "10:00:03 ERROR vlselect.core.log: model cannot be written: No space left on device"
    ended = "W1129 17:40:49 5 torch/distributed/elastic/multiprocessing/api.py:1] closing signal"
    trace = ["Traceback (most recent call last):", "ChildFailedError:"]
    assert screen.last_lines(write(tmp_path, "a", error, ended, *trace)) == [error]
    sibling = "10:00:03 ERROR vlselect.core.log: terminated"
    killed = [sibling, ended, "failed (exitcode: -9) local_rank: 0"]
    assert screen.last_lines(write(tmp_path, *killed)) == killed


def test_of_a_long_error_the_beginning_is_shown_and_long_lines_are_cut(tmp_path):
    error = ["10:00:03 ERROR a: missing:", *(f"file {i}" for i in range(99)), "x" * 9000]
    shown = screen.last_lines(write(tmp_path, *error))
    assert shown[:2] == error[:2] and len(shown) == screen.LINES + 1
    assert shown[-1] == f"(and {101 - screen.LINES} lines more)"
    (line,) = screen.last_lines(write(tmp_path, "y" * 9000))
    assert len(line) == screen.WIDTH + 2 and line.endswith(" …")


def test_without_an_error_the_end_of_the_log_is_shown(tmp_path):
    lines = ["Traceback (most recent call last):", *(f"line {i}" for i in range(99)), "KeyError: 3"]
    assert screen.last_lines(write(tmp_path, *lines)) == lines[-screen.LINES :]
    assert screen.last_lines(tmp_path / "none.log") == ["(no log: No such file or directory)"]
    assert screen.last_lines(write(tmp_path, "", " ")) == ["(the log is empty)"]


def test_a_log_of_an_earlier_run_is_not_shown_as_this_job_s(tmp_path):
    path = write(tmp_path, "10:00:00 ERROR a: of yesterday")
    written = path.stat().st_mtime
    assert "of yesterday" in screen.failures([("warm_up", [path])], [], written + 9)[0]
    shown = screen.failures([("warm_up", [path])], [], written + screen.SKEW + 9)[0]
    assert "of yesterday" not in shown and "of an earlier run" in shown


def test_only_the_end_of_a_large_log_is_read(tmp_path):
    path = write(tmp_path, "10:00:00 ERROR a: ä", *("ä" * 50 for _ in range(5000)), "the end")
    assert screen.last_lines(path)[-1] == "the end"


def test_of_many_failures_all_logs_are_named(tmp_path):
    path = write(tmp_path, "ValueError: 7")
    found = screen.failures([("count_tokens", [str(path)])] * 8)
    assert len(found) == 8 and all(f"Error in rule count_tokens: {path}" in job for job in found)
    assert sum("    ValueError: 7" in job for job in found) == screen.SHOWN


COMMAND = "Command 'set -euo pipefail; python pass.py --{flag} 4 2> {log}' returned non-zero exit"


@pytest.mark.parametrize(
    ("flag", "lever"),
    [
        ("batch-size", "Lower models.<model>.batch_size; let fewer"),
        ("cache-mb", "Lower cache_mb, workers or batch_size of its"),
        ("memory-gb", "Lower memory_gb of its method; let"),
        ("other", "Let fewer jobs run at once (--resources mem_mb="),
    ],
)
def test_a_job_that_was_killed_or_out_of_memory_gets_advice(tmp_path, flag, lever):
    path = write(tmp_path, "10:00:00 INFO a: 3 samples")
    command = COMMAND.format(flag=flag, log=path)
    killed = screen.failure("some_rule", [path], ["another", f"{command} status 137."])
    assert lever in killed and "--set-resources some_rule:mem_mb=" in killed and "killed" in killed
    assert screen.failure("some_rule", [path], [f"{command} status 1."]).count("\n") == 1
    for end in (
        "  traceback : Signal 9 (SIGKILL) received by PID 31",  # of torch's launcher
        "E1129 api.py:1002] failed (exitcode: -9) local_rank: 1 (pid: 31) of binary: python3",
        "RuntimeError: DataLoader worker (pid 31) is killed by signal: Killed.",
    ):
        child = screen.failure("some_rule", [write(tmp_path, end)], [f"{command} status 1."])
        assert lever in child and "It was killed" in child
    path = write(tmp_path, "MemoryError", "10:00:01 ERROR vlselect.core.log: out of memory: 3 GB")
    later = "Exception ignored in atexit callback: <function stop>"  # which has no memory either
    end = "10:00:01 ERROR vlselect.core.log: out of memory: 3 GB"
    blas = "OpenBLAS error: Memory allocation still failed after 10 retries, giving up."
    for lines in ([end], [end, later], ["Traceback:", "MemoryError: "], [blas]):
        path = write(tmp_path, *lines)
        noticed = screen.failure("some_rule", [path], [f"{command} status 1."])
        assert lever in noticed and "It was killed" not in noticed
    assert lever in screen.failures([("some_rule", [path])], [f"{command} status 1."])[0]


def test_what_slurm_says_of_a_job_that_it_refuses_is_shown(tmp_path):
    log = str(tmp_path / "a.log")
    said = (
        "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: x"
        "\nsbatch: error: Batch job submission failed'.\n    sbatch call:\n   sbatch -p x … "
    )
    text = screen.failure("warm_up", [log], [f"{said} {log}"])
    why = "invalid partition specified: x; Batch job submission failed"
    assert text == f"Error in rule warm_up: {log}\n    Slurm refused the job: {why}"


def test_a_job_that_slurm_killed_for_its_memory_is_named_as_killed(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("slurmstepd: error: Exceeded job memory limit\n")
    assert "It was killed: for its memory" in screen.failure("warm_up", [log])


def test_slurms_word_for_the_end_of_a_job_is_shown_and_what_it_calls_for(tmp_path):
    path = write(tmp_path, "10:00:00 INFO a: 3 samples")
    end = "SLURM-job '7' failed, SLURM status is: '{}'. Reason: Unknown. log: " + str(path)
    killed = screen.failure("warm_up", [path], [end.format("OUT_OF_MEMORY")])
    assert "Slurm's word for its end: OUT_OF_MEMORY" in killed and "It was killed" in killed
    assert "--retries 2 or --set-resources warm_up:mem_mb=<MB> asks for more" in killed
    assert "let fewer jobs" not in killed.lower()
    late = screen.failure("warm_up", [path], [end.format("TIMEOUT")])
    assert "--set-resources warm_up:runtime=<minutes>" in late and "killed" not in late
    stopped = screen.failure("warm_up", [path], [end.format("CANCELLED by 0")])
    assert stopped.endswith("Slurm's word for its end: CANCELLED")


def test_the_error_of_a_process_counts_more_than_the_end_of_its_siblings(tmp_path):
    own = "16:18:38 ERROR vlselect.core.log: out of memory: MemoryError"
    ended = "16:18:39 ERROR vlselect.core.log: terminated"
    log = write(tmp_path, own, ended, "Traceback …")
    assert screen.last_lines(log) == [own, ended, "Traceback …"]
    assert "lower models" not in screen.failure("warm_up", [log]).lower()
    assert "let fewer jobs run at once" in screen.failure("warm_up", [log]).lower()
    assert screen.last_lines(write(tmp_path, "begun", ended)) == [ended]
