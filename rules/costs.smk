"""Costs: what the jobs of a run took, and what each selection is charged for.

Reads the benchmark files below costs/<rule>/ that Snakemake leaves; writes tables/cost.csv.
"""


# Snakemake does not treat benchmark files as outputs, so they cannot be inputs here. What is asked
# for instead are the files at the end of every chain of jobs that the table reports: when those
# exist, so do the benchmark files of all jobs before them.
rule tabulate_costs:
    """Sum up what the jobs took: by rule, and for selection and finetuning by method."""
    input:
        code=code("tabulate_costs.py"),
        subsets=subset_rows(METHODS),
        scores=scores(benchmark_names()),
        provenance="<results>/provenance.json",
        budgets=budget_tables(),
    output:
        "<results>/tables/cost.csv",
    log:
        "<logs>/tabulate_costs.log",
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        costs=folder_of("costs"),
        selections=selection_jobs,
        runs=experiments.run_names(RUNS, CHECKPOINT, METHODS),
    shell:
        "python {input.code[0]:q} --costs {params.costs:q} --selections {params.selections:q}"
        " --runs {params.runs:q} --budgets {input.budgets:q} --out {output:q} 2> {log:q}"
