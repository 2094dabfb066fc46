"""Random selection, the baseline.

Reads pool/samples.parquet; writes subsets/random/<budget>_seed-<s>.{json,parquet}.
"""

declare_method("random", parameters={})


rule select_random:
    """Draw samples uniformly without replacement."""
    input:
        code=code("select_subset.py", "vlselect/methods/random.py"),
        samples="<results>/pool/samples.parquet",
        limits=limit_files,
    output:
        records="<results>/subsets/random/{budget}_seed-{seed}.json",
        rows="<results>/subsets/random/{budget}_seed-{seed}.parquet",
    log:
        "<logs>/select_random/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/select_random/{budget}_seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        limits=limit_flags,
    shell:
        "python {input.code[0]:q} --method random --samples {input.samples:q} "
        "--budget {wildcards.budget} --seed {wildcards.seed} {params.limits} "
        "--out-records {output.records:q} --out-rows {output.rows:q} 2> {log:q}"
