"""ScalSelect: samples with the most leverage in a dominant visual subspace (arXiv 2602.11636).

Reads pool/samples.parquet and features/<model>/attended/; writes scores/scalselect/seed-0.parquet
(row, score; no score for samples without an image) and
subsets/scalselect/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "scalselect",
    parameters={
        "model": {
            "description": "target model before instruction tuning, a name from `models` (extract_attention)",
            "type": "string",
            "default": "target",
        },
        "energy": {
            "description": "share of the squared singular values that the subspace holds (score_scalselect)",
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "default": 0.9,
        },
        "text_only": {
            "description": "samples without an image: drop, or their proportional share drawn at random (select_scalselect)",
            "enum": ["proportional", "drop"],
            "default": "proportional",
        },
    },
)


# Leverage of every sample in the dominant subspace of the attended visual features.
use rule score_samples as score_scalselect with:
    input:
        code=code("score_samples.py", "vlselect/methods/scalselect.py"),
        samples="<results>/pool/samples.parquet",
        attended=gather.pool(
            "<results>/features/{model}/attended/shard-{scatteritem}.safetensors",
            model=config["methods"]["scalselect"]["model"],
        ),
    wildcard_constraints:
        method="scalselect",
        seed="0",
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        parameters=parameters("scalselect", "energy"),


# Take the highest scores; text-only samples by their policy.
use rule select_subset as select_scalselect with:
    input:
        code=code("select_subset.py", "vlselect/methods/scalselect.py"),
        samples="<results>/pool/samples.parquet",
        scores="<results>/scores/scalselect/seed-0.parquet",
        limits=limit_files,
    wildcard_constraints:
        method="scalselect",
    params:
        parameters=parameters("scalselect", "text_only"),
