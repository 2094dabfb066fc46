"""Scores on every task's test set: of checkpoints, of the model as it comes, and of no model.

Reads tasks/<task>/…, checkpoints/… and the images. Writes <task>.parquet (predictions) and
<task>.json (score) of each task to benchmarks/<model>/<method>/ratio-<r>_seed-<s>/, to
benchmarks/<model>/pretrained/ratio-0.0_seed-0/ and to benchmarks/majority/.
"""


def benchmark_code(script):
    """A script that scores, with the metrics that the tasks name."""
    metrics = sorted({config["tasks"][task]["metric"] for task in TESTED})
    return code(script, *(f"vlselect/metrics/{metric}.py" for metric in metrics))


def benchmark_tests(wildcards):
    """The test sets, in the order of TESTED."""
    return expand("<results>/tasks/{task}/test.parquet", task=TESTED)


def benchmark_validations(wildcards):
    """The validation sets of the tested tasks that have one."""
    tasks = [task for task in TESTED if "validation" in config["tasks"][task]]
    return expand("<results>/tasks/{task}/validation.parquet", task=tasks)


def benchmark_flags(wildcards, input):
    """A --task flag for each test set: name, metric, its options, test, and image root."""
    flags = []
    for (task, metric, options), test in zip(scoring_parts(), input.tests):
        images = config["tasks"][task].get("images", config["pool"]["images"])
        flags += ["--task", task, metric, options, test, images]
    return shlex.join(flags)


def majority_flags(wildcards, input):
    """A --task flag for each test set, without images, and a --validation flag where there is one."""
    flags = []
    for parts, test in zip(scoring_parts(), input.tests):
        flags += ["--task", *parts, test]
    for path in input.validations:
        flags += ["--validation", Path(path).parent.name, path]
    return shlex.join(flags)


def scoring_parts():
    """(name, metric, metric's options as JSON) of each tested task."""
    for task in TESTED:
        settings = config["tasks"][task]
        yield task, settings["metric"], json.dumps(
            settings["metric_options"], sort_keys=True
        )


rule run_benchmarks:
    """Answer all tests with one checkpoint, in one load of the model."""
    input:
        code=benchmark_code("run_benchmarks.py"),
        tests=benchmark_tests,
        model=model_files,
        checkpoint="<results>/checkpoints/{model}/{method}/ratio-{ratio}_seed-{seed}",
    output:
        expand(
            "<results>/benchmarks/{{model}}/{{method}}/ratio-{{ratio}}_seed-{{seed}}/{task}.{suffix}",
            task=TESTED,
            suffix=["parquet", "json"],
        ),
    log:
        "<logs>/run_benchmarks/{model}/{method}/ratio-{ratio}_seed-{seed}.log",
    benchmark:
        "<costs>/run_benchmarks/{model}/{method}/ratio-{ratio}_seed-{seed}.jsonl"
    conda:
        "../envs/models.yaml"
    threads: config["threads"]
    resources:
        mem_mb=16000,
        runtime=480,
        gpu=gpus,
    params:
        tasks=benchmark_flags,
        max_new_tokens=config["generate"]["max_new_tokens"],
        max_pixels=config["pool"]["max_pixels"],
        model=model_flags,
        out=subpath(output[0], parent=True),
    shell:
        "python {input.code[0]:q} --checkpoint {input.checkpoint:q} {params.tasks}"
        " --max-new-tokens {params.max_new_tokens} --max-pixels {params.max_pixels}"
        " {params.model} --out {params.out:q} 2> {log:q}"


rule run_benchmarks_pretrained:
    """Answer all tests with the model as it comes: what finetuning starts from."""
    input:
        code=benchmark_code("run_benchmarks.py"),
        tests=benchmark_tests,
        model=model_files,
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
        "../envs/models.yaml"
    threads: config["threads"]
    resources:
        mem_mb=16000,
        runtime=480,
        gpu=gpus,
    params:
        tasks=benchmark_flags,
        max_new_tokens=config["generate"]["max_new_tokens"],
        max_pixels=config["pool"]["max_pixels"],
        model=model_flags,
        out=subpath(output[0], parent=True),
    shell:
        "python {input.code[0]:q} {params.tasks}"
        " --max-new-tokens {params.max_new_tokens} --max-pixels {params.max_pixels}"
        " {params.model} --out {params.out:q} 2> {log:q}"


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
        mem_mb=4000,
        runtime=60,
    params:
        tasks=majority_flags,
        out=subpath(output[0], parent=True),
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} {params.tasks}"
        " --out {params.out:q} 2> {log:q}"
