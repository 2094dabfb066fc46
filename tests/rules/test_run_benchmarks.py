import json

import finetune_model
import pandas as pd
import pytest
import run_benchmarks
from config_defaults import FINETUNE
from task_files import write_task
from usual_flags import usual


@pytest.fixture
def flags(tiny_vlm, tiny_pool, tmp_path):
    write_task(tiny_pool, tmp_path / "words.parquet", range(9))
    write_task(tiny_pool, tmp_path / "options.parquet", range(9, 14), choices=["a", "no", "3"])
    images = str(tiny_pool / "images")

    def flags(out, *more, tokens="4"):
        return [
            *usual(run_benchmarks),
            *("--task", "words", "exact_match", "{}", str(tmp_path / "words.parquet"), images),
            *(tokens, "--task", "options", "multiple_choice", "{}"),
            *(str(tmp_path / "options.parquet"), images, "4"),
            *("--model", str(tiny_vlm), "--device", "cpu"),
            *("--out", str(tmp_path / out), *more),
        ]

    return flags


def test_every_task_is_scored(flags, tmp_path):
    run_benchmarks.main(flags("out"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("words.json", "words.parquet", "options.json", "options.parquet")
    }
    words = json.loads((tmp_path / "out/words.json").read_text())
    table = pd.read_parquet(tmp_path / "out/words.parquet")
    assert (words["task"], words["metric"], words["n"]) == ("words", "exact_match", 9)
    assert words["score"] == pytest.approx(100 * table["score"].mean())
    assert table["row"].tolist() == list(range(9))
    assert table["sample_id"].tolist() == [f"sample-{i:03d}" for i in range(9)]
    options = json.loads((tmp_path / "out/options.json").read_text())
    assert options["n"] == 5 >= options["unparsed"]


def test_each_task_has_its_own_length_and_cut_answers_are_counted(flags, tmp_path, capsys):
    answers, summaries = {}, {}
    for tokens in ("1", "4"):
        run_benchmarks.main(flags(tokens, tokens=tokens))
        for task in ("words", "options"):
            table = pd.read_parquet(tmp_path / tokens / f"{task}.parquet")
            answers[task, tokens] = table["prediction"].tolist()
            summaries[task, tokens] = json.loads((tmp_path / tokens / f"{task}.json").read_text())
    assert answers["options", "1"] == answers["options", "4"]
    assert max(len(a.split()) for a in answers["words", "1"]) == 1
    assert max(len(a.split()) for a in answers["words", "4"]) > 1
    cut = summaries["words", "1"]["cut"]
    assert cut == sum(map(bool, answers["words", "1"])) > 0  # one word without an end token
    assert (
        f"{cut} of 9 answers were cut at the max_new_tokens of task words"
        in capsys.readouterr().err
    )


def test_batch_size_does_not_matter(flags, tmp_path):
    run_benchmarks.main(flags("one", "--batch-size", "1"))
    run_benchmarks.main(flags("many", "--batch-size", "8"))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "many" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_a_checkpoint_is_what_is_scored(flags, adapter, tiny_vlm, tiny_pool, tmp_path):
    """A model trained long enough on the test questions knows their answers."""
    pool = pd.read_parquet(tiny_pool / "samples.parquet").head(9)
    pool[["row", "sample_id"]].to_parquet(tmp_path / "subset.parquet")
    settings = {
        "adapter": adapter,
        "rank": 16,
        "alpha": 32,
        "dropout": 0,
        "epochs": 40,
        "learning_rate": 5e-3,
        "batch_size": 9,
        "gradient_accumulation": 1,
    }
    finetune_model.main(
        [
            *usual(finetune_model),
            *("--samples", str(tiny_pool / "samples.parquet")),
            *("--subset", str(tmp_path / "subset.parquet")),
            *("--images", str(tiny_pool / "images"), "--settings", json.dumps(FINETUNE | settings)),
            *("--model", str(tiny_vlm), "--device", "cpu", "--out", str(tmp_path / "checkpoint")),
        ]
    )
    run_benchmarks.main(flags("before"))
    run_benchmarks.main(flags("after", "--checkpoint", str(tmp_path / "checkpoint")))
    before, after = (
        json.loads((tmp_path / name / "words.json").read_text())["score"]
        for name in ("before", "after")
    )
    assert before < 20 < 60 < after  # answers of five words are cut at four
    run_benchmarks.main(
        flags("merged", "--checkpoint", str(tmp_path / "checkpoint"), "--merge-adapter")
    )
    for path in (tmp_path / "after").iterdir():
        assert path.read_bytes() == (tmp_path / "merged" / path.name).read_bytes(), path.name
