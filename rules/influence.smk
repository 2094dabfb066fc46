"""Influence of every pool sample on every task.

Reads gradients/<model>/seed-<s>/pool/ and …/<task>/; writes influence/seed-<s>/<task>.parquet (row,
influence) for every task with a validation set and for every group of subtasks, all in one pass
over the pool's gradients. With `methods.icons.keep_matrix` also …/<task>_matrix.safetensors, the
inner products with the single validation samples.
"""

if config.get("gradients") and VALIDATED:

    rule compute_influence:
        """Compute the mean inner product of projected gradients for each task; for a group, the maximum."""
        input:
            code=code("compute_influence.py"),
            pool=pool_gradients("gradients"),
            validation=compared_validation("gradients"),
        output:
            influence=collect(
                "<results>/influence/seed-{seed}/{task}.parquet",
                task=[*VALIDATED, *GROUPS],
                allow_missing=True,
            ),
            matrices=collect(
                "<results>/influence/seed-{seed}/{task}_matrix.safetensors",
                task=matrix_tasks(),
                allow_missing=True,
            ),
        log:
            "<logs>/compute_influence/seed-{seed}.log",
        benchmark:
            "<costs>/compute_influence/seed-{seed}.jsonl"
        conda:
            "../envs/selection.yaml"
        threads: config["threads"]
        resources:
            mem_mb=growing(8000),
            runtime=growing(120),
        params:
            tasks=list(VALIDATED),
            groups=json.dumps(GROUPS),
            threads=config["threads"],
        shell:
            "python {input.code[0]:q} --pool {input.pool:q} --tasks {params.tasks:q} "
            "--validation {input.validation:q} --groups {params.groups:q} "
            "--threads {params.threads} --out {output.influence:q} "
            "--out-matrices {output.matrices:q} 2> {log:q}"
