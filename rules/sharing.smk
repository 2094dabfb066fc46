"""Results that runs share, with `snakemake --cache` (docs/operations.md): those of models over data.

Reads and writes $SNAKEMAKE_OUTPUT_CACHE, where each result lies under a digest of code, parameters
and inputs (so a job's shard has to be among its parameters). Snakemake does not measure what it may
take from there: these jobs then have no costs.
"""

from snakemake.caching.rule import RuleCache

SHARED = {
    *("extract_features", "extract_attention", "extract_clip", "count_tokens"),
    *("warm_up", "collect_gradients", "collect_validation_gradients"),
}

for known in workflow.rules:
    if known.name in SHARED:
        known._benchmark = None  # where there is one, Snakemake refuses to cache
        known.cache = RuleCache.from_rule(known, True)
