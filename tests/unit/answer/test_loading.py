"""How training programs load a subset: every export, and the paths that its writer leaves."""

from pathlib import PurePosixPath

import yaml
from running import ROOT

from vlselect.answer.loading import PROGRAMS, loadings
from vlselect.core import registry

RESULTS, SUBSET = PurePosixPath("results/mine"), "icons/ratio-0.2_seed-0"


def test_every_export_has_its_program():
    assert sorted({export for export, _, _ in PROGRAMS}) == registry.names("export")
    assert len(PROGRAMS) == 6  # five trainers, and the ids for any other program


def test_paths_and_order():
    found = loadings(RESULTS, SUBSET, ["trl", "own"], "data/images")
    assert [loading.written for loading in found] == [True] * 2 + [False] * 5
    assert found[0].export == "results/mine/exports/icons/ratio-0.2_seed-0/trl"
    for loading in found:
        assert loading.export in loading.text
        assert "{export}" not in loading.text and "{images}" not in loading.text
    llava, qwen = (loading for loading in found if loading.export.endswith("llava"))
    assert '"data_path": "data/images"' in qwen.text
    assert "--image_folder data/images" in llava.text
    llava, qwen, *_ = loadings(RESULTS, SUBSET, ["llava"], None)
    assert f"--image_folder {llava.export} " in llava.text
    assert f'"data_path": "{qwen.export}"' in qwen.text


def test_the_snippets_are_what_they_look_like():
    text = {loading.program: loading.text for loading in loadings(RESULTS, SUBSET, [], None)}
    settings = yaml.safe_load(text["LLaMA-Factory"])
    assert settings["dataset"] == "vlselect" and settings["dataset_dir"].startswith("results/")
    compile(text["TRL"], "trl", "exec")
    known = {"data_dict": {}}
    exec(text["Qwen-VL's own finetuning"], known)
    assert known["data_dict"]["vlselect"]["annotation_path"].endswith("/llava/train.json")
    compile(text["Any other program, by the records' ids"], "ids", "exec")


def test_the_docs_name_the_same_files():
    docs = (ROOT / "docs/exports.md").read_text()
    for part in ("EXPORT/train.json ", "EXPORT/train.jsonl", "dataset: vlselect", "ids.txt"):
        assert part in docs
        assert any(part.replace("EXPORT", "{export}") in text for *_, text in PROGRAMS)
