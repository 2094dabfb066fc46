"""What a run shows while it runs: a line for each job that begins, and why one failed.

With -p, --verbose or --debug-dag, Snakemake shows what it does. Its own log, .snakemake/log/, has all of
it. Reads the logs of jobs that fail; writes nothing.
"""

import logging
import time

from snakemake.logging import DefaultFormatter, LogEvent
from snakemake.workflow import ExecMode
from vlselect.plan import screen

EARLY = {  # rules that check what later jobs depend on: where one fails, no other job is begun
    *("accept_pool", "admit_samples", "check_budgets", "check_tests", "make_task"),
    *("prepare_pool", "prepare_task"),
}
UNSHOWN = {LogEvent.JOB_FINISHED, LogEvent.RESOURCES_INFO, LogEvent.WORKFLOW_STARTED}
# commands that failed and how they ended; what executors said of their jobs
JOB_ERRORS = []
BEGUN = time.time()
SCHEDULING = ("Select jobs to execute", "Execute ")  # messages without an event


class OneLine(DefaultFormatter):
    """A line for each job that begins; of a job that fails, its log's last lines."""

    def format_job_info(self, msg):
        reason = msg["reason"] if workflow.dryrun else ""
        line = screen.job_line(msg["rule_name"], msg["wildcards"], reason)
        return f"    {line}" if msg["indent"] else line

    def format_job_error(self, msg):
        errors = [*JOB_ERRORS, executor_error(msg)]
        return screen.failure(msg["rule_name"], msg["log"], errors, BEGUN)

    def format_group_error(self, msg):
        jobs = msg["job_error_info"]
        return "\n".join(
            screen.failure(job["rule_name"], job["log"], JOB_ERRORS, BEGUN)
            for job in jobs
        )

    def format_progress(self, msg):
        return f"[{time.strftime('%H:%M:%S')}] {super().format_progress(msg)}"


def executor_error(values):
    """Return what an executor says of a job that fails, with the job's logs; "" if it says nothing."""
    said = values.get("rule_msg")
    return f"{said} {' '.join(map(str, values.get('log') or ()))}" if said else ""


def is_shown(record):
    """Return whether a message goes to the screen: what comes with every job does not."""
    event, text = getattr(record, "event", None), str(record.msg)
    of_shell = event == LogEvent.ERROR and "returned non-zero exit status" in text
    return not (event in UNSHOWN or of_shell or text.startswith(SCHEDULING))


def begin_run():
    """Check and prepare what a run depends on. No hook does this: --no-hooks would leave it out."""
    if not config["cached"]:
        check_gpus()
        warn_of_auto()
    if not workflow.dryrun:
        apply_at_start()
        share_gpus()


class Watch(logging.Handler):
    """Begins a run, unless it asks for GPUs in vain; begins no more jobs once a check has failed."""

    def __init__(self):
        super().__init__()
        self.failed = set()

    def emit(self, record):
        event = getattr(record, "event", None)
        if event == LogEvent.ERROR:
            JOB_ERRORS.append(str(record.msg))
        if event == LogEvent.JOB_ERROR:
            JOB_ERRORS.append(executor_error(vars(record)))
        if event == LogEvent.RUN_INFO:  # all jobs are known
            begin_run()
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


set_screen()
