"""The mini workflow, run once for all tests that use it.

A plugin of conftest.py: a second conftest.py, in tests/workflow/, would hide what tests import
from the first.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from running import HERE, copy_program, snakemake, succeeded

MINI = HERE / "mini.yaml"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file, and all files that use the mini run, in one process."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            text = (config.rootpath / file).read_text(encoding="utf-8")
            return "mini_run" if "mini_run" in text else file

    return Scheduling(config, log)


@dataclass(frozen=True)
class Run:
    """A finished run: its working folder, the copy of the program that ran, and its output."""

    folder: Path
    root: Path
    config: Path
    output: str

    @property
    def results(self) -> Path:
        """Folder of the run's stages."""
        return self.folder / "results/mini"

    def dry_run(self) -> str:
        """Return what Snakemake would run now."""
        return succeeded(snakemake(self.folder, self.config, "-n", root=self.root))

    def begin(self, folder: Path, have: Sequence[str], given: Sequence[str], **changes) -> Path:
        """Make a folder with only these parts of the run; return its config with these changes."""
        for name in have:
            shutil.copytree(self.results / name, folder / "results/mini" / name)
        config = yaml.safe_load(self.config.read_text()) | {"given": [*given]} | changes
        config["experiments"] = {"main": {"methods": list(config["methods"])}}
        path = folder / "given.yaml"
        path.write_text(yaml.safe_dump(config))
        return path


@pytest.fixture(scope="session")
def mini_input(tmp_path_factory):
    """Folder with the data that mini.yaml names."""
    from mini_input import make_input

    folder = tmp_path_factory.mktemp("mini_input")
    make_input(folder)
    return folder


@pytest.fixture(scope="session")
def mini_run(tmp_path_factory, mini_input):
    """The whole workflow on two cores in three shards, run by a copy that tests may edit."""
    root = copy_program(tmp_path_factory.mktemp("program") / "vlselect")
    folder = tmp_path_factory.mktemp("mini_run")
    shutil.copytree(mini_input / "data", folder / "data")
    config = shutil.copy(MINI, folder / "mini.yaml")
    output = succeeded(snakemake(folder, config, "--cores", "2", root=root))
    return Run(folder, root, config, output)
