"""Copies of validation and test records in the pool, and of test records in validation sets.

Reads pool/samples.parquet, tasks/<task>/… and the images; writes tables/contamination.csv. With
`on_contamination: exclude` or `error`, prepare_pool does this instead (pool.smk).
"""


rule tabulate_contamination:
    """Count exact copies of held-out records: images with a question, and whole conversations."""
    input:
        code=code("tabulate_contamination.py"),
        samples="<results>/pool/samples.parquet",
        held_out=held_out_files(),
    output:
        "<results>/tables/contamination.csv",
    log:
        "<logs>/tabulate_contamination.log",
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        images=image_locations(),
        held_out=held_out_flags(),
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} --images {params.images:q}"
        " {params.held_out} --out {output:q} 2> {log:q}"
