"""Two runs at once: in one folder of results, in one working folder, on one cache and one model.

Both begin in the same moment, and in the end have to equal the undisturbed run, with nothing left
over. What they read, the model too, is that run's own: links to the same bytes.
"""

from kept_bytes import differences, kept, left_over
from running_jobs import Snakemake
from same_bytes import TARGET, later
from whole_run import CONFIG, WholeRun

LOCKED = "Directory cannot be locked"
CURE = "--unlock"


def one_folder_of_results(whole: WholeRun) -> list[str]:
    """Begin the same run twice: one is refused, or both end; then the command again does it all."""
    run, found = whole.begin("the same run twice"), []
    first, second = (whole.snakemake(run, "--cores", "1") for _ in range(2))
    with first, second:
        endings = [(snakemake.end(), snakemake.said()) for snakemake in (first, second)]
    for status, said in endings:
        if status != 0 and not (LOCKED in said and CURE in said):
            found.append(f"failed: {said[-3000:]}")
    locked = sum(LOCKED in said for _, said in endings)
    print(f"{locked} of two were refused for the lock")
    with whole.snakemake(run, "--cores", "1") as again:
        if again.end() != 0:
            found.append(f"not finished: {again.said()[-3000:]}")
    return found + differences(whole.expected, kept(run)) + left_over(run)


def one_working_folder(whole: WholeRun) -> list[str]:
    """Begin two runs of different names that read the same model, images and records."""
    run = whole.begin("two names in one folder")
    other = run / "other.yaml"
    other.write_text((run / CONFIG.name).read_text().replace("run: kills", "run: other"))
    found = both_end(
        whole.snakemake(run, "--cores", "1"),
        whole.snakemake(run, "--cores", "1", config=other),
    )
    for name in ("kills", "other"):
        found += differences(whole.expected, kept(run, name))
    return found + left_over(run)


def one_cache(whole: WholeRun) -> list[str]:
    """Begin the same selection in two folders with one empty `--cache`."""
    place = whole.folder / "cache of two"
    place.mkdir()
    runs = [whole.begin(f"with one cache, {name}") for name in ("first", "second")]
    cached = {"SNAKEMAKE_OUTPUT_CACHE": str(place)}
    found = both_end(
        *(whole.snakemake(run, "--cores", "1", "--cache", targets=TARGET, **cached) for run in runs)
    )
    nested = [str(path) for path in place.iterdir() if (path / path.name).exists()]
    for run in runs:
        found += differences(later(whole.expected), later(kept(run))) + left_over(run)
    return found + [f"{path} is within itself" for path in nested]


PAIRS = (one_folder_of_results, one_working_folder, one_cache)


def both_end(first: Snakemake, second: Snakemake) -> list[str]:
    """Run two; return in words which of them failed."""
    with first, second:
        ended = [(snakemake.end(), snakemake.said()) for snakemake in (first, second)]
    return [f"failed: {said[-3000:]}" for status, said in ended if status != 0]
