"""What all methods have in common: how a subset is chosen, and how samples are scored.

Reads pool/samples.parquet and a method's signals; writes subsets/<method>/<budget>_seed-<s>.json
(the chosen records), ….parquet (rows, ranks, scores), scores/<method>/seed-<s>.parquet and
strata/<method>/seed-<s>.parquet (row, cluster, distance). No rule runs as it stands: a method's rule
file says `use rule … as … with`, names the method among the wildcard constraints, and says what the
method reads and its parameters.
"""


rule select_subset:
    """Choose a subset by one method, budget and seed of a run, within constraints and gate."""
    input:
        code=code("select_subset.py"),
        samples="<results>/pool/samples.parquet",
        limits=limit_files,
    output:
        records="<results>/subsets/{method}/{budget}_seed-{seed}.json",
        rows="<results>/subsets/{method}/{budget}_seed-{seed}.parquet",
    log:
        "<logs>/select_{method}/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/select_{method}/{budget}_seed-{seed}.jsonl"
    wildcard_constraints:
        method="(?!)",  # none
    conda:
        f"{workflow.basedir}/envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        signals=signal_flags(),
        parameters="{}",
        limits=limit_flags,
        threads=1,
    shell:
        "python {input.code[0]:q} --method {wildcards.method} --samples {input.samples:q}"
        " {params.signals} --parameters {params.parameters:q}"
        " --budget {wildcards.budget} --seed {wildcards.seed} {params.limits}"
        " --threads {params.threads} --out-records {output.records:q} --out-rows {output.rows:q}"
        " 2> {log:q}"


rule score_samples:
    """Score every sample of the pool; the seed is that of what is random in the method."""
    input:
        code=code("score_samples.py"),
        samples="<results>/pool/samples.parquet",
    output:
        scores="<results>/scores/{method}/seed-{seed}.parquet",
    log:
        "<logs>/score_{method}/seed-{seed}.log",
    benchmark:
        "<costs>/score_{method}/seed-{seed}.jsonl"
    wildcard_constraints:
        method="(?!)",  # none
    conda:
        f"{workflow.basedir}/envs/selection.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        signals=signal_flags(),
        parameters="{}",
        threads=config["threads"],
    shell:
        "python {input.code[0]:q} --method {wildcards.method} --samples {input.samples:q}"
        " {params.signals} --parameters {params.parameters:q} --seed {wildcards.seed}"
        " --threads {params.threads} --out {output.scores:q} 2> {log:q}"


rule cluster_samples:
    """Cluster the pool's samples by their features; the seed is that of the k-means."""
    input:
        code=code("cluster_samples.py"),
        samples="<results>/pool/samples.parquet",
        features=[],
    output:
        clusters="<results>/strata/{method}/seed-{seed}.parquet",
    log:
        "<logs>/cluster_{method}/seed-{seed}.log",
    benchmark:
        "<costs>/cluster_{method}/seed-{seed}.jsonl"
    wildcard_constraints:
        method="(?!)",  # none
    conda:
        f"{workflow.basedir}/envs/selection.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(16000),
        runtime=growing(240),
    params:
        parameters="{}",
        threads=config["threads"],
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} --features {input.features:q}"
        " --parameters {params.parameters:q} --seed {wildcards.seed} --threads {params.threads}"
        " --out {output.clusters:q} 2> {log:q}"
