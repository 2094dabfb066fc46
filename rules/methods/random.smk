"""Random selection, the baseline.

Reads pool/samples.parquet; writes subsets/random/ratio-<r>_seed-<s>.{json,parquet}.
"""

declare_method("random", stages=[], parameters={})


rule select_random:
    """Draw samples uniformly without replacement."""
    input:
        code=code("select_subset.py", "vlselect/methods/random.py"),
        samples="<results>/pool/samples.parquet",
    output:
        records="<results>/subsets/random/ratio-{ratio}_seed-{seed}.json",
        rows="<results>/subsets/random/ratio-{ratio}_seed-{seed}.parquet",
    log:
        "<logs>/select_random/ratio-{ratio}_seed-{seed}.log",
    benchmark:
        "<costs>/select_random/ratio-{ratio}_seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    shell:
        "python {input.code[0]:q} --method random --samples {input.samples:q} "
        "--ratio {wildcards.ratio} --seed {wildcards.seed} "
        "--out-records {output.records:q} --out-rows {output.rows:q} 2> {log:q}"
