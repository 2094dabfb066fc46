"""What a run prints when it ends: where its results are, what was rejected, how to resume.

Reads pool/summary.json, tables/contamination.csv, features/<model>/refused.csv and the names of the run's
folders; writes nothing.
"""

import csv
from collections import Counter

from vlselect.tables.contamination import POOL, sentences

SENTENCES = 5  # of the copies of held-out records
SHOWN = ("pool", "subsets", "exports", "checkpoints", "tables", "figures")


def intake_line(results):
    """Return how many records became samples; nothing where there is no pool."""
    summary = results / "pool/summary.json"
    if not summary.is_file():
        return []
    found = json.loads(summary.read_text())
    reasons = ", ".join(f"{n} {why}" for why, n in found["rejected_by_reason"].items())
    why = f" (rejected: {reasons}; see pool/rejected.csv)" if reasons else ""
    taken = found.get("taken", found["read"])
    lines = [f"{found['accepted']} of {taken} records are in the pool{why}"]
    if urls := found["rejected_by_reason"].get("image_url"):
        lines.append(
            f"{urls} records name images by URLs, which are not downloaded: save these images below"
            " the pool's `images` and put their paths into the records"
        )
    return lines


def contamination_lines(results):
    """Return what is left of copies of held-out records; nothing where there are none."""
    table = results / "tables/contamination.csv"
    if not table.is_file():
        return []
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    taken = {POOL} if config["on_contamination"] == "exclude" else set()
    found = sentences(row for row in rows if row["place"] not in taken)
    more = [f"and {len(found) - SENTENCES} more"] if len(found) > SENTENCES else []
    lines = [*found[:SENTENCES], *more]
    why = " (tables/contamination.csv, on_contamination in the config)"
    return [f"WARNING: contamination: {'; '.join(lines)}{why}"] if lines else []


def refused_lines(results):
    """Return how many samples each model refuses, and why; nothing of those that refuse none."""
    for path in sorted(results.glob("features/*/refused*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            counts = Counter(row["reason"] for row in csv.DictReader(file))
        reasons = ", ".join(f"{n} {why}" for why, n in counts.most_common())
        if counts:
            yield f"{path.parent.name} refuses {counts.total()} samples ({reasons}; see {path})"


def final_message():
    """Return the folders of the run, each with its number of files."""
    results = Path(RESULTS)
    lines = [*intake_line(results), *contamination_lines(results)]
    lines += refused_lines(results)
    for folder in filter(Path.is_dir, map(results.joinpath, SHOWN)):
        count = sum(path.is_file() for path in folder.rglob("*"))
        lines.append(f"{count:6d} files in {folder}/")
    return "\n".join(["Done.", *lines])


def complaint(log, made):
    """Return why a check failed; other jobs have run since this was first printed."""
    if not log.is_file() or made.is_file():
        return ""
    lines = log.read_text().split("ERROR vlselect.core.log: ")[-1].strip()
    return f"{lines}\n" if lines else ""


def complaints(results):
    """Return why budgets cannot be met, and which samples models refuse."""
    found = complaint(results / "logs/check_budgets.log", results / "pool/budgets.json")
    for log in sorted((results / "logs/admit_samples").glob("*/*.log")):
        made = results / f"features/{log.parent.name}/{log.stem}.parquet"
        found += complaint(log, made)
    return found


def failure_message():
    """Return where to look, and that the same command resumes the run."""
    return (
        f"{complaints(Path(RESULTS))}Not finished. The ends of the logs of failed jobs are above; all logs are in"
        f" {RESULTS}/logs/. What is finished stays: correct what is wrong and repeat"
        " the same command again. docs/operations.md says more."
    )


def trial_message():
    """Return what a trial runs on."""
    share = f"{100 * TRIAL_SHARE:.3g} %"
    budgets = ", ".join(experiments.distinct(RUNS, "budget"))
    return (
        f"A trial of run {trial.origin(config)}: {config['trial']} samples, {share} of its pool, and"
        f" {100 * trial.task_share(TRIAL_SHARE):.3g} % of each task's sets; one seed. Budgets and"
        f" bounds in numbers are scaled likewise: {budgets}. Results: {RESULTS}/"
    )


onstart:  # Snakemake keeps the last one alone, so that of workarounds.smk is called here
    mend_start()
    share_gpus()
    if config["trial"]:
        print(trial_message(), file=sys.stderr)


onsuccess:
    print(final_message(), file=sys.stderr)


onerror:
    print(failure_message(), file=sys.stderr)
