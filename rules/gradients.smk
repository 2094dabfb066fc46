"""A vector and a loss of each sample from a warmed-up model: its projected gradient by default.

Reads pool/samples.parquet, tasks/<task>/validation.parquet, the images and a model; writes
gradients/<model>/seed-<s>/warm_up/ (LoRA adapter or whole model, training_log.csv, rows.csv; with
gradients.precondition adam also second_moments.safetensors) and shards of
gradients/<model>/seed-<s>/pool/, gradients/<model>/seed-<s>/<task>/ and, of losses under the same model,
gradients/<model>/seed-<s>/losses/ and …/losses_of/<task>/, and before the warm-up …/losses_before/<task>/. The seed is that of the warm-up and, where the config fixes
no other, of the projection. The section `proxy` has the same of its own model, in proxy/<model>/seed-<s>/.
"""

if MADE:

    wildcard_constraints:
        section=one_of(MADE),

    rule warm_up:
        """Train on a random fraction of the pool: what a trained model is surprised by tells more."""
        input:
            code=code("warm_up.py"),
            samples="<results>/pool/samples.parquet",
            model=model_files,
            left_out=left_out,
        output:
            directory("<results>/{section}/{model}/seed-{seed}/warm_up"),
        log:
            "<logs>/warm_up/{section}/{model}/seed-{seed}.log",
        benchmark:
            "<costs>/warm_up/{section}/{model}/seed-{seed}.jsonl"
        conda:
            branch(
                gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml"
            )
        threads: warm_up_threads
        resources:
            mem_mb=warm_up_memory,
            runtime=growing(480),
            gpu=warm_up_gpus,
            on_gpus=ON_GPUS,
            processes=of_warm_up("processes"),
            cache_mb=of_warm_up("cache_mb"),
            workers=of_warm_up("workers"),
            save_steps=of_warm_up("save_steps"),
            on_refused=config["on_refused"],
        params:
            images=image_locations(),
            max_pixels=config["pool"]["max_pixels"],
            fraction=warm_up_fraction,
            seed="{seed}",
            moments=moments_flag,
            launch=warm_up_launcher,
            settings=warm_up_settings,
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
        """Compute a vector and a loss of each sample, by a backward pass or by a forward pass alone."""
        input:
            code=code("collect_gradients.py"),
            samples="<results>/pool/samples.parquet",
            model=model_files,
            left_out=left_out,
            warm_up="<results>/{section}/{model}/seed-{seed}/warm_up",
            span=span_basis,
        output:
            gradients="<results>/{section}/{model}/seed-{seed}/pool/shard-{scatteritem}.safetensors",
            losses="<results>/{section}/{model}/seed-{seed}/losses/shard-{scatteritem}.safetensors",
        log:
            "<logs>/collect_gradients/{section}/{model}/seed-{seed}/{scatteritem}.log",
        benchmark:
            "<costs>/collect_gradients/{section}/{model}/seed-{seed}/{scatteritem}.jsonl"
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
            span=span_flag,
            precondition=precondition,
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


if MADE and VALIDATED:

    rule collect_validation_gradients:
        """Compute those of every task's validation set, with the model loaded once."""
        input:
            code=code("collect_gradients.py"),
            samples=collect("<results>/tasks/{task}/validation.parquet", task=VALIDATED),
            model=model_files,
            left_out=left_out_tasks,
            warm_up="<results>/{section}/{model}/seed-{seed}/warm_up",
        output:
            **named("validation", validation_gradients("{section}", "{model}")),
            **named("losses", validation_losses("{section}", "{model}")),
            **named("before", losses_before("{section}", "{model}")),
        log:
            "<logs>/collect_validation_gradients/{section}/{model}/seed-{seed}.log",
        benchmark:
            "<costs>/collect_validation_gradients/{section}/{model}/seed-{seed}.jsonl"
        conda:
            branch(
                gpus, then="../envs/gpu/models.yaml", otherwise="../envs/models.yaml"
            )
        threads: model_threads
        resources:
            mem_mb=model_memory(24000),
            runtime=growing(480),
            gpu=asked_gpus,
            on_gpus=ON_GPUS,
            on_refused=config["on_refused"],
            workers=workers,
        params:
            run=header_run(),
            names=VALIDATED,
            images=validation_images(),
            max_pixels=config["pool"]["max_pixels"],
            keep_norms=keep_norms,
            vectors=vector_flags,
            model=model_flags,
        shell:
            "{resources.on_gpus} {resources.gpu} "
            "python {input.code[0]:q} --run {params.run:q} --names {params.names:q}"
            " --samples {input.samples:q} --images {params.images:q}"
            " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
            " --max-pixels {params.max_pixels} --warm-up {input.warm_up:q} {params.vectors}"
            " --precondition none"
            " --keep-norms {params.keep_norms:q} {params.model} --workers {resources.workers}"
            f" --losses {outputs_named('losses')} --losses-before {outputs_named('before')}"
            f" --out {outputs_named('validation')}"
            " 2> {log:q}"


if "gradients" in MADE and VALIDATED and within_span():

    rule find_span:
        """Find the span of all validation gradients, in which the pool's are stored."""
        input:
            code=code("find_span.py"),
            validation=validation_gradients("gradients"),
        output:
            basis=f"<results>/gradients/{model_of('gradients')}/seed-{{seed}}/span/basis.safetensors",
            validation=compared_validation("gradients"),
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
