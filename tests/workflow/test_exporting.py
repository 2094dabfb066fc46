"""The config's `export`: every subset in every format, rewritten if the format's code changes."""

import json

import pytest
import yaml
from export_pool import RECORDS, draw, read_back
from running import copy_program, jobs, snakemake, succeeded

CONFIG = {
    "run": "mini",
    "pool": {"records": "data/records.json", "images": "data/images"},
    "tasks": {},
    "models": {"none": {"path": "data"}},  # no job loads it
    "methods": {"random": {}},
    "ratios": [0.5],
    "export": ["llava", "trl", "ids"],
    "experiments": {"main": {"methods": ["random"]}},
}


@pytest.fixture
def folder(tmp_path):
    """A folder with records, images and a config."""
    draw(tmp_path / "data/images")
    (tmp_path / "data/records.json").write_text(json.dumps(RECORDS))
    return tmp_path


def write(folder, **changes):
    path = folder / "my.yaml"
    path.write_text(yaml.safe_dump(CONFIG | changes))
    return path


def test_subsets_are_exported_and_only_what_changed_again(folder):
    root = copy_program(folder / "program")
    config = write(folder)

    def run(*arguments):
        return succeeded(snakemake(folder, config, "--cores", "2", *arguments, root=root))

    run("exports")
    out = folder / "results/mini/exports/random/ratio-0.5_seed-0"
    assert {path.name for path in out.iterdir()} == {"llava", "trl", "ids"}
    names = (out / "ids/ids.txt").read_text().split("\n")[:-1]
    assert len(names) == len(RECORDS) // 2
    for form in ("llava", "trl"):
        back = read_back(form, out / form, folder / "data/images")
        assert [sample.name for sample in back] == names
    assert not jobs(run("exports", "-n"))
    module = root / "scripts/vlselect/subsets/exports/trl.py"
    module.write_text(module.read_text() + "\n# changed\n")
    planned = run("exports", "-n")
    assert jobs(planned) == {"export_subset", "exports"} and planned.count("format=trl") == 1


def test_exports_are_part_of_everything_that_is_asked_for(folder):
    planned = succeeded(snakemake(folder, write(folder), "-n", "all"))
    assert "export_subset" in jobs(planned)
    planned = succeeded(snakemake(folder, write(folder, export=[]), "-n", "all"))
    assert "export_subset" not in jobs(planned) and "select_random" in jobs(planned)
