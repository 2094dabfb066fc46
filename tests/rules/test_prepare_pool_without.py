"""prepare_pool without what it is told to leave out: by id, or because it is held out."""

import json

import pandas as pd
import prepare_pool
import prepare_task
import pytest
import tabulate_contamination
from PIL import Image
from record_forms import embed, write_parquet, write_tar
from usual_flags import usual

from vlselect.core.errors import InputError
from vlselect.pool.samples import Samples
from vlselect.tables import declarations

QUESTION = "<image>\nHow many?"


def record(name, image="0.png", question=QUESTION, answer="3"):
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"id": name, "images": [image], "conversations": turns}


@pytest.fixture
def folder(tmp_path):
    """Images of the pool and, under other names, of a task."""
    for root, first in (("pool", 0), ("task", 10)):
        (tmp_path / root).mkdir()
        for i in range(4):
            image = Image.new("RGB", (8, 8), (60 * i, 0, 0))
            image.save(tmp_path / root / f"{first + i}.png")
    return tmp_path


@pytest.fixture
def prepare(folder):
    """Return a function that prepares a pool of records: samples, rejected, summary."""

    def run(records, *flags, out="out", locations=None, images=None):
        for name, part in records.items() if isinstance(records, dict) else [("pool", records)]:
            (folder / f"{name}.json").write_text(json.dumps(part))
        outputs = [folder / out / name for name in ("s.parquet", "r.csv", "s.json")]
        prepare_pool.main(
            [
                *usual(prepare_pool),
                *("--records", *(locations or [str(folder / "pool.json")])),
                *("--images", *(images or [str(folder / "pool")])),
                *("--samples", str(outputs[0]), "--rejected", str(outputs[1])),
                *("--summary", str(outputs[2]), *map(str, flags)),
            ]
        )
        rejected = pd.read_csv(outputs[1], keep_default_na=False)
        return Samples(outputs[0]), rejected, json.loads(outputs[2].read_text())

    return run


@pytest.fixture
def held_out(folder):
    """Return a function that prepares a task's sets: the flags that name them."""

    def run(**splits):
        flags = ["--task", "vqa", "--images", folder / "task", "--rejected", folder / "t.csv"]
        named = []
        for split in ("validation", "test"):
            flags += [f"--out-{split}", folder / f"{split}.parquet", f"--{split}"]
            if split in splits:
                (folder / f"{split}.json").write_text(json.dumps(splits[split]))
                flags += [folder / f"{split}.json"]
                named += ["--held-out", "vqa", split, folder / f"{split}.parquet", folder / "task"]
        prepare_task.main([*usual(prepare_task), *map(str, flags), "--source-key"])
        return list(map(str, named))

    return run


def ids(samples):
    return samples.frame(["sample_id"])["sample_id"].tolist()


def sums(summary, samples, rejected):
    assert summary["read"] == summary["accepted"] + summary["rejected"]
    assert (summary["accepted"], summary["rejected"]) == (len(samples), len(rejected))
    return summary["rejected_by_reason"]


def test_excluded_samples_are_rejected_and_no_others_change(prepare, folder):
    records = [record(f"x{i}") for i in range(5)] + [record("broken", image="none.png")]
    (folder / "bad.txt").write_text("x1\nx3\nbroken\n")
    samples, rejected, summary = prepare(records, "--exclude", folder / "bad.txt")
    assert ids(samples) == ["x0", "x2", "x4"]
    assert rejected["sample_id"].tolist() == ["x1", "x3", "broken"]
    assert rejected["position"].tolist() == [1, 3, 5]
    assert sums(summary, samples, rejected) == {"excluded": 3}


def test_an_excluded_id_is_that_of_the_table(prepare, folder):
    """Of repeated ids the one that is named; the others are called what they were called before."""
    (folder / "bad.json").write_text(json.dumps(["a#2", 7]))
    records = [record("a", answer=str(i)) for i in range(3)] + [record(7), record("b")]
    flags = ("--repeated-ids", "rename", "--exclude", folder / "bad.json")
    samples, rejected, _ = prepare(records, *flags)
    assert ids(samples) == ["a", "a#3", "b"] and rejected["sample_id"].tolist() == ["a#2", "7"]


def test_ids_of_a_mixture_name_its_part(prepare, folder):
    (folder / "bad.txt").write_text("one:x\n")
    samples, rejected, _ = prepare(
        {"one": [record("x"), record("y")], "two": [record("x")]},
        *("--exclude", folder / "bad.txt"),
        locations=[f"one={folder / 'one.json'}", f"two={folder / 'two.json'}"],
        images=[f"one={folder / 'pool'}", f"two={folder / 'pool'}"],
    )
    assert ids(samples) == ["one:y", "two:x"]
    assert rejected[["sample_id", "reason", "part"]].to_numpy().tolist() == [
        ["one:x", "excluded", "one"]
    ]


