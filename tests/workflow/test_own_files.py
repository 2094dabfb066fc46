"""Files as people have them, by the config: a home folder, gzip, links, URLs, ids of their own."""

import gzip
import json

import pandas as pd
import yaml
from PIL import Image
from running import jobs, snakemake, succeeded

SAMPLES = "results/own/pool/samples.parquet"
TESTED = "results/own/tasks/seen/test.parquet"
ASKED = [{"from": "human", "value": "<image>\nWho?"}, {"from": "gpt", "value": "Two."}]


def write(folder, **pool):
    config = {
        "run": "own",
        "pool": {"records": "~/own.json.gz", "images": "~/images", "id_key": "sample_id", **pool},
        "tasks": {"seen": {"test": "~/own.json.gz"}},
        "models": {"none": {"path": "~"}},  # no job loads it
        "methods": {"random": {}},
        "experiments": {"main": {"methods": ["random"]}},
    }
    path = folder / "my.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_what_the_config_says_of_files_reaches_the_intake(tmp_path):
    home, far = tmp_path / "home", tmp_path / "far"
    (home / "images").mkdir(parents=True)
    far.mkdir()
    for path in (home / "images/a.png", far / "b.png"):
        Image.new("RGB", (8, 8)).save(path)
    (home / "images/link").symlink_to(far)
    paths = ["a.png", f"{home}/images/a.png", "link/b.png", "https://example.org/c.png"]
    records = [
        {"sample_id": f"s{i}", "image": path, "conversations": ASKED, "answer": "x"}
        for i, path in enumerate(paths)
    ]
    (home / "own.json.gz").write_bytes(gzip.compress(json.dumps(records).encode()))

    def run(config, *flags):
        arguments = ("-c1", SAMPLES, TESTED, *flags)
        return succeeded(snakemake(tmp_path, config, *arguments, HOME=str(home)))

    output = run(write(tmp_path))
    pool = pd.read_parquet(tmp_path / SAMPLES)
    assert pool["sample_id"].tolist() == ["s0", "s1", "s2"]
    assert [name for names in pool["images"] for name in names] == ["a.png", "a.png", "link/b.png"]
    assert "3 of 4 records are in the pool (rejected: 1 image_url" in output
    assert "1 records name images by URLs, which are not downloaded: save these" in output
    tested = pd.read_parquet(tmp_path / TESTED)
    assert [name for names in tested["images"] for name in names] == ["a.png", "link/b.png"]
    assert not jobs(run(write(tmp_path), "-n"))
    off = write(tmp_path, follow_links=False)
    assert jobs(run(off, "-n")) == {"prepare_pool", "prepare_task"}
    assert "1 image_outside_root, 1 image_url" in run(off)
    braces = run(write(tmp_path, forbidden=["{x}", "Wh{0}"]))  # no wildcards
    assert "3 of 4 records are in the pool" in braces


def test_a_folder_of_json_is_told_how_to_be_named(tmp_path):
    (tmp_path / "jsons").mkdir()
    (tmp_path / "jsons/a.json").write_text("[]")
    done = snakemake(tmp_path, write(tmp_path, records="jsons"), "-n", SAMPLES)
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert "pool.records: jsons: no file of records there; JSON files are named" in done.stdout
    assert "by a pattern: jsons/*.json" in done.stdout
