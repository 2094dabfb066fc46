"""Self-Filter: samples that a score net, trained jointly with the VLM, finds hard (arXiv 2402.12501).

Reads pool/samples.parquet, the images, a model and features/<model>/clip/; writes
scores/self_filter/seed-<s>.parquet (row, score: the difficulty, minus the score net's output
before the softmax) with training_log_seed-<s>.csv, and
subsets/self_filter/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "self_filter",
    parameters={
        "model": {
            "description": "VLM that is trained together with the score net, a name from `models` (train_score_net)",
            "type": "string",
            "default": "target",
        },
        "clip": {
            "description": "CLIP model whose features the score net sees and neighbours are found by, a name from `models` (extract_clip)",
            "type": "string",
            "default": "clip",
        },
        "variant": {
            "description": "loss of a batch: paper averages weight times mean token loss over samples, released, as its authors' program, averages weighted token losses over tokens (train_score_net)",
            "enum": ["paper", "released"],
            "default": "paper",
        },
        "fraction": {
            "description": "share of the pool that is trained on, drawn at random; all samples are scored (train_score_net)",
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "default": 1,
        },
        "seed": {
            "description": "seed of the draw and of the training; null: that of the run; a number fixes it for all runs, whose intervals then leave its randomness out (train_score_net)",
            "type": ["integer", "null"],
            "minimum": 0,
            "default": None,
        },
        "net_learning_rate": {
            "description": "peak learning rate of the score net; the authors' program's suits thousands of steps (train_score_net)",
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 2.0e-5,
        },
        "initial_spread": {
            "description": "standard deviation of the score net's initial weights; 0: all samples weigh the same at first (train_score_net)",
            "type": "number",
            "minimum": 0,
            "default": 0.02,
        },
        "finetune": {
            "description": "settings of the VLM's training, keys and defaults as in the section `finetune`; adapter is always lora, batch_size (from 2) is that of the softmax; one process, without workers and saved states (train_score_net)",
            "$ref": "#/$defs/finetune",
            "allOf": [
                {
                    "properties": {
                        "adapter": {"const": "lora"},
                        "batch_size": {"minimum": 2},
                        "workers": {"const": 0},
                        "save_steps": {"const": 0},
                        "processes": {"const": 1},
                    }
                }
            ],
        },
        "gamma": {
            "description": "strength of the penalty on neighbours of a chosen sample (select_self_filter)",
            "type": "number",
            "minimum": 0,
            "default": 1,
        },
        "neighbours": {
            "description": "nearest samples, of those not chosen yet, that are penalised (select_self_filter)",
            "type": "integer",
            "minimum": 1,
            "default": 10,
        },
        "negative": {
            "description": "a sample chosen at a negative difficulty raises its neighbours, as in the authors' program, or leaves them alone (select_self_filter)",
            "enum": ["reward", "ignore"],
            "default": "reward",
        },
    },
)


rule train_score_net:
    """Train score net and VLM jointly; the net's outputs give every sample's difficulty."""
    input:
        code=code("train_score_net.py"),
        samples="<results>/pool/samples.parquet",
        clip=gather.pool(
            "<results>/features/{model}/clip/shard-{scatteritem}.safetensors",
            model=config["methods"]["self_filter"]["clip"],
        ),
        model=model_files(config["methods"]["self_filter"]["model"]),
        left_out=left_out(config["methods"]["self_filter"]["model"]),
    output:
        scores="<results>/scores/self_filter/seed-{seed}.parquet",
        steps="<results>/scores/self_filter/training_log_seed-{seed}.csv",
    log:
        "<logs>/train_score_net/seed-{seed}.log",
    benchmark:
        "<costs>/train_score_net/seed-{seed}.jsonl"
    conda:
        branch(
            gpus(config["methods"]["self_filter"]["model"]),
            then="../../envs/gpu/models.yaml",
            otherwise="../../envs/models.yaml",
        )
    threads: config["threads"]
    resources:
        mem_mb=model_memory(24000, config["methods"]["self_filter"]["model"]),
        runtime=growing(1440),
        gpu=asked_gpus(config["methods"]["self_filter"]["model"]),
        on_gpus=ON_GPUS,
        cache_mb=config["methods"]["self_filter"]["finetune"]["cache_mb"],
        workers=config["methods"]["self_filter"]["finetune"]["workers"],
        save_steps=config["methods"]["self_filter"]["finetune"]["save_steps"],
        on_refused=config["on_refused"],
    params:
        images=image_locations(),
        max_pixels=config["pool"]["max_pixels"],
        fraction=config["methods"]["self_filter"]["fraction"],
        net=score_net_flags(),
        settings=training_settings(config["methods"]["self_filter"]["finetune"]),
        model=loading_flags(config["methods"]["self_filter"]["model"]),
    shell:
        "{resources.on_gpus} {resources.gpu} "
        "python {input.code[0]:q} --samples {input.samples:q} --clip {input.clip:q}"
        " --images {params.images:q} --max-pixels {params.max_pixels}"
        " --left-out {input.left_out:q} --on-refused {resources.on_refused}"
        " --fraction {params.fraction} {params.net}"
        " --settings {params.settings:q} --cache-mb {resources.cache_mb}"
        " --workers {resources.workers} --save-steps {resources.save_steps}"
        " --seed {wildcards.seed} {params.model}"
        " --out {output.scores:q} --log {output.steps:q} 2> {log:q}"


# Take the hardest sample, penalise its neighbours, and so on.
use rule select_subset as select_self_filter with:
    input:
        code=code("select_subset.py", "vlselect/methods/baselines/self_filter.py"),
        samples="<results>/pool/samples.parquet",
        scores=of_run("self_filter", "<results>/scores/self_filter/seed-{seed}.parquet"),
        clip=gather.pool(
            "<results>/features/{model}/clip/shard-{scatteritem}.safetensors",
            model=config["methods"]["self_filter"]["clip"],
        ),
        limits=limit_files,
    wildcard_constraints:
        method="self_filter",
    threads: config["threads"]
    resources:
        mem_mb=growing(16000),
        runtime=growing(240),
        growth=2,
    params:
        parameters=parameters("self_filter", "gamma", "neighbours", "negative"),
        threads=config["threads"],
