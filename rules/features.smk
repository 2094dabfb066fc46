"""Features of every pool sample from forward passes of a model, in shards.

Reads pool/samples.parquet, the images and a model; writes features/<model>/<kind>/shard-….
Kinds: activations, last_token, mean_hidden and likelihood from one pass (extract_features);
attended from a pass that ends after an early decoder layer (extract_attention); clip from the two
towers of a CLIP (extract_clip); hidden and output, also of the tasks' validation samples, in
features/<model>/<kind>_validation/<task>/ (extract_representation, extract_validation_representation). What needs
passes with and without images is in gains.smk.
"""


rule extract_features:
    """Compute activations, hidden states and likelihood signals in one forward pass a sample."""
    input:
        code=code("extract_features.py"),
        samples="<results>/pool/samples.parquet",
        model=model_files,
        left_out=left_out,
    output:
        activations="<results>/features/{model}/activations/shard-{scatteritem}.safetensors",
        last_token="<results>/features/{model}/last_token/shard-{scatteritem}.safetensors",
        mean_hidden="<results>/features/{model}/mean_hidden/shard-{scatteritem}.safetensors",
        likelihood="<results>/features/{model}/likelihood/shard-{scatteritem}.safetensors",
    log:
        "<logs>/extract_features/{model}/{scatteritem}.log",
    benchmark:
        "<costs>/extract_features/{model}/{scatteritem}.jsonl"
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
        model=model_flags,
        activations=activation_flags(),
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} --run {params.run:q} --samples {input.samples:q}"
        " --images {params.images:q} --max-pixels {params.max_pixels}"
        " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
        " --shard {params.shard} {params.model} --workers {resources.workers} {params.activations}"
        " --activations {output.activations:q} --last-token {output.last_token:q}"
        " --mean-hidden {output.mean_hidden:q} --likelihood {output.likelihood:q} 2> {log:q}"


rule extract_attention:
    """Compute the visual features that the instruction attends to, at an early decoder layer."""
    input:
        code=code("extract_attention.py"),
        samples="<results>/pool/samples.parquet",
        model=model_files,
        left_out=left_out,
    output:
        attended="<results>/features/{model}/attended/shard-{scatteritem}.safetensors",
    log:
        "<logs>/extract_attention/{model}/{scatteritem}.log",
    benchmark:
        "<costs>/extract_attention/{model}/{scatteritem}.jsonl"
    conda:
        branch(gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml")
    threads: model_threads
    resources:
        mem_mb=model_memory(16000),
        runtime=growing(240),
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
        attention=attention_flags(),
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} --run {params.run:q} --samples {input.samples:q}"
        " --images {params.images:q} --max-pixels {params.max_pixels}"
        " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
        " --shard {params.shard} {params.model} --workers {resources.workers}"
        " {params.attention} --attended {output.attended:q} 2> {log:q}"


rule extract_clip:
    """Compute a CLIP's embeddings of every sample's images and text."""
    input:
        code=code("extract_clip.py"),
        samples="<results>/pool/samples.parquet",
        model=model_files,
        left_out=left_out,
    output:
        clip="<results>/features/{model}/clip/shard-{scatteritem}.safetensors",
    log:
        "<logs>/extract_clip/{model}/{scatteritem}.log",
    benchmark:
        "<costs>/extract_clip/{model}/{scatteritem}.jsonl"
    conda:
        branch(gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml")
    threads: config["threads"]
    resources:
        mem_mb=model_memory(8000),
        runtime=growing(240),
        gpu=asked_gpus,
        on_gpus=ON_GPUS,
        on_refused=config["on_refused"],
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
        " --shard {params.shard} {params.model} --clip {output.clip:q} 2> {log:q}"


rule extract_representation:
    """Compute one vector a sample to compare samples by: hidden states, or output-layer gradients."""
    input:
        code=code("extract_representation.py"),
        samples="<results>/pool/samples.parquet",
        model=model_files,
        left_out=left_out,
    output:
        "<results>/features/{model}/{representation}/shard-{scatteritem}.safetensors",
    log:
        "<logs>/extract_representation/{model}/{representation}/{scatteritem}.log",
    benchmark:
        "<costs>/extract_representation/{model}/{representation}/{scatteritem}.jsonl"
    wildcard_constraints:
        representation="|".join(FORWARD),
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
        names="pool",
        shard="{scatteritem}",
        images=image_locations(),
        max_pixels=config["pool"]["max_pixels"],
        model=model_flags,
        representation=representation_flags,
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} --run {params.run:q} --names {params.names:q}"
        " --samples {input.samples:q} --images {params.images:q} --max-pixels {params.max_pixels}"
        " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
        " --shard {params.shard} {params.representation} {params.model}"
        " --workers {resources.workers} --out {output:q} 2> {log:q}"


if VALIDATED:

    use rule extract_representation as extract_validation_representation with:
        input:
            code=code("extract_representation.py"),
            samples=collect("<results>/tasks/{task}/validation.parquet", task=VALIDATED),
            model=model_files,
            left_out=left_out_tasks,
        output:
            **validation_vectors("{model}", "{representation}"),
        log:
            "<logs>/extract_validation_representation/{model}/{representation}.log",
        benchmark:
            "<costs>/extract_validation_representation/{model}/{representation}.jsonl"
        params:
            run=header_run(),
            names=VALIDATED,
            shard="1-of-1",
            images=validation_images(),
            max_pixels=config["pool"]["max_pixels"],
            model=model_flags,
            representation=representation_flags,


include: "gains.smk"
