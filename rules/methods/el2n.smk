"""EL2N: samples that the model errs on most, by the norm of the error (arXiv 2107.07075).

Reads pool/samples.parquet and features/<model>/likelihood/; writes scores/el2n/seed-0.parquet
(row, score) and subsets/el2n/<budget>_seed-<s>.{json,parquet}, the same for every seed.
"""

declare_method(
    "el2n",
    parameters={
        "model": {
            "description": "reference model that predicts the responses, a name from `models` (extract_features)",
            "type": "string",
            "default": "reference",
        },
        "keep": {
            "description": "which part of the ranking: the highest, a window centred on the median, or the lowest (select_el2n)",
            "enum": ["top", "middle", "bottom"],
            "default": "top",
        },
    },
)


# Error norm of every sample, from the likelihood signals.
use rule score_samples as score_el2n with:
    input:
        code=code("score_samples.py", "vlselect/methods/baselines/el2n.py"),
        samples="<results>/pool/samples.parquet",
        likelihood=gather.pool(
            "<results>/features/{model}/likelihood/shard-{scatteritem}.safetensors",
            model=config["methods"]["el2n"]["model"],
        ),
    wildcard_constraints:
        method="el2n",
        seed="0",
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),


# Take the highest, the middle or the lowest scores.
use rule select_subset as select_el2n with:
    input:
        code=code("select_subset.py", "vlselect/methods/baselines/el2n.py"),
        samples="<results>/pool/samples.parquet",
        scores="<results>/scores/el2n/seed-0.parquet",
        limits=limit_files,
    wildcard_constraints:
        method="el2n",
    params:
        parameters=parameters("el2n", "keep"),
