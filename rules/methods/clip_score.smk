"""CLIP-Score: samples whose image and text agree most, by the cosine of a CLIP.

Reads pool/samples.parquet and features/<model>/clip/; writes scores/clip_score/seed-0.parquet
(row, score; no score for samples without an image) and
subsets/clip_score/<budget>_seed-<s>.{json,parquet}.
"""

declare_method(
    "clip_score",
    parameters={
        "model": {
            "description": "CLIP that embeds images and texts, a name from `models` (extract_clip)",
            "type": "string",
            "default": "clip",
        },
        "text_only": {
            "description": "samples without an image: drop, or their proportional share drawn at random (select_clip_score)",
            "enum": ["proportional", "drop"],
            "default": "proportional",
        },
    },
)


# Cosine of the image and the text embedding of every sample.
use rule score_samples as score_clip_score with:
    input:
        code=code("score_samples.py", "vlselect/methods/baselines/clip_score.py"),
        samples="<results>/pool/samples.parquet",
        clip=gather.pool(
            "<results>/features/{model}/clip/shard-{scatteritem}.safetensors",
            model=config["methods"]["clip_score"]["model"],
        ),
    wildcard_constraints:
        method="clip_score",
        seed="0",


# Take the highest scores; text-only samples by their policy.
use rule select_subset as select_clip_score with:
    input:
        code=code("select_subset.py", "vlselect/methods/baselines/clip_score.py"),
        samples="<results>/pool/samples.parquet",
        scores="<results>/scores/clip_score/seed-0.parquet",
        limits=limit_files,
    wildcard_constraints:
        method="clip_score",
    params:
        parameters=parameters("clip_score", "text_only"),
