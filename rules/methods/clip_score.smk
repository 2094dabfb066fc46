"""CLIP-Score: samples whose image and text agree most, by the cosine of a CLIP.

Reads pool/samples.parquet and features/<model>/clip/; writes scores/clip_score/seed-0.parquet
(row, score; no score for samples without an image) and
subsets/clip_score/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "clip_score",
    parameters={
        "model": {
            "description": "CLIP that embeds images and texts, a name from `models` (extract_clip)",
            "type": "string",
            "default": "clip",
        },
        "text_only": {
            "description": "samples without an image: drop, or their proportional share drawn at random (select_clip_score)",
            "enum": ["proportional", "drop"],
            "default": "proportional",
        },
    },
)


rule score_clip_score:
    """Cosine of the image and the text embedding of every sample."""
    input:
        code=code("score_samples.py", "vlselect/methods/clip_score.py"),
        samples="<results>/pool/samples.parquet",
        clip=gather.pool(
            "<results>/features/{model}/clip/shard-{scatteritem}.safetensors",
            model=config["methods"]["clip_score"]["model"],
        ),
    output:
        scores="<results>/scores/clip_score/seed-0.parquet",
    log:
        "<logs>/score_clip_score/seed-0.log",
    benchmark:
        "<costs>/score_clip_score/seed-0.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        threads=config["threads"],
    shell:
        "python {input.code[0]:q} --method clip_score --samples {input.samples:q} "
        "--signal clip {input.clip:q} --seed 0 --threads {params.threads} "
        "--out {output.scores:q} 2> {log:q}"


rule select_clip_score:
    """Take the highest scores; text-only samples by their policy."""
    input:
        code=code("select_subset.py", "vlselect/methods/clip_score.py"),
        samples="<results>/pool/samples.parquet",
        scores="<results>/scores/clip_score/seed-0.parquet",
        limits=limit_files,
    output:
        records="<results>/subsets/clip_score/{budget}_seed-{seed}.json",
        rows="<results>/subsets/clip_score/{budget}_seed-{seed}.parquet",
    log:
        "<logs>/select_clip_score/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/select_clip_score/{budget}_seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        limits=limit_flags,
        parameters=parameters("clip_score", "text_only"),
    shell:
        "python {input.code[0]:q} --method clip_score --samples {input.samples:q} "
        "--signal scores {input.scores:q} "
        "--parameters {params.parameters:q} "
        "--budget {wildcards.budget} --seed {wildcards.seed} {params.limits} "
        "--out-records {output.records:q} --out-rows {output.rows:q} 2> {log:q}"
