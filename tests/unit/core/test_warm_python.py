"""The warm `python` does what `python` does: output, status, folder, environment, signals."""

import os
import signal
import subprocess
import sys

import pytest
from warm_python import warm_python

ENDS = {
    "in order": "print('out'); print('err', file=sys.stderr)",
    "with a status": "sys.exit(3)",
    "with a message": "sys.exit('why')",
    "with a number that is none": "sys.exit(3.5)",
    "with its output closed": "print('out'); sys.stdout.close()",
    "with an error": "raise ValueError('why')",
    "with an error of its hook": "sys.excepthook = lambda *e: print(e[1]); raise OSError(2)",
    "after its threads": "threading.Timer(0.1, print, ['late']).start()",
    "with what it registered": "atexit.register(print, 'last'); print('first')",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "on a signal": "os.kill(os.getpid(), signal.SIGTERM)",
}
SEEN = "print(os.getcwd(), os.environ['SEEN'], sys.argv, sys.path[0], __file__, sys.stdin.read())"
IMPORTS = "import atexit, os, signal, sys, threading\n"


def run(python: str, folder, *arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [python, *arguments], cwd=folder, capture_output=True, text=True, check=False, **options
    )


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS)
def test_a_program_ends_as_in_a_process_of_its_own(code, tmp_path):
    (tmp_path / "program.py").write_text(IMPORTS + code)
    warm, fresh = (run(p, tmp_path, "program.py") for p in (warm_python(), sys.executable))
    assert (warm.returncode, warm.stdout) == (fresh.returncode, fresh.stdout)
    assert warm.stderr.splitlines()[-1:] == fresh.stderr.splitlines()[-1:]


def test_a_program_sees_its_own_surroundings(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/program.py").write_text(IMPORTS + SEEN)
    options = {"input": "text", "env": {**os.environ, "SEEN": "yes"}}
    arguments = ("inside/program.py", "--flag", "a b")
    warm, fresh = (run(p, tmp_path, *arguments, **options) for p in (warm_python(), sys.executable))
    assert "yes" in fresh.stdout and "text" in fresh.stdout
    assert warm.stdout == fresh.stdout.replace("['inside", f"['{tmp_path}/inside")


def test_output_is_unbuffered_where_it_is_asked_for(tmp_path):
    (tmp_path / "program.py").write_text(f"{IMPORTS}print('out')\nos.kill(os.getpid(), 9)")
    found = [run(p, tmp_path, "-u", "program.py") for p in (warm_python(), sys.executable)]
    assert [(done.stdout, done.returncode) for done in found] == [("out\n", -9)] * 2


def test_modules_are_found_where_the_environment_says(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/of_other.py").write_text("")
    (tmp_path / "program.py").write_text("import sys, of_other\nprint(sys.path[:2])")
    options = {"env": {**os.environ, "PYTHONPATH": f"{tmp_path}/other"}}
    found = [run(p, tmp_path, "program.py", **options) for p in (warm_python(), sys.executable)]
    assert found[0].stdout == found[1].stdout == f"{[str(tmp_path), f'{tmp_path}/other']}\n"


def test_libraries_are_there_already(tmp_path):
    (tmp_path / "program.py").write_text("import sys\nprint('torch' in sys.modules)")
    assert run(warm_python(), tmp_path, "program.py").stdout == "True\n"
    assert run(sys.executable, tmp_path, "program.py").stdout == "False\n"


def test_a_launcher_that_is_told_to_end_ends_its_job(tmp_path):
    code = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)"
    (tmp_path / "program.py").write_text(code)
    command = [warm_python(), "program.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as launcher:
        job = os.pidfd_open(int(launcher.stdout.readline()))
        launcher.terminate()
        assert launcher.wait() == -signal.SIGTERM
        assert launcher.stdout.read() == ""  # closed: the job, which had it too, has ended
    os.close(job)


def test_a_job_whose_server_ends_has_failed(tmp_path):
    (tmp_path / "program.py").write_text(
        "import os, time\nprint(os.getppid(), flush=True)\n" + "time.sleep(2)"
    )
    command = [warm_python("json"), "program.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as launcher:
        os.kill(int(launcher.stdout.readline()), signal.SIGKILL)
        assert launcher.wait() == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_what_is_closed_is_closed(closed, tmp_path):
    (tmp_path / "program.py").write_text(
        "import os\nos.read(0, 1)\nos.write(1, b'a')\nos.write(2, b'b')"
    )
    warm, fresh = (
        run("bash", tmp_path, "-c", f"{python} program.py {closed}", input="text")
        for python in (warm_python(), sys.executable)
    )
    assert (warm.returncode, warm.stdout) == (fresh.returncode, fresh.stdout)


def test_rule_files_that_are_the_same_keep_their_own_places(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "Snakefile").write_text("rule all:\n    input: 'missing'\n")
        done = run(warm_python(), tmp_path / name, "-m", "snakemake", "-n")
        assert f"{tmp_path}/{name}/Snakefile" in done.stdout + done.stderr
