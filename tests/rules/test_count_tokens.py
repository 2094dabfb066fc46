"""scripts/count_tokens.py: the tokens that finetuning sees, without weights, in any shards."""

import shutil

import count_tokens
import pandas as pd
from usual_flags import usual
from usual_models import load_vlm

from vlselect.pool import images
from vlselect.pool.samples import Samples


def test_tokens_are_those_of_the_loaded_model(tiny_vlm, tiny_pool, tmp_path):
    bare = shutil.copytree(tiny_vlm, tmp_path / "bare")
    (bare / "model.safetensors").unlink()
    flags = ["--samples", tiny_pool / "samples.parquet", "--images", tiny_pool / "images"]
    flags = [*map(str, flags), "--model", str(bare)]
    for shard in ("1-of-1", "1-of-2", "2-of-2"):
        out = ["--shard", shard, "--out", str(tmp_path / f"{shard}.parquet")]
        count_tokens.main([*usual(count_tokens), *flags, *out])
    table = pd.read_parquet(tmp_path / "1-of-1.parquet")
    parts = [pd.read_parquet(tmp_path / f"{shard}.parquet") for shard in ("1-of-2", "2-of-2")]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), table)

    samples, vlm = Samples(tiny_pool / "samples.parquet"), load_vlm(str(tiny_vlm))
    for row, record in enumerate(samples.records(range(len(samples)))):
        pictures = [images.load(tiny_pool / "images", p, 10**6) for p in record.images]
        encoded = vlm.encode(record, pictures)
        expected = [row, len(encoded), int(encoded.response.sum())]
        assert table.loc[row].tolist() == expected
    assert table["tokens"].nunique() > 1
