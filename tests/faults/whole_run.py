"""A small run: undisturbed, once, and others that have to equal it."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmark_files import BENCHMARKS
from kept_bytes import kept
from mini_input import OTHERS, THINGS, make_input
from running import copy_program
from running_jobs import Snakemake

from vlselect.digits.architecture import build_clip, build_clip_processor, vision_config

CONFIG = Path(__file__).with_name("kills.yaml")
TARGETS = ("all", "exports", "merged")
MANY = CONFIG.with_name("many_rules.yaml")
CARD = "results/kills/subsets/icons/ratio-0.2_seed-0.md"
SCORES = "results/kills/figures/score_distribution.png"
MANY_TARGETS = ("subsets", "make_explorer", CARD, SCORES)
DEMO = CONFIG.with_name("demo_rules.yaml")
DEMO_TARGETS = ("all", "make_answer", SCORES)


class WholeRun:
    """A finished run in ``<folder>/undisturbed``, by a copy of the program that nobody edits."""

    def __init__(self, folder: Path, targets: Sequence[str] = TARGETS, config: Path = CONFIG):
        self.folder, self.program = folder, copy_program(folder / "program")
        self.targets, self._text = targets, config.read_text(encoding="utf-8")
        make_input(folder / "input")
        if config == MANY:
            self._text = self._text.replace("BUILD", more_input(folder / "input"))
        self.run = self.begin("undisturbed")
        with self.snakemake(self.run, "--cores", "2") as snakemake:
            assert snakemake.end() == 0, snakemake.said()[-4000:]
        self.expected = kept(self.run)

    def begin(self, name: str) -> Path:
        """Return the folder of a new run, with its input, its config and an empty tmp/."""
        run = self.folder / name
        (run / "tmp").mkdir(parents=True)
        (run / CONFIG.name).write_text(self._text, encoding="utf-8")
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


def more_input(folder: Path) -> str:
    """Write a CLIP and a small benchmark into the input; return how a task is built from it."""
    processor = build_clip_processor(THINGS + OTHERS, 32)
    clip = build_clip(processor, vision_config(32, 16, hidden=32, layers=2, heads=2))
    for part in (clip, processor):
        part.save_pretrained(folder / "data/clip")
    build = BENCHMARKS["vqa"](folder / "data/vqa")
    return json.dumps({**build, "validation": 0.34}).replace(f"{folder}/", "")
