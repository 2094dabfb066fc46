"""Which samples each model refuses, before any pass.

Reads pool/samples.parquet, tasks/<task>/…, the images and a model's processor, without weights.
Writes features/<model>/checked/ (part, row, sample_id, tokens, response_tokens, reason, message of every
sample), features/<model>/refused.csv and refused_tasks.csv (the refused ones), and left_out.parquet
and left_out_tasks.parquet (part, row, sample_id of those that passes leave out). With
`on_refused: error` there is none of the latter where anything is refused, and thus no pass.
"""


rule check_samples:
    """Encode every sample of the pool, as the model's passes will; count its tokens."""
    input:
        code=code("check_samples.py"),
        samples="<results>/pool/samples.parquet",
        model=model_files,
    output:
        checked="<results>/features/{model}/checked/shard-{scatteritem}.parquet",
    log:
        "<logs>/check_samples/{model}/{scatteritem}.log",
    benchmark:
        "<costs>/check_samples/{model}/{scatteritem}.jsonl"
    priority: 100
    conda:
        "../envs/models.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=growing(480),
    params:
        shard="{scatteritem}",
        images=image_locations(),
        max_pixels=config["pool"]["max_pixels"],
        model=processor_flags,
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} --images {params.images:q}"
        " --max-pixels {params.max_pixels} --shard {params.shard} {params.model}"
        " --out {output.checked:q} 2> {log:q}"


rule check_tasks:
    """Encode the validation samples and test questions that the model is given."""
    input:
        code=code("check_tasks.py"),
        samples=part_files,
        model=model_files,
    output:
        checked="<results>/features/{model}/checked/tasks.parquet",
    log:
        "<logs>/check_tasks/{model}.log",
    benchmark:
        "<costs>/check_tasks/{model}.jsonl"
    priority: 100
    conda:
        "../envs/models.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        names=part_names,
        images=part_images,
        max_pixels=config["pool"]["max_pixels"],
        model=processor_flags,
    shell:
        "python {input.code[0]:q} --names {params.names:q} --samples {input.samples:q}"
        " --images {params.images:q} --max-pixels {params.max_pixels} {params.model}"
        " --out {output.checked:q} 2> {log:q}"


rule list_refused:
    """List what the model refuses, of the pool or of the tasks, each with its reason."""
    input:
        code=code("list_refused.py"),
        checked=checked_files,
    output:
        "<results>/features/{model}/refused{tasks}.csv",
    log:
        "<logs>/list_refused/{model}/refused{tasks}.log",
    benchmark:
        "<costs>/list_refused/{model}/refused{tasks}.jsonl"
    wildcard_constraints:
        tasks="|_tasks",
    priority: 100
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        table="refused{tasks}",
    shell:
        "python {input.code[0]:q} --checked {input.checked:q} --table {params.table}"
        " --out {output:q} 2> {log:q}"


rule admit_samples:
    """Leave out what the model refuses, or stop before any pass, as the config says."""
    input:
        code=code("admit_samples.py"),
        checked=checked_files,
        refused="<results>/features/{model}/refused{tasks}.csv",
    output:
        "<results>/features/{model}/left_out{tasks}.parquet",
    log:
        "<logs>/admit_samples/{model}/left_out{tasks}.log",
    benchmark:
        "<costs>/admit_samples/{model}/left_out{tasks}.jsonl"
    wildcard_constraints:
        tasks="|_tasks",
    priority: 100
    conda:
        "../envs/pool.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        # No parameter: what one mode let pass need not be done again for the other.
        on_refused=config["on_refused"],
    shell:
        "python {input.code[0]:q} --checked {input.checked:q} --refused {input.refused:q}"
        " --name {wildcards.model:q} --on-refused {resources.on_refused} --out {output:q} 2> {log:q}"
