"""What no result may depend on: each variation of a run has to give the same subsets."""

import os
import re

from kept_bytes import differences, kept
from whole_run import CONFIG, WholeRun

LATER = re.compile(r"(subsets|votes|influence|clusters|scores)/.*")
TARGET = ("subsets",)
ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TRIAL, AFTER_TRIAL = ("--config", "trial=64"), "cache of a trial"
VARIATIONS = {  # cores, shards, workers, mask of modes, environment, folder of `--cache`
    "one core, one shard": ("1", 1, 0, 0o077, {**ASCII, "TZ": "Pacific/Chatham"}, ""),
    "eight cores, seventeen shards": ("8", 17, 2, 0o000, {"PYTHONHASHSEED": "12345"}, ""),
    "into a cache": ("2", 3, 0, 0o027, {"TZ": "America/St_Johns", "PYTHONHASHSEED": "1"}, "cache"),
    "out of a cache": ("2", 3, 1, 0o022, {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"}, "cache"),
    "after a trial": ("2", 2, 0, 0o022, {}, AFTER_TRIAL),
}


def vary(whole: WholeRun, name: str) -> list[str]:
    """Run one variation, in a folder with a strange name; return in words what differs."""
    cores, shards, workers, mask, environment, cache = VARIATIONS[name]
    run = whole.begin(f"{name} ü 'x'/deeper")
    text = (run / CONFIG.name).read_text()
    text = text.replace("shards: 2", f"shards: {shards}")
    text = text.replace("batch_size: 16}", f"batch_size: 16, workers: {workers}}}")
    (run / CONFIG.name).write_text(text)
    flags = ["--cores", cores]
    if cache:
        place = whole.folder / cache
        place.mkdir(exist_ok=True)
        flags.append("--cache")
        environment = environment | {"SNAKEMAKE_OUTPUT_CACHE": str(place)}
    before = os.umask(mask)
    try:
        for trial in [TRIAL, ()] if cache == AFTER_TRIAL else [()]:
            with whole.snakemake(run, *flags, *trial, targets=TARGET, **environment) as snakemake:
                if snakemake.end() != 0:
                    return [f"failed: {snakemake.said()[-3000:]}"]
    finally:
        os.umask(before)
    return differences(later(whole.expected), later(kept(run, "kills")))


def later(files: dict[str, str]) -> dict[str, str]:
    """Return the files that all shards were put together to."""
    return {name: digest for name, digest in files.items() if LATER.fullmatch(name)}
