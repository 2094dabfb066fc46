"""Jobs of a dry run: in whatever order Snakemake lists them, rules come in the data's order."""

from itertools import permutations

import pytest

from vlselect.plan.jobs import read_jobs

POOL = "rule prepare_pool:\n    output: pool/samples.parquet\n"
TOKENS = "rule check_samples:\n    input: pool/samples.parquet\n    output: tokens.parquet\n"
FEATURES = (
    "rule extract_features:\n    input: pool/samples.parquet\n    output: features/a, features/b\n"
    "    resources: tmpdir=<TBD>, gpu=1, growth=2\n"
)
SECOND = "rule extract_features:\n    input: pool/samples.parquet\n    output: features/c\n"
SUBSET = "localrule select:\n    input: features/b, tokens.parquet\n    output: subset.parquet\n"
ALL = "localrule all:\n    input: subset.parquet\n"


@pytest.mark.parametrize("middle", permutations([TOKENS, FEATURES, SECOND]))
def test_the_order_of_independent_jobs_changes_nothing(middle):
    rules = read_jobs("\n".join(["Building DAG", POOL, *middle, SUBSET, ALL]))
    assert list(rules) == ["prepare_pool", "check_samples", "extract_features", "select"]
    assert {len(job.output) for job in rules["extract_features"]} == {1, 2}
    assert sorted((job.gpu, job.growth) for job in rules["extract_features"]) == [(0, 1), (1, 2)]
    assert rules["select"][0].input == ["features/b", "tokens.parquet"]
