"""Finetuned models, one for each model, method, ratio and seed.

Reads pool/samples.parquet, subsets/<method>/…, the images and a model; writes the directories
checkpoints/<model>/<method>/<budget>_seed-<s>/ with weights and training_log.csv. While a run is
at work, the states that it can resume from lie beside it, in …_seed-<s>.partial/. On request (target
`merged`, or a path) each becomes a model directory of its own: merged/<model>/…
"""


rule finetune_model:
    """Finetune a model on one subset; the seed is that of the subset."""
    input:
        code=code("finetune_model.py"),
        samples="<results>/pool/samples.parquet",
        subset="<results>/subsets/{method}/{budget}_seed-{seed}.parquet",
        model=model_files,
        left_out=left_out,
    output:
        directory("<results>/checkpoints/{model}/{method}/{budget}_seed-{seed}"),
    log:
        "<logs>/finetune_model/{model}/{method}/{budget}_seed-{seed}.log",
    benchmark:
        "<costs>/finetune_model/{model}/{method}/{budget}_seed-{seed}.jsonl"
    conda:
        branch(gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml")
    threads: training_threads(config["finetune"])
    resources:
        mem_mb=model_memory(24000, processes=config["finetune"]["processes"]),
        runtime=growing(1440),
        gpu=finetune_gpus,
        on_gpus=ON_GPUS,
        processes=config["finetune"]["processes"],
        cache_mb=config["finetune"]["cache_mb"],
        workers=config["finetune"]["workers"],
        save_steps=config["finetune"]["save_steps"],
        on_refused=config["on_refused"],
    params:
        images=image_locations(),
        max_pixels=config["pool"]["max_pixels"],
        launch=launcher(config["finetune"]),
        settings=training_settings(config["finetune"]),
        model=loading_flags,
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "{params.launch} {input.code[0]:q} --samples {input.samples:q} --subset {input.subset:q}"
        " --images {params.images:q} --max-pixels {params.max_pixels}"
        " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
        " --settings {params.settings:q} --cache-mb {resources.cache_mb}"
        " --workers {resources.workers} --save-steps {resources.save_steps}"
        " --seed {wildcards.seed} {params.model}"
        " --partial {output:q}.partial --out {output:q} 2> {log:q}"


rule merge_checkpoint:
    """Write base model, adapter and processor as one model directory, for other programs."""
    input:
        code=code("merge_checkpoint.py"),
        checkpoint="<results>/checkpoints/{model}/{method}/{budget}_seed-{seed}",
        model=model_files,
    output:
        directory("<results>/merged/{model}/{method}/{budget}_seed-{seed}"),
    log:
        "<logs>/merge_checkpoint/{model}/{method}/{budget}_seed-{seed}.log",
    conda:
        branch(gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml")
    threads: config["threads"]
    resources:
        mem_mb=model_memory(32000),
        runtime=growing(60),
        gpu=asked_gpus,
        on_gpus=ON_GPUS,
    params:
        model=unquantised_flags,
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} --checkpoint {input.checkpoint:q} {params.model}"
        " --out {output:q} 2> {log:q}"


rule merged:
    """Every experiment's checkpoint as a model directory of its own."""
    input:
        merged_files(),
