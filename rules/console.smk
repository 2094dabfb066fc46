"""What a run says when it ends: where its results are, what was rejected, what failed, how to resume.

Reads pool/summary.json, tables/contamination.csv, features/<model>/refused.csv and the names of the
run's folders; writes nothing.
"""

import csv
from collections import Counter

from vlselect.plan import screen
from vlselect.pool.rejection import lost_records
from vlselect.tables.contamination import POOL, sentences

SENTENCES = 5  # of the copies of held-out records
SHOWN = ("pool", "subsets", "exports", "checkpoints", "tables", "figures")


def intake_lines(results):
    """Return how many records became samples; nothing where there is no pool."""
    summary = results / "pool/summary.json"
    if not summary.is_file():
        return []
    found = json.loads(summary.read_text())
    reasons = ", ".join(f"{n} {why}" for why, n in found["rejected_by_reason"].items())
    why = f" (rejected: {reasons}; see pool/rejected.csv)" if reasons else ""
    taken = found.get("taken", found["read"])
    lines = [f"{found['accepted']} of {taken} records are in the pool{why}"]
    if lost_records(found):
        lines[0] = f"WARNING: {lines[0]}"
    if urls := found["rejected_by_reason"].get("image_url"):
        lines.append(
            f"{urls} records name images by URLs, which are not downloaded: save these images below"
            " the pool's `images` and put their paths into the records"
        )
    return lines


def task_lines(results):
    """Return how many records each task lost; nothing where none did."""
    lines = []
    for name in config["tasks"]:
        table = results / f"tasks/{name}/rejected.csv"
        if table.is_file():
            with table.open(encoding="utf-8", newline="") as stream:
                lost = sum(1 for _ in csv.DictReader(stream))
            if lost:
                lines.append(
                    f"WARNING: {lost} records of task {name} are lost (see {table})"
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
    lines = [
        *intake_lines(results),
        *task_lines(results),
        *contamination_lines(results),
        *refused_lines(results),
    ]
    for folder in filter(Path.is_dir, map(results.joinpath, SHOWN)):
        count = sum(path.is_file() for path in folder.rglob("*"))
        lines.append(f"{count:6d} files in {folder}/")
    return "\n".join(["Done.", *lines])


def failure_message():
    """Return the last lines of the failed jobs' logs, and that the same command resumes the run."""
    failed = getattr(workflow.scheduler, "failed", [])
    jobs = sorted(
        (job.rule.name, list(job.log)) for job in failed if not job.is_group()
    )
    jobs += [(j.rule.name, list(j.log)) for g in failed if g.is_group() for j in g]
    lines = "\n".join(screen.failures(jobs, JOB_ERRORS, BEGUN))
    return (
        f"{lines}\nNot finished. All logs are in {RESULTS}/logs/. What is finished stays: correct"
        " what is wrong and repeat the same command again. docs/operations.md says more."
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


onstart:
    if config["trial"]:
        print(trial_message(), file=sys.stderr)


onsuccess:
    print(final_message(), file=sys.stderr)


onerror:
    print(failure_message(), file=sys.stderr)
