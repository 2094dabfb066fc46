"""The plan: what a run will take, before anything of it is run.

Reads the pool's records (or the prepared pool), tasks/<task>/test.parquet and the models; writes
plan/calibration.json (times of few samples on this machine) and plan.csv.
"""


rule calibrate:
    """Run the scripts of all stages with a model on few samples, and measure them."""
    input:
        code=code("calibrate.py"),
        pool=prepared_pool,
        tests=expand("<results>/tasks/{task}/test.parquet", task=TESTED),
        models=[path for name in config["models"] for path in model_files(name)],
    output:
        "<results>/plan/calibration.json",
    log:
        "<logs>/calibrate.log",
    conda:
        branch(
            calibration_gpus,
            then="../envs/gpu/models.yaml",
            otherwise="../envs/models.yaml",
        )
    threads: config["threads"]
    resources:
        mem_mb=growing(32000),
        runtime=growing(120),
        gpu=calibration_gpus,
    params:
        stages=calibration_stages,
        records=streamed_records(),
        intake=intake_flags,
        tasks=TESTED,
        samples=config["plan"]["samples"],
        device=model_settings(next(iter(config["models"])))["device"],
    shell:
        "python {input.code[0]:q} --stages {params.stages:q} --pool {input.pool:q}"
        " --records {params.records:q} --intake {params.intake:q} --tasks {params.tasks:q} --tests {input.tests:q}"
        " --samples {params.samples} --device {params.device:q} --out {output:q} 2> {log:q}"


rule plan:
    """Jobs, hours, disk and memory of every stage: printed, and as a table."""
    input:
        code=code("plan_run.py"),
        calibration=calibration_file,
        tests=plan_tests,
    output:
        "<results>/plan.csv",
    log:
        "<logs>/plan.log",
    conda:
        "../envs/selection.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        plan=plan_flags,
    shell:
        "python {input.code[0]:q} {params.plan} --calibration {input.calibration:q}"
        " --tests {input.tests:q} --out {output:q} 2> {log:q}"
