"""The pool: which records can be used.

Reads the records and images that config.pool names; writes pool/samples.parquet (accepted),
pool/rejected.csv (the others, each with its reason) and pool/summary.json (counts, digests of the
records' files). Records are JSON, Parquet or saved datasets; images are in folders, in tars, or in
the records' tables. Where copies of held-out records are not just counted (contamination.smk), it reads tasks/<task>/ too and
writes tables/contamination.csv. Passes over the pool wait for pool/accepted.json.

Rules that read data or check it go first (`priority: 100`): what is wrong ends a run before any pass.
"""


rule prepare_pool:
    """Parse every record, check its conversation and decode its images."""
    input:
        code=code("prepare_pool.py"),
        records=pool_record_files(),
        exclude=excluded_ids(),
        held_out=held_out_files() if screens_pool(config) else [],
    output:
        samples="<results>/pool/samples.parquet",
        rejected="<results>/pool/rejected.csv",
        summary="<results>/pool/summary.json",
        contamination=contamination_table() if screens_pool(config) else [],
    log:
        "<logs>/prepare_pool.log",
    benchmark:
        "<costs>/prepare_pool/all.jsonl"
    priority: 100
    conda:
        "../envs/pool.yaml"
    # Threads only decode images here: no number depends on how many there are.
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=growing(480),
    params:
        records=record_locations(),
        images=image_locations(),
        options=intake_options,
        held_out=held_out_flags() if screens_pool(config) else "",
        trial=config["trial"] or [],
    shell:
        "python {input.code[0]:q} --records {params.records:q} --images {params.images:q}"
        " {params.options} {params.held_out} --trial {params.trial:q} --workers {threads}"
        " --samples {output.samples:q} --rejected {output.rejected:q} --summary {output.summary:q}"
        " --contamination {output.contamination:q} 2> {log:q}"


rule accept_pool:
    """Check a new pool before any model is run on it; check_budgets looks at changes of the config."""
    input:
        samples="<results>/pool/samples.parquet",
        summary="<results>/pool/summary.json",
    output:
        "<results>/pool/accepted.json",
    log:
        "<logs>/accept_pool.log",
    benchmark:
        "<costs>/accept_pool/all.jsonl"
    priority: 100
    conda:
        "../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    params:
        check=check_flags,
    shell:
        "python {params.check} --samples {input.samples:q} --summary {input.summary:q}"
        " --out {output:q} 2> {log:q}"
