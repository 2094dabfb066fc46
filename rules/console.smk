"""What a run says when it ends: where its results are, what was refused, how to go on.

Reads pool/summary.json and the names of the run's folders; writes nothing.
"""

SHOWN = ("pool", "subsets", "exports", "checkpoints", "tables", "figures")


def refused_line(results):
    """How many records became samples; nothing where there is no pool."""
    summary = results / "pool/summary.json"
    if not summary.is_file():
        return []
    found = json.loads(summary.read_text())
    reasons = ", ".join(f"{n} {why}" for why, n in found["rejected_by_reason"].items())
    why = f" (rejected: {reasons}; see pool/rejected.csv)" if reasons else ""
    return [f"{found['accepted']} of {found['read']} records are in the pool{why}"]


def final_message():
    """The folders that are there, with their number of files."""
    results = Path("results") / config["run"]
    lines = refused_line(results)
    for folder in filter(Path.is_dir, map(results.joinpath, SHOWN)):
        count = sum(path.is_file() for path in folder.rglob("*"))
        lines.append(f"{count:6d} files in {folder}/")
    return "\n".join(["Done.", *lines])


def budget_complaint(results):
    """Why budgets cannot be met; said again in the end, since what does not depend on it went on."""
    log = results / "logs/check_budgets.log"
    if not log.is_file() or (results / "pool/budgets.json").is_file():
        return ""
    lines = log.read_text().split("ERROR vlselect.log: ")[-1].strip()
    return f"{lines}\n" if lines else ""


def failure_message():
    """Where to look, and that the same command goes on."""
    complaint = budget_complaint(Path("results") / config["run"])
    return (
        f"{complaint}Not finished. The ends of the logs of failed jobs are above; all logs are in"
        f" results/{config['run']}/logs/. What is finished stays: put right what is wrong and give"
        " the same command again. docs/operations.md says more."
    )


onsuccess:
    print(final_message(), file=sys.stderr)


onerror:
    print(failure_message(), file=sys.stderr)
