"""Perplexity: samples that the model finds neither too easy nor too odd (arXiv 2309.04564).

Reads pool/samples.parquet and features/<model>/likelihood/; writes scores/perplexity/seed-0.parquet
(row, score) and subsets/perplexity/<budget>_seed-<s>.{json,parquet}, the same for every seed.
"""

declare_method(
    "perplexity",
    parameters={
        "model": {
            "description": "reference model that predicts the responses, a name from `models` (extract_features)",
            "type": "string",
            "default": "reference",
        },
        "keep": {
            "description": "which part of the ranking: the highest, a window centred on the median, or the lowest (select_perplexity)",
            "enum": ["top", "middle", "bottom"],
            "default": "middle",
        },
    },
)


rule score_perplexity:
    """Perplexity of the responses of every sample, from the likelihood signals."""
    input:
        code=code("score_samples.py", "vlselect/methods/perplexity.py"),
        samples="<results>/pool/samples.parquet",
        likelihood=gather.pool(
            "<results>/features/{model}/likelihood/shard-{scatteritem}.safetensors",
            model=config["methods"]["perplexity"]["model"],
        ),
    output:
        scores="<results>/scores/perplexity/seed-0.parquet",
    log:
        "<logs>/score_perplexity/seed-0.log",
    benchmark:
        "<costs>/score_perplexity/seed-0.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        threads=config["threads"],
    shell:
        "python {input.code[0]:q} --method perplexity --samples {input.samples:q} "
        "--signal likelihood {input.likelihood:q} --seed 0 --threads {params.threads} "
        "--out {output.scores:q} 2> {log:q}"


rule select_perplexity:
    """Take the middle, the highest or the lowest perplexities."""
    input:
        code=code("select_subset.py", "vlselect/methods/perplexity.py"),
        samples="<results>/pool/samples.parquet",
        scores="<results>/scores/perplexity/seed-0.parquet",
        limits=limit_files,
    output:
        records="<results>/subsets/perplexity/{budget}_seed-{seed}.json",
        rows="<results>/subsets/perplexity/{budget}_seed-{seed}.parquet",
    log:
        "<logs>/select_perplexity/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/select_perplexity/{budget}_seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        limits=limit_flags,
        parameters=parameters("perplexity", "keep"),
    shell:
        "python {input.code[0]:q} --method perplexity --samples {input.samples:q} "
        "--signal scores {input.scores:q} "
        "--parameters {params.parameters:q} "
        "--budget {wildcards.budget} --seed {wildcards.seed} {params.limits} "
        "--out-records {output.records:q} --out-rows {output.rows:q} 2> {log:q}"
