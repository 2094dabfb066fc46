"""Tasks built from benchmarks' own files, from the config to the tables of the stages."""

import json
import shutil

import pandas as pd
import pytest
import yaml
from benchmark_files import BENCHMARKS
from running import HERE, jobs, snakemake, succeeded

from vlselect.pool.samples import Samples

RUN = ("vqa", "mmbench")  # the others are tested with the script


@pytest.fixture
def folder(tmp_path, mini_input):
    """Folder with the mini workflow's data and the small benchmarks."""
    shutil.copytree(mini_input / "data", tmp_path / "data")
    return tmp_path


def write_config(folder, changes=None):
    """Write the mini config with every small benchmark as a task; paths are relative."""
    config = yaml.safe_load((HERE / "mini.yaml").read_text())
    config["tasks"] = {}
    for name, write in BENCHMARKS.items():
        build = json.loads(json.dumps(write(folder / name)).replace(f"{folder}/", ""))
        config["tasks"][name] = {"build": {**build, "validation": 0.34}}
    config["tasks"]["mme"]["metric_options"] = {"total": "both"}
    config["tasks"]["vqa"]["build"] |= changes or {}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_built_tasks_feed_the_stages_and_follow_their_files(folder):
    config = write_config(folder)
    planned = jobs(succeeded(snakemake(folder, config, "-n")))
    assert {"make_task", "prepare_task", "collect_validation_gradients"} <= planned
    splits, tasks = ("validation", "test"), "results/mini/tasks"
    targets = [f"{tasks}/{name}/{split}.parquet" for name in RUN for split in splits]
    succeeded(snakemake(folder, config, "-c2", *targets))
    for name in RUN:
        built = folder / "results/mini/tasks_built" / name
        counts = json.loads((built / "summary.json").read_text())
        for split in splits:
            samples = Samples(folder / f"results/mini/tasks/{name}/{split}.parquet")
            assert len(samples) == counts[split] > 0
        assert len(pd.read_csv(built / "rejected.csv")) == sum(counts["rejected"].values())
        assert bool(list((built / "images").glob("*.jpg"))) == (name == "mmbench")
    assert "make_task" not in jobs(succeeded(snakemake(folder, config, "-n", *targets)))
    annotations = folder / "vqa/v2_mscoco_val2014_annotations.json"
    annotations.write_text(annotations.read_text().replace('"grey"', '"gray"'))
    output = succeeded(snakemake(folder, config, "-n", "-p", *targets))
    assert output.count("results/mini/tasks_built/vqa/validation.json") > 0
    assert "tasks_built/mmbench" not in output


def test_a_wrong_build_stops_before_any_job(folder):
    config = write_config(folder, {"annotations": "vqa/none.json", "split": "val"})
    done = snakemake(folder, config, "-c1")
    assert done.returncode != 0 and not jobs(done.stdout)
    assert "The config is not right" in done.stdout and "Traceback" not in done.stdout
    assert "tasks.vqa.build: no file 'vqa/none.json'" in done.stdout
    assert "tasks.vqa.build.split: layout vqa does not know it" in done.stdout
    assert not (folder / "results").exists()


def test_lmms_eval_takes_the_place_of_the_benchmarks(folder):
    config = yaml.safe_load(write_config(folder).read_text())
    config["evaluation"] = {"lmms_eval": {"python": "lmms/bin/python"}}
    config["tasks"]["gqa"]["max_new_tokens"] = 77
    path = folder / "lmms.yaml"
    path.write_text(yaml.safe_dump(config))
    output = succeeded(snakemake(folder, path, "-n", "-p"))
    planned = jobs(output)
    assert {"run_lmms_eval", "run_lmms_eval_pretrained", "merge_checkpoint"} <= planned
    assert not {"run_benchmarks", "run_benchmarks_pretrained"} & planned
    assert "--adapter llava_hf --python lmms/bin/python" in output
    for task, tokens in (("gqa", 77), ("pope", config["generate"]["max_new_tokens"])):
        assert f"--task {task} {task} '{{}}' results/mini/tasks/{task}/test.parquet" in output
        assert f" {task}/{'images' if task == 'gqa' else 'val2014'} {tokens} " in output
