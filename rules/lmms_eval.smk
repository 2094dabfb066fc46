"""lmms_eval in place of run_benchmarks, where the config says so (`evaluation.lmms_eval`).

Reads tasks/<task>/test.parquet, merged/<model>/… (or the model as it comes) and the images; writes
what run_benchmarks and run_benchmarks_pretrained would, so that tables and figures follow. Its
environment is its own: conda's, or that of the interpreter that the config names.
"""


ruleorder: run_lmms_eval > run_benchmarks
ruleorder: run_lmms_eval_pretrained > run_benchmarks_pretrained


rule run_lmms_eval:
    """Answer all tests with one merged checkpoint, by lmms_eval on local task files."""
    input:
        code=benchmark_code("run_lmms_eval.py"),
        tests=checked_tests,
        model="<results>/merged/{model}/{method}/{budget}_seed-{seed}",
    output:
        expand(
            "<results>/benchmarks/{{model}}/{{method}}/{{budget}}_seed-{{seed}}/{task}.{suffix}",
            task=TESTED,
            suffix=["parquet", "json"],
        ),
    log:
        "<logs>/run_lmms_eval/{model}/{method}/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/run_lmms_eval/{model}/{method}/{budget}_seed-{seed}.jsonl"
    conda:
        branch(
            gpus, then="../envs/gpu/lmms_eval.yaml", otherwise="../envs/lmms_eval.yaml"
        )
    threads: config["threads"]
    resources:
        mem_mb=model_memory(16000),
        runtime=growing(720),
        gpu=asked_gpus,
        on_gpus=ON_GPUS,
    params:
        tasks=benchmark_flags,
        max_pixels=config["pool"]["max_pixels"],
        lmms=lmms_flags,
        out=subpath(output[0], parent=True),
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} --model {input.model:q} {params.tasks} {params.lmms}"
        " --max-pixels {params.max_pixels} --out {params.out:q} 2> {log:q}"


rule run_lmms_eval_pretrained:
    """Answer all tests with the model as it comes, by lmms_eval."""
    input:
        code=benchmark_code("run_lmms_eval.py"),
        tests=checked_tests,
        files=model_files,
    output:
        expand(
            "<results>/benchmarks/{{model}}/pretrained/ratio-0.0_seed-0/{task}.{suffix}",
            task=TESTED,
            suffix=["parquet", "json"],
        ),
    log:
        "<logs>/run_lmms_eval_pretrained/{model}.log",
    benchmark:
        "<costs>/run_lmms_eval_pretrained/{model}.jsonl"
    conda:
        branch(
            gpus, then="../envs/gpu/lmms_eval.yaml", otherwise="../envs/lmms_eval.yaml"
        )
    threads: config["threads"]
    resources:
        mem_mb=model_memory(16000),
        runtime=growing(720),
        gpu=asked_gpus,
        on_gpus=ON_GPUS,
    params:
        model=model_path,
        tasks=benchmark_flags,
        max_pixels=config["pool"]["max_pixels"],
        lmms=lmms_flags,
        out=subpath(output[0], parent=True),
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} --model {params.model:q} {params.tasks} {params.lmms}"
        " --max-pixels {params.max_pixels} --out {params.out:q} 2> {log:q}"
