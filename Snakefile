"""vlselect: from raw instruction data to subsets, checkpoints, benchmarks, tables and figures."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

# A config of one's own stands alone: nothing of the default is mixed in.
if not workflow.overwrite_configfiles:

    configfile: Path(workflow.basedir) / "config.yaml"


include: "rules/functions/all.smk"


pathvars:
    results=RESULTS,
    logs=f"{RESULTS}/logs",
    costs=f"{RESULTS}/costs",
    made=f"results/{trial.origin(config)}",  # what the workflow itself makes to be read: a trial shares it


if not config["cached"]:

    scattergather:
        pool=config["pool"]["shards"],

    for name in rule_files(config):

        include: f"rules/{name}.smk"


include: "rules/figures.smk"
include: "rules/workarounds.smk"
include: "rules/console.smk"


checked(check_references, config, NEEDS_VALIDATION)
if not config["cached"]:
    checked(check_models, config)


wildcard_constraints:
    model=one_of(config["models"]),
    method=one_of(METHODS),
    task=one_of(config["tasks"]),
    budget=r"ratio-\d+\.\d+|samples-\d+|tokens-\d+",
    seed=r"\d+",
    format=one_of(registry.names("export")),


rule all:
    """Everything that the config asks for."""
    default_target: True
    input:
        everything(),


rule subsets:
    """Only what a training program needs: the chosen records of every method, budget and seed."""
    input:
        subset_files(),


rule exports:
    """The subsets in the formats of training programs that the config's `export` lists."""
    input:
        export_files(),


rule benchmarks:
    """Scores of every finetuned checkpoint."""
    input:
        benchmark_files(),


rule figures:
    """Every figure, from the tables alone."""
    input:
        figure_files(),
