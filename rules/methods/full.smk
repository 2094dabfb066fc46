"""The whole pool as a subset: what all others are measured against.

Reads pool/samples.parquet; writes subsets/full/ratio-1.0_seed-<s>.{json,parquet}.
"""

declare_method("full", parameters={})


rule select_full:
    """Write every accepted record, verbatim."""
    input:
        code=code("select_subset.py", "vlselect/methods/full.py"),
        samples="<results>/pool/samples.parquet",
    output:
        records="<results>/subsets/full/ratio-1.0_seed-{seed}.json",
        rows="<results>/subsets/full/ratio-1.0_seed-{seed}.parquet",
    log:
        "<logs>/select_full/ratio-1.0_seed-{seed}.log",
    benchmark:
        "<costs>/select_full/ratio-1.0_seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    shell:
        "python {input.code[0]:q} --method full --samples {input.samples:q} "
        "--budget ratio-1.0 --seed {wildcards.seed} "
        "--out-records {output.records:q} --out-rows {output.rows:q} 2> {log:q}"
