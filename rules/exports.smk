"""Exports: subsets as the files that training programs read (docs/exports.md).

Reads pool/samples.parquet, subsets/<method>/…, the images and provenance.json; writes the
directories exports/<method>/<budget>_seed-<s>/<format>/, whose formats are the modules of
scripts/vlselect/subsets/exports/ that define write(), and subsets/<method>/<budget>_seed-<s>.md.
"""


rule export_subset:
    """Write the chosen records of one subset in one format."""
    input:
        code=export_code,
        samples="<results>/pool/samples.parquet",
        subset="<results>/subsets/{method}/{budget}_seed-{seed}.parquet",
    output:
        directory("<results>/exports/{method}/{budget}_seed-{seed}/{format}"),
    log:
        "<logs>/export_subset/{method}/{budget}_seed-{seed}/{format}.log",
    benchmark:
        "<costs>/export_subset/{method}/{budget}_seed-{seed}/{format}.jsonl"
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        images=image_locations(),
    shell:
        "python {input.code[0]:q} --format {wildcards.format} --samples {input.samples:q}"
        " --subset {input.subset:q} --images {params.images:q} --out {output:q} 2> {log:q}"


rule write_card:
    """Write a dataset card beside a subset that is to be published (make card)."""
    input:
        code=card_code,
        samples="<results>/pool/samples.parquet",
        subset="<results>/subsets/{method}/{budget}_seed-{seed}.json",
        rows="<results>/subsets/{method}/{budget}_seed-{seed}.parquet",
        provenance="<results>/provenance.json",
    output:
        "<results>/subsets/{method}/{budget}_seed-{seed}.md",
    log:
        "<logs>/write_card/{method}/{budget}_seed-{seed}.log",
    conda:
        "../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        sections=card_sections,
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} --subset {input.subset:q}"
        " --rows {input.rows:q} --provenance {input.provenance:q} --method {wildcards.method}"
        " --budget {wildcards.budget} --seed {wildcards.seed} --sections {params.sections}"
        " --out {output:q} 2> {log:q}"
