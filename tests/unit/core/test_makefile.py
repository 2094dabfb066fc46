"""The Makefile: what `make help` lists, and that it finds a config's run as YAML has it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT

TEXT = (ROOT / "Makefile").read_text(encoding="utf-8")


def make(*arguments):
    """Return what make says."""
    command = ["make", "--no-print-directory", "-C", str(ROOT), *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_has_a_line_for_every_target():
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", TEXT, re.MULTILINE)[1]
    listed = re.findall(r"^make ([a-z-]+) +\S", make("help"), re.MULTILINE)
    assert sorted(listed) == sorted(phony.replace("\\\n", " ").split())


@pytest.mark.parametrize(
    "text",
    ["run: mine # a comment\n", "run:   'mine'\n", '{"run": "mine"}\n', "---\n'run': >-\n  mine\n"],
)
def test_the_run_is_read_as_yaml(text, tmp_path):
    config = tmp_path / "my config.yaml"
    config.write_text(text)
    dry = ["-n", f"BIN={Path(sys.executable).parent}", f"CONFIG={config}"]
    assert 'show_status.py" results/mine\n' in make(*dry, "status")
    trial = make(*dry, "status", "TRIAL=64")
    assert "--config trial=64 |" in trial and 'show_status.py" results/mine-trial-64\n' in trial
    card = make(*dry, "card", "METHOD=icons", "RATIO=0.2")
    assert " results/mine/subsets/icons/ratio-0.2_seed-0.md\n" in card
    assert "--report results/mine/report.html" in make(*dry, "report")


def test_jobs_find_the_environment_first():
    assert len(re.findall(r"\bPATH\b *:?=", TEXT)) == 1 and "sed " not in TEXT
    found = make("--eval", "show-path: ; @printenv PATH", "show-path")
    assert found.startswith(f"{ROOT}/.venv/bin:")


@pytest.mark.parametrize(("target", "said"), [("plan", "--trial 512"), ("trial", "trial=512")])
def test_a_trial_has_a_size_of_its_own(target, said):
    assert said in subprocess.check_output(["make", "-n", target], cwd=ROOT, text=True)


def test_an_empty_size_does_not_start_the_whole_run():
    done = subprocess.run(
        ["make", "-n", "trial", "TRIAL="], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode and "TRIAL is empty" in done.stderr


@pytest.mark.parametrize(("lacks", "has"), [("METHOD", "RATIO=0.2"), ("RATIO", "METHOD=icons")])
def test_a_card_of_nothing_is_not_asked_for(lacks, has):
    done = subprocess.run(["make", "-n", "card", has], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and f"{lacks} is empty" in done.stderr


def test_a_path_may_have_any_character(tmp_path):
    records = f'{tmp_path}/it\'s $HOME, a "b" $(x) \\ `y`.json'
    done = make("-n", "init", f"RECORDS={records}", f"OUT={tmp_path}/o'$o.yaml")
    program = done.partition('start_config.py" ')[2].partition("\nsaid=")[0]
    words = shlex.split(program.replace("\\\n", " "))
    assert words[:4] == ["--out", f"{tmp_path}/o'$o.yaml", "--records", records]


def elsewhere(folder, *arguments, flags=("-C", str(ROOT))):
    """Run make -C from another folder, whose shell has it as PWD; nothing is done."""
    dry = ["make", "-n", *flags, f"BIN={Path(sys.executable).parent}", *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.run(
        dry, cwd=folder, env={**environment, "PWD": str(folder)}, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "target", ["trial", "plan", "advise", "status", "report", "card", "figures"]
)
def test_with_c_a_config_and_its_paths_are_the_callers(target, tmp_path):
    folder = tmp_path / "my data"
    folder.mkdir()
    (folder / "my.yaml").write_text("run: mine\n")
    done = elsewhere(folder, target, "CONFIG=my.yaml", "METHOD=icons", "RATIO=0.2")
    lines = [line for line in done.stdout.splitlines() if "--configfile" in line]
    assert lines and all(f'cd "{folder}" && "{ROOT}' in line for line in lines)
    assert '--configfile "my.yaml"' in done.stdout
    programs = ("Snakefile", "scripts/plan_run.py", "scripts/advise.py")
    assert any(f'"{ROOT}/{program}"' in done.stdout for program in programs)


@pytest.mark.parametrize(
    "flags",
    [("-sC", str(ROOT)), (f"-kC{ROOT}",), (f"--directory={ROOT}",), ("--direct", str(ROOT))],
    ids=["bundle", "bundle with its value", "long", "abbreviated"],
)
def test_c_is_seen_however_it_is_written(flags, tmp_path):
    """Also where both folders have a config of that name."""
    (tmp_path / "config.yaml").write_text("run: mine\n")
    done = elsewhere(tmp_path, "figures", "CONFIG=config.yaml", flags=flags)
    assert f'cd "{tmp_path}" && ' in done.stdout, done.stdout + done.stderr


def test_with_c_a_config_that_the_caller_lacks_is_an_error(tmp_path):
    done = elsewhere(tmp_path, "trial", "CONFIG=config.yaml")  # the program's own is no stand-in
    assert done.returncode and f"No CONFIG=config.yaml in {tmp_path}" in done.stderr
    assert elsewhere(tmp_path, "trial").returncode == 0
