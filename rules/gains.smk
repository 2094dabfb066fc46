"""What images tell a model about the responses, in shards: forward passes with and without them.

Reads pool/samples.parquet, the images and a model; writes features/<model>/gains/shard-…, the loss of
every response and what it gains by the image, and features/<model>/question/shard-…, a hidden vector
of every first question (extract_gains); features/<model>/instruction_gains/shard-…, what images tell
about answers and answers about questions (extract_instruction_gains, of the method dics);
features/<model>/{bridging,neurons}/shard-…, attention to the image and the strongest neurons
(extract_signatures, of the method magic).
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


rule extract_instruction_gains:
    """Compute what images tell about answers, and answers about questions; four passes a sample."""
    input:
        code=code("extract_instruction_gains.py"),
        samples="<results>/pool/samples.parquet",
        model=model_files,
        left_out=left_out,
    output:
        instruction_gains="<results>/features/{model}/instruction_gains/shard-{scatteritem}.safetensors",
    log:
        "<logs>/extract_instruction_gains/{model}/{scatteritem}.log",
    benchmark:
        "<costs>/extract_instruction_gains/{model}/{scatteritem}.jsonl"
    conda:
        branch(gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml")
    threads: model_threads
    resources:
        mem_mb=model_memory(16000),
        runtime=growing(1440),
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
        token_weights=token_weights,
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} --run {params.run:q} --samples {input.samples:q}"
        " --images {params.images:q} --max-pixels {params.max_pixels}"
        " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
        " --shard {params.shard} {params.model} --workers {resources.workers}"
        " --token-weights {params.token_weights}"
        " --instruction-gains {output.instruction_gains:q} 2> {log:q}"


rule extract_signatures:
    """Compute how far responses attend to the image, and the neurons that they drive most."""
    input:
        code=code("extract_signatures.py"),
        samples="<results>/pool/samples.parquet",
        model=model_files,
        left_out=left_out,
    output:
        bridging="<results>/features/{model}/bridging/shard-{scatteritem}.safetensors",
        neurons="<results>/features/{model}/neurons/shard-{scatteritem}.safetensors",
    log:
        "<logs>/extract_signatures/{model}/{scatteritem}.log",
    benchmark:
        "<costs>/extract_signatures/{model}/{scatteritem}.jsonl"
    conda:
        branch(gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml")
    threads: model_threads
    resources:
        mem_mb=model_memory(16000),
        runtime=growing(480),
        gpu=asked_gpus,
        on_gpus=ON_GPUS,
        on_refused=config["on_refused"],
        workers=workers,
    params:
        run=header_run(),
        shard="{scatteritem}",
        images=image_locations(),
        max_pixels=config["pool"]["max_pixels"],
        model=eager_flags,
        layers=signature_flags,
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} --run {params.run:q} --samples {input.samples:q}"
        " --images {params.images:q} --max-pixels {params.max_pixels}"
        " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
        " --shard {params.shard} {params.model} --workers {resources.workers} {params.layers}"
        " --bridging {output.bridging:q} --neurons {output.neurons:q} 2> {log:q}"
