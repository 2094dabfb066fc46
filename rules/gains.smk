"""What images tell a model about the responses, in shards: forward passes with and without them.

Reads pool/samples.parquet, the images and a model; writes features/<model>/gains/shard-…, the loss of
every response and what it gains by the image, and features/<model>/question/shard-…, a hidden vector
of every first question (extract_gains).
"""


rule extract_gains:
    """Compute each response's loss with the image and without it."""
    input:
        code=code("extract_gains.py"),
        samples="<results>/pool/samples.parquet",
        model=model_files,
        left_out=left_out,
    output:
        gains="<results>/features/{model}/gains/shard-{scatteritem}.safetensors",
        question="<results>/features/{model}/question/shard-{scatteritem}.safetensors",
    log:
        "<logs>/extract_gains/{model}/{scatteritem}.log",
    benchmark:
        "<costs>/extract_gains/{model}/{scatteritem}.jsonl"
    conda:
        branch(gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml")
    threads: model_threads
    resources:
        mem_mb=model_memory(16000),
        runtime=growing(720),
        gpu=asked_gpus,
        on_gpus=ON_GPUS,
        on_refused=config["on_refused"],
        workers=workers,
    params:
        run=header_run(),
        shard="{scatteritem}",
        images=image_locations(),
        max_pixels=config["pool"]["max_pixels"],
        model=model_flags,
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} --run {params.run:q} --samples {input.samples:q}"
        " --images {params.images:q} --max-pixels {params.max_pixels}"
        " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
        " --shard {params.shard} {params.model} --workers {resources.workers}"
        " --gains {output.gains:q} --question {output.question:q} 2> {log:q}"
