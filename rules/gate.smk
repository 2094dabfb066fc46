"""The gate: samples with a high loss under the warmed-up model, which no method may choose.

Reads pool/samples.parquet and {losses,pool,<task>}/ of proxy/<model>/seed-<s>/ or, in a config without that section,
of gradients/<model>/seed-<s>/; writes gate/seed-<s>.parquet (row, sample_id, group, loss, gated). The seed is theirs.
"""

if config.get("gate"):

    rule gate_samples:
        """In each group of samples that serve one task, find the share with the highest loss."""
        input:
            code=code("gate_samples.py"),
            samples="<results>/pool/samples.parquet",
            losses=pool_losses(PROXY),
            pool=pool_gradients(PROXY) if VALIDATED else [],
            validation=compared_validation(PROXY),
        output:
            "<results>/gate/seed-{seed}.parquet",
        log:
            "<logs>/gate_samples/seed-{seed}.log",
        benchmark:
            "<costs>/gate_samples/seed-{seed}.jsonl"
        conda:
            "../envs/selection.yaml"
        threads: config["threads"]
        resources:
            mem_mb=growing(8000),
            runtime=growing(120),
        params:
            share=config["gate"]["share"],
            sets=VALIDATED,
            tasks=json.dumps(voting_members()),
            threads=config["threads"],
        shell:
            "python {input.code[0]:q} --samples {input.samples:q} --losses {input.losses:q}"
            " --pool {input.pool:q} --sets {params.sets:q} --validation {input.validation:q}"
            " --tasks {params.tasks:q} --share {params.share} --threads {params.threads}"
            " --out {output:q} 2> {log:q}"
