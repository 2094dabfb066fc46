"""The Python of jobs, which call `python`; environments of conda and images have their own.

Jobs get to know this Snakemake, to end when it is killed.
"""

from vlselect.core import log
from vlselect.core.errors import InputError
from vlselect.config.job_python import set_path

if not getattr(workflow.deployment_settings, "deployment_method", None):
    try:
        set_path()
    except InputError as error:
        raise WorkflowError(str(error))

log.name_snakemake()
