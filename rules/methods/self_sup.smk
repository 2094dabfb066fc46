"""Self-supervised prototypes: samples far from the centroid of their cluster (arXiv 2206.14486).

Reads pool/samples.parquet and features/<model>/last_token/; writes
scores/self_sup/seed-<s>.parquet (row, score: 1 - cosine to the prototype) and
subsets/self_sup/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "self_sup",
    parameters={
        "model": {
            "description": "reference model whose hidden states of the last token are clustered, a name from `models` (extract_features)",
            "type": "string",
            "default": "reference",
        },
        "n_clusters": {
            "trial": "nearest",
            "description": "K of the k-means; null: one for every 66.5 samples, as 10,000 for 665k (score_self_sup)",
            "type": ["integer", "null"],
            "minimum": 1,
            "default": None,
        },
        "iterations": {
            "description": "iterations of the k-means (score_self_sup)",
            "type": "integer",
            "minimum": 1,
            "default": 50,
        },
        "points_per_centroid": {
            "description": "samples that the k-means is trained on, per cluster at most (score_self_sup)",
            "type": "integer",
            "minimum": 1,
            "default": 256,
        },
        "memory_gb": {
            "description": "GB that the samples for training may take, at two bytes a value (score_self_sup)",
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 4,
        },
        "seed": {
            "description": "seed of the k-means; null: that of the run; a number fixes it for all runs, whose intervals then leave its randomness out (score_self_sup)",
            "type": ["integer", "null"],
            "minimum": 0,
            "default": None,
        },
        "keep": {
            "description": "samples far from their prototype (hard) or close to it (easy) (select_self_sup)",
            "enum": ["hard", "easy"],
            "default": "hard",
        },
    },
)


rule score_self_sup:
    """Distance of every sample to the prototype of its cluster."""
    input:
        code=code("score_samples.py", "vlselect/methods/self_sup.py"),
        samples="<results>/pool/samples.parquet",
        last_token=gather.pool(
            "<results>/features/{model}/last_token/shard-{scatteritem}.safetensors",
            model=config["methods"]["self_sup"]["model"],
        ),
    output:
        scores="<results>/scores/self_sup/seed-{seed}.parquet",
    log:
        "<logs>/score_self_sup/seed-{seed}.log",
    benchmark:
        "<costs>/score_self_sup/seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(16000),
        runtime=growing(480),
        growth=2,
    params:
        parameters=parameters(
            "self_sup", "n_clusters", "iterations", "points_per_centroid", "memory_gb"
        ),
        threads=config["threads"],
    shell:
        "python {input.code[0]:q} --method self_sup --samples {input.samples:q} "
        "--signal last_token {input.last_token:q} --parameters {params.parameters:q} "
        "--seed {wildcards.seed} --threads {params.threads} --out {output.scores:q} 2> {log:q}"


rule select_self_sup:
    """Take the farthest samples, or the closest."""
    input:
        code=code("select_subset.py", "vlselect/methods/self_sup.py"),
        samples="<results>/pool/samples.parquet",
        scores=of_run("self_sup", "<results>/scores/self_sup/seed-{seed}.parquet"),
        limits=limit_files,
    output:
        records="<results>/subsets/self_sup/{budget}_seed-{seed}.json",
        rows="<results>/subsets/self_sup/{budget}_seed-{seed}.parquet",
    log:
        "<logs>/select_self_sup/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/select_self_sup/{budget}_seed-{seed}.jsonl"
    conda:
        "../../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        limits=limit_flags,
        parameters=parameters("self_sup", "keep"),
    shell:
        "python {input.code[0]:q} --method self_sup --samples {input.samples:q} "
        "--signal scores {input.scores:q} "
        "--parameters {params.parameters:q} "
        "--budget {wildcards.budget} --seed {wildcards.seed} {params.limits} "
        "--out-records {output.records:q} --out-rows {output.rows:q} 2> {log:q}"
