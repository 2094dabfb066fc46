"""Files that vanish or change between jobs: a job refuses them by name, or does not depend on them.

Each trial runs one job of a finished run again, in a copy where one of the files that its command
names is gone, cut short, has a flipped bit or is another file of that kind.
"""

import importlib
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fault_trials import READ, REFUSED, Trials
from kept_bytes import kept
from whole_run import WholeRun

from vlselect.core.errors import InputError

WAYS = ("gone", "empty", "cut", "flipped bit", "another's")  # the last of shards and images
CHECKED = (".safetensors", ".parquet", ".png")  # a flipped bit shows: they have checksums
# A record file is what the run is made of, and of models' weights there is no checksum; a subset's
# table has none either, so that its bytes are those of earlier versions.
MODEL = "data/model/"
UNCHECKED = (MODEL, "warm_up/", "checkpoints/", "centroids", "/subsets/")
MADE_OF = ("prepare_pool", "prepare_task", "write_provenance")


@dataclass(frozen=True)
class Job:
    """A job's script, its flags, and the files that it reads."""

    script: str
    flags: list[str]
    files: list[str]


def jobs(run: Path, text: str) -> list[Job]:
    """Return the jobs that a dry run shows (-p), if they are one process and read others' files."""
    found, files = [], []
    for line in text.splitlines():
        if line.startswith("    input: "):
            names = line.removeprefix("    input: ").split(", ")
            files = [name for name in names if not name.endswith(".py")]
        if not line.startswith("Shell command: ") or "accelerate" in line:
            continue
        words = shlex.split(line.removeprefix("Shell command: "))
        words = words[: words.index("2>")] if "2>" in words else words
        place = next((i for i, w in enumerate(words) if w.endswith(".py") and "take_" not in w), 0)
        script = Path(words[place]).stem
        if "--images" in words:
            files = [*files, words[words.index("--images") + 1]]
        inside = [p for name in files for p in ((run / name), *(run / name).rglob("*"))]
        inside = sorted(
            {str(p.relative_to(run)) for p in inside if p.is_file() and p.name[0] != "."}
        )
        if place and inside and script not in MADE_OF:
            found.append(Job(script, words[place + 1 :], inside))
    return found


class InputTrials(Trials):
    """Trials on the jobs of a finished run, in a copy of it."""

    def __init__(self, whole: WholeRun, seed: int):
        self._run, self._copy, self._seed = whole.run, whole.folder / "copy", seed
        with whole.snakemake(whole.run, "-n", "-p", "-F") as dry_run:
            assert dry_run.end() == 0, dry_run.said()
        self._jobs = jobs(whole.run, dry_run.said())
        self._expected = whole.expected

    def draw(self, number: int) -> tuple[Job, str, str]:
        """Return job, file and way of a trial."""
        random = Random(f"{self._seed} {number}")
        job = self._jobs[number % len(self._jobs)]
        while True:
            images = random.random() < 0.3
            file = random.choice(
                [f for f in job.files if f.endswith(".png") == images] or job.files
            )
            way = random.choice(WAYS)
            if way == "flipped bit" and not file.endswith(CHECKED):
                continue
            if way == "flipped bit" and any(part in file for part in UNCHECKED):
                continue
            exchangeable = file.endswith(".png") or Path(file).name.startswith("shard-")
            if way == "another's" and not exchangeable:
                continue
            return job, file, way

    def kind_of(self, number: int) -> str:
        """Return the script and what is done to a file."""
        job, file, way = self.draw(number)
        return f"{job.script}: {Path(file).suffix} {way}"

    def __call__(self, number: int) -> str:
        job, file, way = self.draw(number)
        run = self._copy
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(self._run, run, copy_function=os.link, ignore=shutil.ignore_patterns(".*"))
        self._change(run / file, way, Random(f"{self._seed} {number} {way}"))
        os.chdir(run)
        before = kept(run)
        try:
            importlib.import_module(job.script).main(job.flags)
        except (InputError, SystemExit) as error:
            names = (Path(file).name, "data/model") if MODEL in file else (Path(file).name,)
            assert any(name in str(error) for name in names), f"{file} {way}: {error}"
            return REFUSED
        after = kept(run)
        wrong = [name for name in after if after[name] != self._expected.get(name) != ""]
        wrong = [name for name in wrong if after[name] != before.get(name)]
        assert not wrong, f"{file} {way}, and other files were written: {wrong}"
        return READ

    def _change(self, path: Path, way: str, random: Random) -> None:
        """Change one file, whose bytes other names share."""
        content = bytearray(path.read_bytes())
        others = [p for p in path.parent.iterdir() if p.suffix == path.suffix and p != path]
        others = [p for p in others if p.is_file() and p.read_bytes() != content]
        path.unlink()
        if way == "another's" and others:
            shutil.copy(random.choice(sorted(others)), path)
        elif way == "empty":
            path.touch()
        elif way == "flipped bit":
            content[random.randrange(len(content))] ^= 1 << random.randrange(8)
            path.write_bytes(content)
        elif way != "gone":
            cut = content[: random.randrange(len(content))]
            path.write_bytes(cut.rstrip(b"\n") if path.suffix == ".csv" else cut)
