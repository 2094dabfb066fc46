"""The whole pool as a subset: what all others are measured against.

Reads pool/samples.parquet; writes subsets/full/ratio-1.0_seed-<s>.{json,parquet}.
"""

declare_method("full", parameters={})


# Write every accepted record, verbatim.
use rule select_subset as select_full with:
    input:
        code=code("select_subset.py", "vlselect/methods/full.py"),
        samples="<results>/pool/samples.parquet",
    wildcard_constraints:
        method="full",
        budget=r"ratio-1\.0",
    params:
        limits="",
