"""SemDeDup: no two samples of a cluster that are too much alike (arXiv 2303.09540).

Reads pool/samples.parquet and features/<model>/last_token/; writes
scores/semdedup/seed-<s>.parquet (row, score: the largest epsilon at which the
sample stays) and subsets/semdedup/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "semdedup",
    parameters={
        "model": {
            "description": "reference model whose hidden states of the last token are compared, a name from `models` (extract_features)",
            "type": "string",
            "default": "reference",
        },
        "n_clusters": {
            "trial": "nearest",
            "description": "K of the k-means; null: one for every 66.5 samples, as 10,000 for 665k (score_semdedup)",
            "type": ["integer", "null"],
            "minimum": 1,
            "default": None,
        },
        "iterations": {
            "description": "iterations of the k-means (score_semdedup)",
            "type": "integer",
            "minimum": 1,
            "default": 50,
        },
        "points_per_centroid": {
            "description": "samples that the k-means is trained on, per cluster at most (score_semdedup)",
            "type": "integer",
            "minimum": 1,
            "default": 256,
        },
        "memory_gb": {
            "description": "GB that the samples for training may take, at two bytes a value (score_semdedup)",
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 4,
        },
        "seed": {
            "description": "seed of the k-means; null: that of the run; a number fixes it for all runs, whose intervals then leave its randomness out (score_semdedup)",
            "type": ["integer", "null"],
            "minimum": 0,
            "default": None,
        },
        "first": {
            "description": "whether the samples that are least (hard) or most (easy) like their centroid come first in a cluster and so stay (score_semdedup)",
            "enum": ["hard", "easy"],
            "default": "hard",
        },
    },
)


rule score_semdedup:
    """Largest epsilon at which each sample stays: 1 - cosine to the nearest earlier one."""
    input:
        code=code("score_samples.py", "vlselect/methods/semdedup.py"),
        samples="<results>/pool/samples.parquet",
        last_token=gather.pool(
            "<results>/features/{model}/last_token/shard-{scatteritem}.safetensors",
            model=config["methods"]["semdedup"]["model"],
        ),
    output:
        scores="<results>/scores/semdedup/seed-{seed}.parquet",
    log:
        "<logs>/score_semdedup/seed-{seed}.log",
    benchmark:
        "<costs>/score_semdedup/seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(16000),
        runtime=growing(480),
        growth=2,
    params:
        parameters=parameters(
            "semdedup",
            "n_clusters",
            "iterations",
            "points_per_centroid",
            "memory_gb",
            "first",
        ),
        threads=config["threads"],
    shell:
        "python {input.code[0]:q} --method semdedup --samples {input.samples:q} "
        "--signal last_token {input.last_token:q} --parameters {params.parameters:q} "
        "--seed {wildcards.seed} --threads {params.threads} --out {output.scores:q} 2> {log:q}"


rule select_semdedup:
    """Solve for the epsilon at which exactly the budget stays."""
    input:
        code=code("select_subset.py", "vlselect/methods/semdedup.py"),
        samples="<results>/pool/samples.parquet",
        scores=of_run("semdedup", "<results>/scores/semdedup/seed-{seed}.parquet"),
        limits=limit_files,
    output:
        records="<results>/subsets/semdedup/{budget}_seed-{seed}.json",
        rows="<results>/subsets/semdedup/{budget}_seed-{seed}.parquet",
    log:
        "<logs>/select_semdedup/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/select_semdedup/{budget}_seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        limits=limit_flags,
    shell:
        "python {input.code[0]:q} --method semdedup --samples {input.samples:q} "
        "--signal scores {input.scores:q} "
        "--budget {wildcards.budget} --seed {wildcards.seed} {params.limits} "
        "--out-records {output.records:q} --out-rows {output.rows:q} 2> {log:q}"
