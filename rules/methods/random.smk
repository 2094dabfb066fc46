"""Random selection, the baseline.

Reads pool/samples.parquet; writes subsets/random/<budget>_seed-<s>.{json,parquet}.
"""

declare_method("random", parameters={})


# Draw samples uniformly without replacement.
use rule select_subset as select_random with:
    input:
        code=code("select_subset.py", "vlselect/methods/random.py"),
        samples="<results>/pool/samples.parquet",
        limits=limit_files,
    wildcard_constraints:
        method="random",
