"""Functions that rules are written with: flags, inputs and lists of targets, a file for each stage.

No rules here: these are included before any rule, in this order. Last, the image of every job.
"""


include: "checks.smk"
include: "common.smk"
include: "python.smk"
include: "models.smk"
include: "gpus.smk"
include: "pool.smk"
include: "tasks.smk"
include: "check_samples.smk"
include: "features.smk"
include: "gradients.smk"
include: "influence.smk"
include: "clusters.smk"
include: "methods.smk"
include: "subsets.smk"
include: "exports.smk"
include: "checkpoints.smk"
include: "benchmarks.smk"
include: "tables.smk"
include: "costs.smk"
include: "figures.smk"
include: "report.smk"


def everything():
    """Return what `snakemake` makes when asked for nothing in particular."""
    if config["cached"]:
        return figure_files()
    return [
        *subset_files(),
        *matrix_files(),
        *export_files(),
        *benchmark_files(),
        *table_files(),
        *figure_files(),
        "<results>/provenance.json",
    ]


container: config["container"]
