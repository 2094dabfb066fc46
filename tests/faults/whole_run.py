"""The small run of kills.yaml: undisturbed, once, and others that have to equal it."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from kept_bytes import kept
from mini_input import make_input
from running import copy_program
from running_jobs import Snakemake

CONFIG = Path(__file__).with_name("kills.yaml")
TARGETS = ("all", "exports")


class WholeRun:
    """A finished run in ``<folder>/undisturbed``, by a copy of the program that nobody edits."""

    def __init__(self, folder: Path, targets: Sequence[str] = TARGETS):
        self.folder, self.program = folder, copy_program(folder / "program")
        self.targets = targets
        make_input(folder / "input")
        self.run = self.begin("undisturbed")
        with self.snakemake(self.run, "--cores", "2") as snakemake:
            assert snakemake.end() == 0, snakemake.said()[-4000:]
        self.expected = kept(self.run)

    def begin(self, name: str) -> Path:
        """Return the folder of a new run, with its input, its config and an empty tmp/."""
        run = self.folder / name
        (run / "tmp").mkdir(parents=True)
        shutil.copy(CONFIG, run)
        shutil.copytree(self.folder / "input/data", run / "data", copy_function=os.link)
        return run

    def snakemake(
        self,
        run: Path,
        *arguments: str,
        targets: Sequence[str] = (),
        config: Path | None = None,
        **environment: str,
    ) -> Snakemake:
        """Return a Snakemake on a run, to be entered; for other targets and a config, if given."""
        own = {"TMPDIR": str(run / "tmp"), **environment}
        arguments = (*arguments, "--", *(targets or self.targets))
        return Snakemake(self.program, run, config or run / CONFIG.name, arguments, own)
