"""Exports: subsets as the files that training programs read (docs/exports.md).

Reads pool/samples.parquet, subsets/<method>/… and the images; writes the directories
exports/<method>/<budget>_seed-<s>/<format>/, whose formats are the modules of
scripts/vlselect/exports/ that define write().
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