def test_unknown_ids_are_named_but_in_a_trial(prepare, folder):
    (folder / "bad.txt").write_text("x1\nnone\n")
    records = [record(f"x{i}") for i in range(40)]
    with pytest.raises(InputError, match=r"pool.exclude: 1 ids are of no record: 'none'"):
        prepare(records, "--exclude", folder / "bad.txt")
    assert not list((folder / "out").glob("*"))
    samples, _, _ = prepare(records, "--exclude", folder / "bad.txt", "--trial", 20)
    assert 19 <= len(samples) <= 20


POOL = [
    record("question", answer="4"),
    record("conversation"),
    record("other image", image="3.png"),
    record("other question", question="<image>\nWhat?"),
    record("of validation", image="1.png"),
]
TEST = [record("t0", "10.png"), record("t1", "12.png")]
VALIDATION = [record("v0", "11.png"), record("v1", "12.png", answer="5")]
TABLE = [  # task, split, n, place, same_question, same_conversation, copies
    ["vqa", "validation", 2, "pool", 1, 1, 1],
    ["vqa", "test", 2, "pool", 1, 1, 2],
    ["vqa", "test", 2, "vqa/validation", 1, 0, 1],
]


def table(path):
    return declarations.read_table(path, "contamination").to_numpy().tolist()


def test_copies_are_counted_and_named_in_the_log(prepare, held_out, folder, capsys):
    samples, *_ = prepare(POOL)
    assert len(samples) == len(POOL)
    out = folder / "contamination.csv"
    flags = [*held_out(validation=VALIDATION, test=TEST), "--images", str(folder / "pool")]
    tabulate_contamination.main(["--samples", str(samples.path), *flags, "--out", str(out)])
    assert table(out) == TABLE
    logged = capsys.readouterr().err
    for line in ("pool: 'question' copies vqa/test", "vqa/validation: 'v1' copies vqa/test"):
        assert line in logged


def test_copies_are_kept_out_of_the_pool(prepare, held_out, folder):
    flags = held_out(validation=VALIDATION, test=TEST)
    flags += ["--on-contamination", "exclude", "--contamination", folder / "contamination.csv"]
    samples, rejected, summary = prepare(POOL, *flags)
    assert ids(samples) == ["other image", "other question"]
    assert samples.frame(["row"])["row"].tolist() == [0, 1]
    assert rejected["position"].tolist() == [0, 1, 4]
    assert sums(summary, samples, rejected) == {"contaminated": 3}
    assert table(folder / "contamination.csv") == TABLE


def test_a_copy_is_one_wherever_its_image_lies(prepare, held_out, folder):
    """In a table, whose references name the bytes, in a tar, in a part of a mixture."""
    flags = held_out(test=TEST)
    flags += ["--on-contamination", "exclude", "--contamination", folder / "contamination.csv"]
    pool = folder / "pool"
    embedded = write_parquet(embed(POOL, pool), folder / "pool.parquet")
    tar = write_tar({path.name: path.read_bytes() for path in pool.iterdir()}, folder / "pool.tar")
    samples, rejected, _ = prepare(
        {"tar": POOL, "folder": POOL},
        *flags,
        locations=[f"table={embedded}", *(f"{n}={folder / n}.json" for n in ("tar", "folder"))],
        images=[f"table={embedded}", f"tar={tar}", f"folder={pool}"],
    )
    assert rejected["sample_id"].tolist() == [
        f"{part}:{name}"
        for part in ("table", "tar", "folder")
        for name in ("question", "conversation")
    ]
    assert len(samples) == 3 * 3 and table(folder / "contamination.csv")[0][-1] == 6


@pytest.mark.parametrize("split", ["validation", "test"])
def test_any_copy_can_be_an_error(prepare, held_out, folder, split):
    flags = held_out(**{split: TEST})
    flags += ["--on-contamination", "error", "--contamination", folder / "contamination.csv"]
    with pytest.raises(InputError, match=f"1 of 2 records of vqa/{split} are in the pool") as error:
        prepare(POOL, *flags)
    assert "pool: 'question', 'conversation'" in str(error.value)
    assert not list((folder / "out").glob("*")) and not (folder / "contamination.csv").exists()


def test_a_test_set_in_the_validation_set_is_an_error(prepare, held_out, folder):
    flags = held_out(validation=TEST, test=TEST)
    flags += ["--on-contamination", "error", "--contamination", folder / "contamination.csv"]
    with pytest.raises(InputError, match="2 of 2 records of vqa/test are in vqa/validation"):
        prepare([record("fine", "3.png")], *flags)


def test_no_copies_are_no_error(prepare, held_out, folder):
    flags = held_out(validation=VALIDATION[:1], test=TEST)
    flags += ["--on-contamination", "error", "--contamination", folder / "contamination.csv"]
    samples, _, _ = prepare([record("fine", "3.png")], *flags)
    assert len(samples) == 1
    assert [row[-1] for row in table(folder / "contamination.csv")] == [0, 0, 0]
