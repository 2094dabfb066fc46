"""Finetuned models, one for each model, method, ratio and seed.

Reads pool/samples.parquet, subsets/<method>/…, the images and a model; writes the directories
checkpoints/<model>/<method>/ratio-<r>_seed-<s>/ with weights and training_log.csv.
"""


rule finetune_model:
    """Finetune a model on one subset; the seed is that of the subset."""
    input:
        code=code("finetune_model.py"),
        samples="<results>/pool/samples.parquet",
        subset="<results>/subsets/{method}/ratio-{ratio}_seed-{seed}.parquet",
        model=model_files,
    output:
        directory("<results>/checkpoints/{model}/{method}/ratio-{ratio}_seed-{seed}"),
    log:
        "<logs>/finetune_model/{model}/{method}/ratio-{ratio}_seed-{seed}.log",
    benchmark:
        "<costs>/finetune_model/{model}/{method}/ratio-{ratio}_seed-{seed}.jsonl"
    conda:
        "../envs/models.yaml"
    threads: config["threads"]
    resources:
        mem_mb=24000,
        runtime=1440,
        gpu=gpus,
    params:
        images=config["pool"]["images"],
        max_pixels=config["pool"]["max_pixels"],
        settings=json.dumps(config["finetune"], sort_keys=True),
        model=model_flags,
    shell:
        "python {input.code[0]:q} --samples {input.samples:q} --subset {input.subset:q}"
        " --images {params.images:q} --max-pixels {params.max_pixels}"
        " --settings {params.settings:q} --seed {wildcards.seed} {params.model}"
        " --out {output:q} 2> {log:q}"
