"""The Python of jobs, which call `python`; environments of conda and images have their own."""

from vlselect.core.errors import InputError
from vlselect.config.job_python import path_for_jobs

if not getattr(workflow.deployment_settings, "deployment_method", None):
    try:
        os.environ["PATH"] = path_for_jobs(os.environ.get("PATH", ""))
    except InputError as error:
        raise WorkflowError(str(error))
