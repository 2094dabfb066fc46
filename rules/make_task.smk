"""Tasks built from a benchmark's own files, where the config says so (`tasks.<name>.build`).

Reads those files; writes tasks_built/<task>/validation.json and test.json, which prepare_task
then reads like anybody's, images/ (empty where the benchmark's images are files already),
rejected.csv (questions that could not be built) and summary.json (counts).
"""


rule make_task:
    """Read one benchmark, divide its questions by image, write them as records."""
    input:
        code=make_task_code,
        files=make_task_files,
    output:
        validation="<made>/tasks_built/{task}/validation.json",
        test="<made>/tasks_built/{task}/test.json",
        images=directory("<made>/tasks_built/{task}/images"),
        rejected="<made>/tasks_built/{task}/rejected.csv",
        summary="<made>/tasks_built/{task}/summary.json",
    log:
        "<made>/logs/make_task/{task}.log",
    benchmark:
        "<made>/costs/make_task/{task}.jsonl"
    priority: 100
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        build=make_task_flags,
    shell:
        "python {input.code[0]:q} {params.build} --out-validation {output.validation:q}"
        " --out-test {output.test:q} --images {output.images:q} --rejected {output.rejected:q}"
        " --summary {output.summary:q} 2> {log:q}"
