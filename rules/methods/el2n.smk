"""EL2N: samples that the model errs on most, by the norm of the error (arXiv 2107.07075).

Reads pool/samples.parquet and features/<model>/likelihood/; writes scores/el2n/seed-0.parquet
(row, score) and subsets/el2n/<budget>_seed-<s>.{json,parquet}, the same for every seed.
"""

declare_method(
    "el2n",
    parameters={
        "model": {
            "description": "reference model that predicts the responses, a name from `models` (extract_features)",
            "type": "string",
            "default": "reference",
        },
        "keep": {
            "description": "which part of the ranking: the highest, a window centred on the median, or the lowest (select_el2n)",
            "enum": ["top", "middle", "bottom"],
            "default": "top",
        },
    },
)


rule score_el2n:
    """Error norm of every sample, from the likelihood signals."""
    input:
        code=code("score_samples.py", "vlselect/methods/el2n.py"),
        samples="<results>/pool/samples.parquet",
        likelihood=gather.pool(
            "<results>/features/{model}/likelihood/shard-{scatteritem}.safetensors",
            model=config["methods"]["el2n"]["model"],
        ),
    output:
        scores="<results>/scores/el2n/seed-0.parquet",
    log:
        "<logs>/score_el2n/seed-0.log",
    benchmark:
        "<costs>/score_el2n/seed-0.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        threads=config["threads"],
    shell:
        "python {input.code[0]:q} --method el2n --samples {input.samples:q} "
        "--signal likelihood {input.likelihood:q} --seed 0 --threads {params.threads} "
        "--out {output.scores:q} 2> {log:q}"


rule select_el2n:
    """Take the highest, the middle or the lowest scores."""
    input:
        code=code("select_subset.py", "vlselect/methods/el2n.py"),
        samples="<results>/pool/samples.parquet",
        scores="<results>/scores/el2n/seed-0.parquet",
        limits=limit_files,
    output:
        records="<results>/subsets/el2n/{budget}_seed-{seed}.json",
        rows="<results>/subsets/el2n/{budget}_seed-{seed}.parquet",
    log:
        "<logs>/select_el2n/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/select_el2n/{budget}_seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        limits=limit_flags,
        parameters=parameters("el2n", "keep"),
    shell:
        "python {input.code[0]:q} --method el2n --samples {input.samples:q} "
        "--signal scores {input.scores:q} "
        "--parameters {params.parameters:q} "
        "--budget {wildcards.budget} --seed {wildcards.seed} {params.limits} "
        "--out-records {output.records:q} --out-rows {output.rows:q} 2> {log:q}"
