"""scripts/check_tasks.py: validation samples whole, test questions up to the answer."""

import check_tasks
import pandas as pd
from tiny_inputs import make_records, prepare
from usual_flags import usual


def test_what_fits_without_its_answer_is_refused_only_where_the_answer_is_read(tiny_vlm, tmp_path):
    records = make_records(4)
    records[1]["conversations"][-1]["value"] = "yes " * 600  # the model has 512 positions
    records[2]["conversations"][0]["value"] = "what " * 600
    pool = prepare(tmp_path / "task", records)
    flags = ["--names", "a/validation", "a/test", "--samples", *[pool / "samples.parquet"] * 2]
    flags += ["--images", *[pool / "images"] * 2, "--model", tiny_vlm]
    flags += ["--out", tmp_path / "tasks.parquet"]
    check_tasks.main([*usual(check_tasks), *map(str, flags)])
    table = pd.read_parquet(tmp_path / "tasks.parquet")
    assert table["part"].tolist() == ["a/validation"] * 4 + ["a/test"] * 4
    assert table["reason"].tolist() == ["", "too_long", "too_long", "", "", "", "too_long", ""]
    assert table["row"].tolist() == [*range(4)] * 2
    assert (table["response_tokens"][4:] == 0).all()
