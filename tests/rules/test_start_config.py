"""scripts/start_config.py on records of several forms: the config is one that a dry run accepts."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import start_config
import yaml
from running import ROOT, jobs, snakemake, succeeded

from vlselect.core.errors import InputError


@pytest.fixture
def folder(mini_input, tmp_path, monkeypatch):
    shutil.copytree(mini_input / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # no terminal
    return tmp_path


def run(*flags, out="my.yaml"):
    start_config.main([*flags, "--model", "data/model", "--out", out])
    return yaml.safe_load(Path(out).read_text(encoding="utf-8"))


def test_llava_records_with_a_task(folder, capsys):
    task = "alpha=data/alpha_validation.json,data/alpha_test.json,exact_match"
    config = run("--records", "data/mixture.json", "--images", "data/images", "--task", task)
    said = capsys.readouterr().out
    assert "333 records, all looked at: 330 accepted" in said
    assert "image_count_mismatch: 1" in said and "3 sources by 'task'" in said
    assert config["pool"]["source_key"] == "task"
    planned = jobs(succeeded(snakemake(folder, folder / "my.yaml", "-n")))
    assert {"prepare_pool", "select_clean_shares", "select_coincide", "finetune_model"} <= planned
    with pytest.raises(InputError, match="is there already"):
        run("--records", "data/mixture.json", "--images", "data/images")


@pytest.mark.parametrize("form", ["jsonl", "sharegpt", "parquet"])
def test_other_forms(folder, form, capsys):
    records = [r for r in json.loads((folder / "data/mixture.json").read_text()) if "image" in r]
    records = [r for r in records if r["id"] != "bad-image"][:40]
    if form == "jsonl":
        path = folder / "data/r.jsonl"
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    elif form == "sharegpt":
        names = {"human": "user", "gpt": "assistant"}
        for record in records:
            turns = record.pop("conversations")
            record["messages"] = [
                {"role": names[turn["from"]], "content": turn["value"]} for turn in turns
            ]
            record["images"] = [record.pop("image")]
        path = folder / "data/r.json"
        path.write_text(json.dumps(records))
    else:
        path = folder / "data/r.parquet"
        pd.DataFrame(records).to_parquet(path)
    config = run("--records", str(path), "--images", "data/images")
    assert "40 records, all looked at: 40 accepted" in capsys.readouterr().out
    assert config["methods"] == {"random": {}, "coincide": {}}
    planned = jobs(succeeded(snakemake(folder, folder / "my.yaml", "-n", "subsets")))
    assert {"prepare_pool", "select_coincide"} <= planned


def test_what_is_missing_is_named_where_there_is_nobody_to_ask(folder):
    with pytest.raises(InputError, match="missing: --records"):
        run()


def test_what_is_missing_is_asked_for(folder, monkeypatch):
    answers = iter(["data/mixture.json", "data/images", "0.1", "random coincide"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda text: next(answers))
    config = run()
    assert config["pool"]["records"] == "data/mixture.json"
    assert config["ratios"] == [0.1] and [*config["methods"]] == ["random", "coincide"]
    planned = jobs(succeeded(snakemake(folder, folder / "my.yaml", "-n", "exports")))
    assert "export_subset" in planned


def test_without_a_model(folder):
    flags = ("--records", "data/mixture.json", "--images", "data/images", "--methods", "random")
    start_config.main([*flags, "--out", "my.yaml"])
    planned = jobs(succeeded(snakemake(folder, folder / "my.yaml", "-n", "exports")))
    assert "export_subset" in planned and "check_samples" not in planned


def test_the_script_is_what_make_calls():
    assert "scripts/start_config.py" in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("wrong", ["2", "0", "20%"])
def test_a_share_that_is_none(folder, wrong):
    flags = ("--records", "data/mixture.json", "--images", "data/images", "--ratio", wrong)
    with pytest.raises(InputError, match=f"'{wrong}' is no share of the pool"):
        run(*flags)


def test_all_that_is_wrong_is_said_at_once(folder):
    flags = ("--records", "data/none.json", "--images", "data/images", "--ratio", "2")
    with pytest.raises(InputError) as caught:
        run(*flags)
    said = str(caught.value).splitlines()
    for line, what in zip(said, ("no share of the pool", "no such records"), strict=True):
        assert what in line


def test_a_method_that_is_misspelt(folder):
    flags = ("--records", "data/mixture.json", "--images", "data/images", "--methods", "coincid")
    with pytest.raises(InputError, match=r"no method 'coincid' \(did you mean 'coincide'\?\)"):
        run(*flags)


def test_a_config_that_a_dry_run_refuses_is_removed(folder):
    words = {"RECORDS": "data/mixture.json", "IMAGES": "data/images", "METHODS": "icons"}
    given = [f"{name}={value}" for name, value in (words | {"MODEL": "data/model"}).items()]
    environment = {**os.environ, "PWD": str(folder), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        ["make", "-C", str(ROOT), f"BIN={Path(sys.executable).parent}", "init", *given],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode and "validation" in done.stdout and "removed again" in done.stdout
    assert not Path("my.yaml").exists()


@pytest.mark.parametrize("images", ["data", "data/images/sub"])
def test_images_one_level_off_are_found(folder, images):
    (folder / "data/images/sub").mkdir()
    with pytest.raises(InputError, match=r"it is in \S*data/images: is that the folder"):
        run("--records", "data/mixture.json", "--images", images)


def test_a_model_that_lacks_a_file(folder):
    for path in (folder / "data/model").glob("tokenizer*"):
        path.unlink()
    with pytest.raises(InputError, match="model data/model: it has no tokenizer: put"):
        run("--records", "data/mixture.json", "--images", "data/images")


def test_names_of_methods_and_files_as_they_come(folder):
    flags = ("--records", "data/mixture.json", "--images", "data/images")
    config = run(*flags, "--methods", "random,coincide", out="_my space!.yaml")
    assert config["run"] == "my-space" and [*config["methods"]] == ["random", "coincide"]
    jobs(succeeded(snakemake(folder, folder / "_my space!.yaml", "-n", "subsets")))


def test_a_pool_that_is_mostly_unusable_later_stops(folder):
    config = run("--records", "data/mixture.json", "--images", "data/images", "--methods", "random")
    assert config["pool"]["max_rejected"] == 0.2
    (folder / "data/images").rename(folder / "data/moved")
    (folder / "data/images").mkdir()
    done = snakemake(folder, folder / "my.yaml", "-c1", "subsets")
    assert done.returncode and "max_rejected" in done.stdout
