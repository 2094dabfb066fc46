"""The target tasks: records with answers.

Reads the validation and test records that config.tasks names; writes for each task
tasks/<task>/validation.parquet, test.parquet (empty where the task has none) and rejected.csv.
"""


rule prepare_task:
    """Parse one task's records and answers, check the conversations and decode the images."""
    input:
        code=code("prepare_task.py"),
        validation=validation_files,
        test=test_files,
    output:
        validation="<results>/tasks/{task}/validation.parquet",
        test="<results>/tasks/{task}/test.parquet",
        rejected="<results>/tasks/{task}/rejected.csv",
    log:
        "<logs>/prepare_task/{task}.log",
    benchmark:
        "<costs>/prepare_task/{task}.jsonl"
    priority: 100
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        validation=lookup(dpath="tasks/{task}/validation", within=config, default=[]),
        test=lookup(dpath="tasks/{task}/test", within=config, default=[]),
        images=task_image_flag,
        max_pixels=config["pool"]["max_pixels"],
        source_key=lambda wildcards: config["pool"].get("source_key") or [],
        links=link_options(),
        share=trial.task_share(TRIAL_SHARE) if config["trial"] else [],
    shell:
        "python {input.code[0]:q} --task {wildcards.task:q}"
        " --validation {params.validation:q} --test {params.test:q} --images {params.images:q}"
        " {params.links} --max-pixels {params.max_pixels} --source-key {params.source_key:q}"
        " --share {params.share:q} --workers {threads} --out-validation {output.validation:q} --out-test {output.test:q}"
        " --rejected {output.rejected:q} 2> {log:q}"
