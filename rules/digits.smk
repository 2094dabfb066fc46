"""The embedded demo: data and models that the pipeline then treats like any user's.

Reads the config section `digits`, which is there in the demo only; writes raw/ (records, images,
the tasks' questions) and models/ (clip: the vision tower and its text model; base: a tiny LLaVA; small: one with a
sixth of its decoder's weights, where a config names it).
"""

from vlselect.digits.vocabulary import TASKS as DIGITS_TASKS


rule make_digits:
    """Compose scenes of handwritten digits; ask questions about them, some answered wrong."""
    input:
        code=code("make_digits.py"),
    output:
        records="<made>/raw/mixture.json",
        images=directory("<made>/raw/images"),
        validation=expand("<made>/raw/tasks/{task}/validation.json", task=DIGITS_TASKS),
        test=expand("<made>/raw/tasks/{task}/test.json", task=DIGITS_TASKS),
    log:
        "<made>/logs/make_digits.log",
    benchmark:
        "<made>/costs/make_digits/all.jsonl"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        mixture=json.dumps(config["digits"]["mixture"]),
        noise=config["digits"]["noise"],
        duplicates=config["digits"]["duplicates"],
        validation=config["digits"]["validation"],
        test=config["digits"]["test"],
        seed=config["digits"]["seed"],
    shell:
        "python {input.code[0]:q} --mixture {params.mixture:q} --noise {params.noise}"
        " --duplicates {params.duplicates} --validation-size {params.validation}"
        " --test-size {params.test} --seed {params.seed} --records {output.records:q}"
        " --images {output.images:q} --validation {output.validation:q}"
        " --test {output.test:q} 2> {log:q}"


rule pretrain_vision:
    """Train a CLIP on scenes and captions; its vision tower becomes the base model's."""
    input:
        code=code("pretrain_vision.py"),
    output:
        directory("<made>/models/clip"),
    log:
        "<made>/logs/pretrain_vision.log",
    benchmark:
        "<made>/costs/pretrain_vision/all.jsonl"
    conda:
        "../envs/models.yaml"
    threads: 2 * config["threads"]  # its text model learns beside its tower
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        scenes=config["digits"]["vision_scenes"],
        seed=config["digits"]["seed"],
        threads=config["threads"],
    shell:
        "python {input.code[0]:q} --scenes {params.scenes} --seed {params.seed}"
        " --threads {params.threads} --out {output:q} 2> {log:q}"


rule pretrain_base:
    """Train a LLaVA on that tower to look things up, until it does so well enough."""
    input:
        code=code("pretrain_base.py"),
        vision="<made>/models/clip",
    output:
        directory("<made>/models/{size}"),
    log:
        "<made>/logs/pretrain_base/{size}.log",
    benchmark:
        "<made>/costs/pretrain_base/{size}.jsonl"
    wildcard_constraints:
        size="base|small",
    conda:
        "../envs/models.yaml"
    threads: config["threads"]
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        size="{size}",
        samples=config["digits"]["base_samples"],
        lookup=config["digits"]["lookup"],
        seed=config["digits"]["seed"],
        threads=config["threads"],
    shell:
        "python {input.code[0]:q} --size {params.size} --vision {input.vision:q} --samples {params.samples}"
        " --lookup {params.lookup} --seed {params.seed} --threads {params.threads}"
        " --out {output:q} 2> {log:q}"
