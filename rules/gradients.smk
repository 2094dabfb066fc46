"""A vector for each sample, its projected gradient by default, from a warmed-up model.

Reads pool/samples.parquet, tasks/<task>/validation.parquet, the images and a model; writes
gradients/<model>/seed-<s>/warm_up/ (LoRA adapter or whole model, training_log.csv, rows.csv; with
gradients.precondition adam also second_moments.safetensors) and shards of
gradients/<model>/seed-<s>/pool/, gradients/<model>/seed-<s>/<task>/ and, of losses under the same model,
gradients/<model>/seed-<s>/losses/ and …/losses_of/<task>/. The seed is that of the warm-up and, where the config fixes
no other, of the projection.
"""

if config.get("gradients"):

    rule warm_up:
        """Train on a random fraction of the pool: what a trained model is surprised by tells more."""
        input:
            code=code("warm_up.py"),
            samples="<results>/pool/samples.parquet",
            model=model_files,
            left_out=left_out,
        output:
            directory("<results>/gradients/{model}/seed-{seed}/warm_up"),
        log:
            "<logs>/warm_up/{model}/seed-{seed}.log",
        benchmark:
            "<costs>/warm_up/{model}/seed-{seed}.jsonl"
        conda:
            branch(
                gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml"
            )
        threads: training_threads(config["gradients"]["warm_up"]["finetune"])
        resources:
            mem_mb=model_memory(
                24000,
                processes=config["gradients"]["warm_up"]["finetune"]["processes"],
            ),
            runtime=growing(480),
            gpu=warm_up_gpus,
            on_gpus=ON_GPUS,
            processes=config["gradients"]["warm_up"]["finetune"]["processes"],
            cache_mb=config["gradients"]["warm_up"]["finetune"]["cache_mb"],
            workers=config["gradients"]["warm_up"]["finetune"]["workers"],
            save_steps=config["gradients"]["warm_up"]["finetune"]["save_steps"],
            on_refused=config["on_refused"],
        params:
            images=image_locations(),
            max_pixels=config["pool"]["max_pixels"],
            fraction=config["gradients"]["warm_up"]["fraction"],
            seed="{seed}",
            moments=moments_flag(),
            launch=launcher(config["gradients"]["warm_up"]["finetune"]),
            settings=training_settings(config["gradients"]["warm_up"]["finetune"]),
            model=loading_flags,
        shell:
            "{resources.on_gpus} {resources.gpu} "
            "{params.launch} {input.code[0]:q} --samples {input.samples:q} --images {params.images:q}"
            " --max-pixels {params.max_pixels} --fraction {params.fraction} --seed {params.seed}"
            " {params.moments}"
            " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
            " --settings {params.settings:q} --cache-mb {resources.cache_mb}"
            " --workers {resources.workers} --save-steps {resources.save_steps} {params.model}"
            " --partial {output:q}.partial --out {output:q} 2> {log:q}"

    rule collect_gradients:
        """Compute the projected gradients of all samples of a batch in one backward pass."""
        input:
            code=code("collect_gradients.py"),
            samples="<results>/pool/samples.parquet",
            model=model_files,
            left_out=left_out,
            warm_up="<results>/gradients/{model}/seed-{seed}/warm_up",
            span=span_basis(),
        output:
            gradients="<results>/gradients/{model}/seed-{seed}/pool/shard-{scatteritem}.safetensors",
            losses="<results>/gradients/{model}/seed-{seed}/losses/shard-{scatteritem}.safetensors",
        log:
            "<logs>/collect_gradients/{model}/seed-{seed}/{scatteritem}.log",
        benchmark:
            "<costs>/collect_gradients/{model}/seed-{seed}/{scatteritem}.jsonl"
        conda:
            branch(
                gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml"
            )
        threads: model_threads
        resources:
            mem_mb=model_memory(24000),
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
            vectors=vector_flags,
            span="--span" if within_span() else "",
            precondition=config["gradients"]["precondition"],
            model=model_flags,
        shell:
            "{resources.on_gpus} {resources.gpu} "
            "python {input.code[0]:q} --run {params.run:q} --names pool --samples {input.samples:q}"
            " --images {params.images:q} --max-pixels {params.max_pixels}"
            " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
            " --shard {params.shard} --warm-up {input.warm_up:q} {params.vectors}"
            " --precondition {params.precondition} {params.span} {input.span:q}"
            " {params.model} --workers {resources.workers} --losses {output.losses:q}"
            " --out {output.gradients:q} 2> {log:q}"


if config.get("gradients") and VALIDATED:

    rule collect_validation_gradients:
        """Compute those of every task's validation set, with the model loaded once."""
        input:
            code=code("collect_gradients.py"),
            samples=collect("<results>/tasks/{task}/validation.parquet", task=VALIDATED),
            model=model_files(config["gradients"]["model"]),
            left_out=left_out_tasks(config["gradients"]["model"]),
            warm_up=f"<results>/gradients/{config['gradients']['model']}/seed-{{seed}}/warm_up",
        output:
            **validation_gradients(),
            **named_losses(),
        log:
            "<logs>/collect_validation_gradients/seed-{seed}.log",
        benchmark:
            "<costs>/collect_validation_gradients/seed-{seed}.jsonl"
        conda:
            branch(
                gpus(config["gradients"]["model"]),
                then="../envs/gpu/models.yaml",
                otherwise="../envs/models.yaml",
            )
        threads: model_threads(config["gradients"]["model"])
        resources:
            mem_mb=model_memory(24000, config["gradients"]["model"]),
            runtime=growing(480),
            gpu=asked_gpus(config["gradients"]["model"]),
            on_gpus=ON_GPUS,
            on_refused=config["on_refused"],
            workers=workers(config["gradients"]["model"]),
        params:
            run=header_run(),
            names=VALIDATED,
            images=validation_images(),
            max_pixels=config["pool"]["max_pixels"],
            keep_norms=keep_norms(),
            vectors=vector_flags,
            model=model_flags(config["gradients"]["model"]),
        shell:
            "{resources.on_gpus} {resources.gpu} "
            "python {input.code[0]:q} --run {params.run:q} --names {params.names:q}"
            " --samples {input.samples:q} --images {params.images:q}"
            " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
            " --max-pixels {params.max_pixels} --warm-up {input.warm_up:q} {params.vectors}"
            " --precondition none"
            " --keep-norms {params.keep_norms:q} {params.model} --workers {resources.workers}"
            f" --losses {outputs_named(named_losses())} --out {outputs_named(validation_gradients())}"
            " 2> {log:q}"


if VALIDATED and within_span():

    rule find_span:
        """Find the span of all validation gradients, in which the pool's are stored."""
        input:
            code=code("find_span.py"),
            validation=list(validation_gradients().values()),
        output:
            basis=f"<results>/gradients/{gradients_model()}/seed-{{seed}}/span/basis.safetensors",
            validation=compared_validation(),
        log:
            "<logs>/find_span/seed-{seed}.log",
        benchmark:
            "<costs>/find_span/seed-{seed}.jsonl"
        conda:
            "../envs/selection.yaml"
        threads: config["threads"]
        resources:
            mem_mb=growing(8000),
            runtime=growing(60),
        params:
            dimensions=config["gradients"]["span"],
            threads=config["threads"],
        shell:
            "python {input.code[0]:q} --validation {input.validation:q}"
            " --dimensions {params.dimensions} --threads {params.threads}"
            " --basis {output.basis:q} --out {output.validation:q} 2> {log:q}"
