"""PRISM: samples whose image is least like the others, seen early in the model (arXiv 2502.12119).

Reads pool/samples.parquet, the images and a model; writes features/<model>/visual/shard-…,
scores/prism/seed-0.parquet (row, score: minus the mean correlation with the others; no score for
samples without an image) and subsets/prism/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "prism",
    parameters={
        "model": {
            "description": "target model before instruction tuning, a name from `models` (extract_visual)",
            "type": "string",
            "default": "target",
        },
        "layer": {
            "description": "decoder layer, from 1, after which the visual tokens are averaged and the pass stops; the paper says that it is a shallow one (extract_visual)",
            "type": "integer",
            "minimum": 1,
            "default": 1,
        },
        "variant": {
            "description": "of the paper - v4, cosines of what is left of the features without their mean over the pool; v1, Pearson's correlation over a feature's entries (score_prism)",
            "enum": ["v1", "v4"],
            "default": "v4",
        },
        "text_only": {
            "description": "samples without an image: drop, or their proportional share drawn at random (select_prism)",
            "enum": ["proportional", "drop"],
            "default": "proportional",
        },
    },
)

if "features" not in config["given"]:

    rule extract_visual:
        """Compute the mean of each sample's visual tokens after an early decoder layer."""
        input:
            code=code("extract_visual.py"),
            samples="<results>/pool/samples.parquet",
            model=model_files,
            left_out=left_out,
        output:
            visual="<results>/features/{model}/visual/shard-{scatteritem}.safetensors",
        log:
            "<logs>/extract_visual/{model}/{scatteritem}.log",
        benchmark:
            "<costs>/extract_visual/{model}/{scatteritem}.jsonl"
        conda:
            branch(
                gpus,
                then="../../envs/gpu/models.yaml",
                otherwise="../../envs/models.yaml",
            )
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
            model=model_flags,
            layer=config["methods"]["prism"]["layer"],
        shell:
            "{resources.on_gpus} {resources.gpu} "
            "python {input.code[0]:q} --run {params.run:q} --samples {input.samples:q}"
            " --images {params.images:q} --max-pixels {params.max_pixels}"
            " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
            " --shard {params.shard} {params.model} --workers {resources.workers}"
            " --layer {params.layer} --visual {output.visual:q} 2> {log:q}"


# Mean correlation of every sample's visual features with those of all others.
use rule score_samples as score_prism with:
    input:
        code=code("score_samples.py", "vlselect/methods/prism.py"),
        samples="<results>/pool/samples.parquet",
        visual=gather.pool(
            "<results>/features/{model}/visual/shard-{scatteritem}.safetensors",
            model=config["methods"]["prism"]["model"],
        ),
    wildcard_constraints:
        method="prism",
        seed="0",
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        parameters=parameters("prism", "variant"),


# Take the lowest correlations; text-only samples by their policy.
use rule select_subset as select_prism with:
    input:
        code=code("select_subset.py", "vlselect/methods/prism.py"),
        samples="<results>/pool/samples.parquet",
        scores="<results>/scores/prism/seed-0.parquet",
        limits=limit_files,
    wildcard_constraints:
        method="prism",
    params:
        parameters=parameters("prism", "text_only"),
