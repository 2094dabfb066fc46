"""What a run prints: a line for each job, and at its end what came of it and how to resume.

With -p, --verbose or --debug-dag, Snakemake prints as it does. Its own log, .snakemake/log/, has all
that it would print. Reads pool/summary.json, tables/contamination.csv and the names of the run's folders; writes nothing.
"""

import csv
import logging
import time

from snakemake.logging import DefaultFormatter
from snakemake_interface_executor_plugins.settings import ExecMode
from snakemake_interface_logger_plugins.common import LogEvent
from vlselect.core import screen
from vlselect.tables.contamination import POOL, sentences

EARLY = {  # rules that check what later jobs depend on: where one fails, no other job is begun
    *("accept_pool", "check_budgets", "check_tests", "make_task", "prepare_pool"),
    "prepare_task",
}
UNSHOWN = {LogEvent.JOB_FINISHED, LogEvent.RESOURCES_INFO, LogEvent.WORKFLOW_STARTED}
SCHEDULING = ("Select jobs to execute", "Execute ")  # messages without an event
SENTENCES = 5  # of the copies of held-out records
SHOWN = ("pool", "subsets", "exports", "checkpoints", "tables", "figures")


class OneLine(DefaultFormatter):
    """A line for each job that begins; of a job that fails, its log's last lines."""

    def format_job_info(self, msg):
        reason = msg["reason"] if workflow.dryrun else ""
        line = screen.job_line(msg["rule_name"], msg["wildcards"], reason)
        return f"    {line}" if msg["indent"] else line

    def format_job_error(self, msg):
        return screen.failure(msg["rule_name"], msg["log"])

    def format_group_error(self, msg):
        jobs = msg["job_error_info"]
        return "\n".join(screen.failure(job["rule_name"], job["log"]) for job in jobs)

    def format_progress(self, msg):
        return f"[{time.strftime('%H:%M:%S')}] {super().format_progress(msg)}"


def is_shown(record):
    """Return whether a message goes to the screen: what comes with every job does not."""
    event, text = getattr(record, "event", None), str(record.msg)
    of_shell = event == LogEvent.ERROR and "returned non-zero exit status" in text
    return not (event in UNSHOWN or of_shell or text.startswith(SCHEDULING))


class Watch(logging.Handler):
    """Ends a run that asks for GPUs in vain; begins no more jobs once a check has failed."""

    def __init__(self):
        super().__init__()
        self.failed = set()

    def emit(self, record):
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO and not config["cached"]:  # all jobs are known
            check_gpus()
        if event == LogEvent.JOB_ERROR and record.rule_name in EARLY:
            self.failed.add(record.jobid)
        elif event == LogEvent.JOB_FINISHED and record.job_id in self.failed:
            self.failed.remove(record.job_id)
        else:
            return
        keep_going = workflow.execution_settings.keep_going
        workflow.scheduler.keepgoing = keep_going and not self.failed


def set_screen():
    """Make Snakemake show a line for each job, unless more was asked for."""
    manager, settings = workflow.logger_manager, workflow.output_settings
    if workflow.exec_mode == ExecMode.REMOTE:
        return
    if workflow.is_main_process:
        manager.logger.addHandler(Watch())
    if settings.printshellcmds or settings.verbose or settings.debug_dag:
        return
    for handler in manager.logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.setFormatter(OneLine(settings.quiet, settings.show_failed_logs))
            handler.addFilter(is_shown)


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
    if data_files.lost_records(found):
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


def final_message():
    """Return the folders of the run, each with its number of files."""
    results = Path(RESULTS)
    lines = [
        *intake_lines(results),
        *task_lines(results),
        *contamination_lines(results),
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
    lines = "\n".join(screen.failures(jobs))
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


onstart:  # Snakemake keeps the last one alone, so that of workarounds.smk is called here
    lift_default_limit()
    if config["trial"]:
        print(trial_message(), file=sys.stderr)


onsuccess:
    print(final_message(), file=sys.stderr)


onerror:
    print(failure_message(), file=sys.stderr)


set_screen()
