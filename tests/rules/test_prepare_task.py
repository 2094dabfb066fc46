"""prepare_task on small files: both splits, answers and choices, and rejections."""

import json

import pandas as pd
import prepare_task
import pytest
from PIL import Image
from usual_flags import usual

from vlselect.pool.samples import Samples

QUESTION = {"from": "human", "value": "<image>\nHow many?"}
ANSWER = {"from": "gpt", "value": "3"}


def record(i, **changes):
    return {"id": i, "image": "a.png", "conversations": [QUESTION, ANSWER]} | changes


@pytest.fixture
def run(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")

    def run(**splits):
        flags = ["--task", "counting", "--images", tmp_path, "--rejected", tmp_path / "r.csv"]
        for split in ("validation", "test"):
            flags += [f"--{split}"]
            if split in splits:
                (tmp_path / f"{split}.json").write_text(json.dumps(splits[split]))
                flags += [tmp_path / f"{split}.json"]
            flags += [f"--out-{split}", tmp_path / f"{split}.parquet"]
        prepare_task.main([*usual(prepare_task), *map(str, flags), "--source-key"])
        rejected = pd.read_csv(tmp_path / "r.csv", keep_default_na=False)
        tables = (Samples(tmp_path / f"{split}.parquet") for split in ("validation", "test"))
        return *tables, rejected

    return run


def test_both_splits(run):
    alone = [QUESTION]
    validation = [
        record(0),
        record(1, conversations=alone, answers=["3"]),
        record(2, answers=["4", 5]),
    ]
    test = [
        record(0, conversations=alone, answers=["3", "three"], choices=["A", "B"]),
        record(1, conversations=alone),
        record(0),
        record(3, image="none.png"),
    ]
    kept, tested, rejected = run(validation=validation, test=test)
    frame = kept.frame()
    assert frame["sample_id"].tolist() == ["0", "2"] and frame["row"].tolist() == [0, 1]
    assert [list(answers) for answers in frame["answers"]] == [["3"], ["4", "5"]]
    frame = tested.frame()
    assert frame["sample_id"].tolist() == ["0"]
    assert list(frame["answers"][0]) == ["3", "three"] and list(frame["choices"][0]) == ["A", "B"]
    assert len(tested.records([0])[0].turns) == 1
    assert rejected.columns.tolist() == ["split", "position", "sample_id", "reason", "detail"]
    assert rejected[["split", "position", "reason"]].to_numpy().tolist() == [
        ["validation", 1, "no_response"],
        ["test", 1, "no_answer"],
        ["test", 2, "duplicate_id"],
        ["test", 3, "missing_image"],
    ]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_split_that_is_not_given_is_empty(run, split):
    other = {"validation": "test", "test": "validation"}[split]
    tables = dict(zip(("validation", "test"), run(**{other: [record(0)]})[:2], strict=True))
    assert len(tables[other]) == 1
    assert len(tables[split]) == 0
    assert tables[split].frame().columns.tolist() == tables[other].frame().columns.tolist()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_split_without_a_good_record_fails_by_name(run, tmp_path, split):
    splits = {"validation": [record(0)], "test": [record(0)]}
    splits[split] = [record(0, image="none.png")]
    with pytest.raises(ValueError, match=f"no {split} record of task 'counting'.*was accepted"):
        run(**splits)
    assert not list(tmp_path.glob("*.parquet"))
