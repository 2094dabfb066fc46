"""ScalSelect: samples with the most leverage in a dominant visual subspace (arXiv 2602.11636).

Reads pool/samples.parquet and features/<model>/attended/; writes scores/scalselect/seed-0.parquet
(row, score; no score for samples without an image) and
subsets/scalselect/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "scalselect",
    parameters={
        "model": {
            "description": "target model before instruction tuning, a name from `models` (extract_attention)",
            "type": "string",
            "default": "target",
        },
        "energy": {
            "description": "share of the squared singular values that the subspace holds (score_scalselect)",
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "default": 0.9,
        },
        "text_only": {
            "description": "samples without an image: drop, or their proportional share drawn at random (select_scalselect)",
            "enum": ["proportional", "drop"],
            "default": "proportional",
        },
    },
)


rule score_scalselect:
    """Leverage of every sample in the dominant subspace of the attended visual features."""
    input:
        code=code("score_samples.py", "vlselect/methods/scalselect.py"),
        samples="<results>/pool/samples.parquet",
        attended=gather.pool(
            "<results>/features/{model}/attended/shard-{scatteritem}.safetensors",
            model=config["methods"]["scalselect"]["model"],
        ),
    output:
        scores="<results>/scores/scalselect/seed-0.parquet",
    log:
        "<logs>/score_scalselect/seed-0.log",
    benchmark:
        "<costs>/score_scalselect/seed-0.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        parameters=parameters("scalselect", "energy"),
        threads=config["threads"],
    shell:
        "python {input.code[0]:q} --method scalselect --samples {input.samples:q} "
        "--signal attended {input.attended:q} --parameters {params.parameters:q} --seed 0 "
        "--threads {params.threads} --out {output.scores:q} 2> {log:q}"


rule select_scalselect:
    """Take the highest scores; text-only samples by their policy."""
    input:
        code=code("select_subset.py", "vlselect/methods/scalselect.py"),
        samples="<results>/pool/samples.parquet",
        scores="<results>/scores/scalselect/seed-0.parquet",
        limits=limit_files,
    output:
        records="<results>/subsets/scalselect/{budget}_seed-{seed}.json",
        rows="<results>/subsets/scalselect/{budget}_seed-{seed}.parquet",
    log:
        "<logs>/select_scalselect/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/select_scalselect/{budget}_seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        limits=limit_flags,
        parameters=parameters("scalselect", "text_only"),
    shell:
        "python {input.code[0]:q} --method scalselect --samples {input.samples:q} "
        "--signal scores {input.scores:q} --parameters {params.parameters:q} "
        "--budget {wildcards.budget} --seed {wildcards.seed} {params.limits} "
        "--out-records {output.records:q} --out-rows {output.rows:q} 2> {log:q}"
