"""Perplexity: samples that the model finds neither too easy nor too odd (arXiv 2309.04564).

Reads pool/samples.parquet and features/<model>/likelihood/; writes scores/perplexity/seed-0.parquet
(row, score) and subsets/perplexity/<budget>_seed-<s>.{json,parquet}, the same for every seed.
"""

declare_method(
    "perplexity",
    parameters={
        "model": {
            "description": "reference model that predicts the responses, a name from `models` (extract_features)",
            "type": "string",
            "default": "reference",
        },
        "keep": {
            "description": "which part of the ranking: the highest, a window centred on the median, or the lowest (select_perplexity)",
            "enum": ["top", "middle", "bottom"],
            "default": "middle",
        },
    },
)


# Perplexity of the responses of every sample, from the likelihood signals.
use rule score_samples as score_perplexity with:
    input:
        code=code("score_samples.py", "vlselect/methods/baselines/perplexity.py"),
        samples="<results>/pool/samples.parquet",
        likelihood=gather.pool(
            "<results>/features/{model}/likelihood/shard-{scatteritem}.safetensors",
            model=config["methods"]["perplexity"]["model"],
        ),
    wildcard_constraints:
        method="perplexity",
        seed="0",
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),


# Take the middle, the highest or the lowest perplexities.
use rule select_subset as select_perplexity with:
    input:
        code=code("select_subset.py", "vlselect/methods/baselines/perplexity.py"),
        samples="<results>/pool/samples.parquet",
        scores="<results>/scores/perplexity/seed-0.parquet",
        limits=limit_files,
    wildcard_constraints:
        method="perplexity",
    params:
        parameters=parameters("perplexity", "keep"),
