"""scripts/extract_concepts.py on a small pool, and what select_subset.py makes of its files."""

import extract_concepts
import pandas as pd
import pytest
import select_subset
from tiny_inputs import make_records, prepare

from vlselect.methods.maths import concepts
from vlselect.pool.samples import Samples

N = 150


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("pool"), make_records(N, seed=2))


def run(pool, folder, *more):
    outs = [folder / "samples.parquet", folder / "vocabulary.parquet"]
    flags = ["--samples", pool / "samples.parquet", "--min-samples", 2]
    flags += ["--out-samples", outs[0], "--out-vocabulary", outs[1], *more]
    extract_concepts.main([*map(str, flags)])
    return outs


@pytest.mark.parametrize("more", [[], ["--pairs"]])
def test_files_hold_the_concepts_of_all_samples(pool, tmp_path, more):
    samples, vocabulary = map(pd.read_parquet, run(pool, tmp_path, *more))
    records = Samples(pool / "samples.parquet").records(range(N))
    own, words = concepts.of_samples(
        records, concepts.read_plainly, pairs=bool(more), min_samples=2
    )
    assert len(vocabulary) > 5
    pd.testing.assert_frame_equal(vocabulary, words)
    assert [ids.tolist() for ids in samples["concepts"]] == [i.tolist() for i in own["concepts"]]
    assert (set(vocabulary["type"]) == {"word", "pair"}) == bool(more)


def test_a_subset_is_made_of_these_files(pool, tmp_path):
    samples, vocabulary = run(pool, tmp_path)
    flags = ["--method", "mcl", "--samples", pool / "samples.parquet", "--budget", "ratio-0.25"]
    flags += ["--signal", "concepts", samples, "--signal", "vocabulary", vocabulary, "--seed", 0]
    flags += ["--parameters", '{"cover": "rounds"}', "--out-records", tmp_path / "out.json"]
    select_subset.main([*map(str, flags), "--out-rows", str(tmp_path / "out.parquet")])
    chosen = pd.read_parquet(tmp_path / "out.parquet").sort_values("rank")
    table, words = map(pd.read_parquet, (samples, vocabulary))
    first = words["importance"].to_numpy()[table["concepts"][chosen["row"].iloc[0]]].sum()
    assert len(chosen) == 38 and chosen["score"].iloc[0] == first
    assert first == max(words["importance"].to_numpy()[ids].sum() for ids in table["concepts"])


def test_a_missing_tagger_is_an_error_before_anything_is_read(pool, tmp_path):
    with pytest.raises(ValueError, match="no tagger 'none_such'"):
        run(pool, tmp_path, "--tagger", "none_such")
    assert not list(tmp_path.iterdir())
