"""Concept-skill clusters of the pool.

Reads features/<model>/activations/ of the model that methods.coincide names; writes
clusters/seed-<s>/assignments.parquet (row, cluster, distance), …/centroids.safetensors and
…/summary.parquet (cluster, size, transferability, density). The seed is that of the k-means.
"""

if "coincide" in METHODS:

    rule cluster_activations:
        """Cluster by spherical k-means; empty clusters are left out, collapsed ones are an error."""
        input:
            code=code("cluster_activations.py"),
            activations=activation_shards,
        output:
            assignments="<results>/clusters/seed-{seed}/assignments.parquet",
            centroids="<results>/clusters/seed-{seed}/centroids.safetensors",
        log:
            "<logs>/cluster_activations/seed-{seed}.log",
        benchmark:
            "<costs>/cluster_activations/seed-{seed}.jsonl"
        conda:
            branch(
                clustering_gpus,
                then="../envs/gpu/clusters.yaml",
                otherwise="../envs/selection.yaml",
            )
        threads: config["threads"]
        resources:
            mem_mb=growing(16000),
            runtime=growing(480),
            growth=2,
            gpu=clustering_gpus,
            on_gpus=ON_GPUS,
        params:
            clustering=clustering_flags,
            threads=config["threads"],
        shell:
            "{resources.on_gpus} {resources.gpu} "
            "python {input.code[0]:q} --activations {input.activations:q} {params.clustering} "
            "--threads {params.threads} --out-assignments {output.assignments:q} "
            "--out-centroids {output.centroids:q} 2> {log:q}"

    rule summarise_clusters:
        """Compute size, transferability and density of every cluster."""
        input:
            code=code("summarise_clusters.py"),
            activations=activation_shards,
            assignments="<results>/clusters/seed-{seed}/assignments.parquet",
            centroids="<results>/clusters/seed-{seed}/centroids.safetensors",
        output:
            summary="<results>/clusters/seed-{seed}/summary.parquet",
        log:
            "<logs>/summarise_clusters/seed-{seed}.log",
        benchmark:
            "<costs>/summarise_clusters/seed-{seed}.jsonl"
        conda:
            "../envs/selection.yaml"
        threads: config["threads"]
        resources:
            mem_mb=growing(8000),
            runtime=growing(240),
            growth=2,
        params:
            summary=summary_flags,
            threads=config["threads"],
        shell:
            "python {input.code[0]:q} --activations {input.activations:q} "
            "--assignments {input.assignments:q} --centroids {input.centroids:q} "
            "{params.summary} --threads {params.threads} --out {output.summary:q} 2> {log:q}"
