"""MAGIC: samples that gain by their image and look at it, over what neurons they drive (arXiv 2605.26004).

Reads pool/samples.parquet and features/<model>/{gains,bridging,neurons}/; writes
scores/magic/seed-0.parquet (row, score: the quality; no score for samples without an image) and
subsets/magic/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "magic",
    parameters={
        "model": {
            "description": "reference model, a name from `models` (extract_gains, extract_signatures)",
            "type": "string",
            "default": "reference",
        },
        "layers": {
            "description": "decoder layers, counted from 0, whose attention and neurons are read; null: at 1/3, 1/2, 2/3 and 5/6 of the depth, or all of no more than four (extract_signatures)",
            "type": ["array", "null"],
            "items": {"type": "integer", "minimum": 0},
            "minItems": 1,
            "uniqueItems": True,
            "default": None,
        },
        "balance": {
            "description": "weight of the gain in the quality; that of bridging is 1 less it (score_magic)",
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "default": 0.5,
        },
        "keep": {
            "description": "share of the samples with an image that stay, those with the largest gains (select_magic)",
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "default": 0.6,
        },
        "candidates": {
            "description": "samples that form buckets, as a multiple of the budget (select_magic)",
            "type": "number",
            "minimum": 1,
            "default": 2.0,
        },
        "temperature": {
            "description": "tau of the buckets' weights (select_magic)",
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 0.2,
        },
        "cap": {
            "description": "largest share of the budget for a bucket (select_magic)",
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "default": 0.05,
        },
        "neurons": {
            "description": "strongest neurons of each layer that are a sample's signature, at most 64 of each; for fewer layers the last numbers (select_magic)",
            "type": "array",
            "items": {"type": "integer", "minimum": 1, "maximum": 64},
            "minItems": 1,
            "default": [1, 1, 2, 3],
        },
        "text_only": {
            "description": "samples without an image: drop, or their proportional share drawn at random (select_magic)",
            "enum": ["proportional", "drop"],
            "default": "proportional",
        },
    },
)


# Quality of every sample: gain by the image, and attention to it.
use rule score_samples as score_magic with:
    input:
        code=code("score_samples.py", "vlselect/methods/magic.py"),
        samples="<results>/pool/samples.parquet",
        gains=gather.pool(
            "<results>/features/{model}/gains/shard-{scatteritem}.safetensors",
            model=config["methods"]["magic"]["model"],
        ),
        bridging=gather.pool(
            "<results>/features/{model}/bridging/shard-{scatteritem}.safetensors",
            model=config["methods"]["magic"]["model"],
        ),
    wildcard_constraints:
        method="magic",
        seed="0",
    params:
        parameters=parameters("magic", "balance"),


# Share the budget among buckets of equal signatures.
use rule select_subset as select_magic with:
    input:
        code=code("select_subset.py", "vlselect/methods/magic.py"),
        samples="<results>/pool/samples.parquet",
        scores="<results>/scores/magic/seed-0.parquet",
        gains=gather.pool(
            "<results>/features/{model}/gains/shard-{scatteritem}.safetensors",
            model=config["methods"]["magic"]["model"],
        ),
        neurons=gather.pool(
            "<results>/features/{model}/neurons/shard-{scatteritem}.safetensors",
            model=config["methods"]["magic"]["model"],
        ),
        limits=limit_files,
    wildcard_constraints:
        method="magic",
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        parameters=parameters(
            "magic",
            "keep",
            "candidates",
            "temperature",
            "cap",
            "neurons",
            "text_only",
        ),
