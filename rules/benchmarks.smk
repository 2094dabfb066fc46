"""Scores on every task's test set: of checkpoints, of the model as it comes, and of no model.

Reads tasks/<task>/…, checkpoints/… and the images. Writes <task>.parquet (predictions) and
<task>.json (score) of each task to benchmarks/<model>/<method>/<budget>_seed-<s>/, to
benchmarks/<model>/pretrained/ratio-0.0_seed-0/ and to benchmarks/majority/; first of all
benchmarks/tests.json (samples of each task's test).
"""


rule check_tests:
    """Check that all tests can be scored, before any model is trained."""
    input:
        code=benchmark_code("check_tests.py"),
        tests=benchmark_tests,
    output:
        "<results>/benchmarks/tests.json",
    log:
        "<logs>/check_tests.log",
    benchmark:
        "<costs>/check_tests/all.jsonl"
    priority: 100
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        tasks=metric_flags,
    shell:
        "python {input.code[0]:q} {params.tasks} --out {output:q} 2> {log:q}"


rule run_benchmarks:
    """Answer all tests with one checkpoint, in one load of the model."""
    input:
        code=benchmark_code("run_benchmarks.py"),
        tests=checked_tests,
        model=model_files,
        accepted=left_out_tasks,
        checkpoint="<results>/checkpoints/{model}/{method}/{budget}_seed-{seed}",
    output:
        expand(
            "<results>/benchmarks/{{model}}/{{method}}/{{budget}}_seed-{{seed}}/{task}.{suffix}",
            task=TESTED,
            suffix=["parquet", "json"],
        ),
    log:
        "<logs>/run_benchmarks/{model}/{method}/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/run_benchmarks/{model}/{method}/{budget}_seed-{seed}.jsonl"
    conda:
        branch(gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml")
    threads: model_threads
    resources:
        mem_mb=model_memory(16000),
        runtime=growing(480),
        gpu=asked_gpus,
        on_gpus=ON_GPUS,
        workers=workers,
    params:
        tasks=benchmark_flags,
        merging=merging_flag(),
        max_pixels=config["pool"]["max_pixels"],
        model=model_flags,
        out=subpath(output[0], parent=True),
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} --checkpoint {input.checkpoint:q} {params.merging} {params.tasks}"
        " --max-pixels {params.max_pixels} {params.model} --workers {resources.workers}"
        " --out {params.out:q} 2> {log:q}"


rule run_benchmarks_pretrained:
    """Answer all tests with the model as it comes: what finetuning starts from."""
    input:
        code=benchmark_code("run_benchmarks.py"),
        tests=checked_tests,
        model=model_files,
        accepted=left_out_tasks,
    output:
        expand(
            "<results>/benchmarks/{{model}}/pretrained/ratio-0.0_seed-0/{task}.{suffix}",
            task=TESTED,
            suffix=["parquet", "json"],
        ),
    log:
        "<logs>/run_benchmarks_pretrained/{model}.log",
    benchmark:
        "<costs>/run_benchmarks_pretrained/{model}.jsonl"
    conda:
        branch(gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml")
    threads: model_threads
    resources:
        mem_mb=model_memory(16000),
        runtime=growing(480),
        gpu=asked_gpus,
        on_gpus=ON_GPUS,
        workers=workers,
    params:
        tasks=benchmark_flags,
        max_pixels=config["pool"]["max_pixels"],
        model=model_flags,
        out=subpath(output[0], parent=True),
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} {params.tasks}"
        " --max-pixels {params.max_pixels} {params.model} --workers {resources.workers}"
        " --out {params.out:q} 2> {log:q}"


rule answer_by_majority:
    """Answer all tests from the wording of the questions alone: the floor of every score."""
    input:
        code=benchmark_code("answer_by_majority.py"),
        samples="<results>/pool/samples.parquet",
        tests=benchmark_tests,
        validations=benchmark_validations,
    output:
        expand(
            "<results>/benchmarks/majority/{task}.{suffix}",
            task=TESTED,
            suffix=["parquet", "json"],
        ),
    log:
        "<logs>/answer_by_majority.log",
    benchmark:
        "<costs>/answer_by_majority/all.jsonl"
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        tasks=majority_flags,
        out=subpath(output[0], parent=True),
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} {params.tasks}"
        " --out {params.out:q} 2> {log:q}"
