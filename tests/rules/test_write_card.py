"""scripts/write_card.py: the subset's numbers, and escaped user texts."""

import hashlib
import html
import json
import re

import numpy as np
import pandas as pd
import pytest
import write_card

from vlselect.core.refused import naming

SOURCES = ["plain"] * 6 + ["a|b <i>`"] * 4


def run(folder, method="icons", refused=(), gated=0, **constraints):
    pool = {"source": SOURCES, "n_images": [0, 1] * 5, "n_turns": [1] * 9 + [3]}
    pd.DataFrame(pool).to_parquet(folder / "samples.parquet")
    rows = naming(pd.DataFrame({"row": [1, 2, 9]}), np.array(refused, dtype=np.int64))
    rows.attrs |= {"gated": gated} if gated else {}
    rows.to_parquet(folder / "rows.parquet")
    (folder / "ratio-0.3_seed-1.json").write_text("[]\n")
    config = {
        "methods": {"icons": {"top_percent": 20}, "coincide": {"model": "small"}},
        "gradients": {"model": "large"},
        "gate": {"share": 0.2},
        "models": {
            name: {"path": f"hub/{name}", "revision": "1f" * 20} for name in ("small", "large")
        },
        "constraints": {"keep": None, "minimum": {}} | constraints,
    }
    made = {"run": "test", "commit": "c0ffee", "python": "3.11", "config": config}
    made |= {"inputs_sha256": {"data/x.json": "ab" * 32}, "packages": {"torch": {"pinned": "2"}}}
    (folder / "provenance.json").write_text(json.dumps(made))
    write_card.main(
        [
            *("--samples", f"{folder}/samples.parquet", "--rows", f"{folder}/rows.parquet"),
            *("--subset", f"{folder}/ratio-0.3_seed-1.json"),
            *("--provenance", f"{folder}/provenance.json", "--out", f"{folder}/card.md"),
            *("--method", method, "--budget", "ratio-0.3", "--seed", "1"),
            *(["--sections", "gradients"] if method == "icons" else []),
            *(["--sections", "gradients", "gate"] if gated else []),
        ]
    )
    return (folder / "card.md").read_text()


def test_composition_settings_and_digests(tmp_path):
    card = run(tmp_path)
    assert "3 of the 10 records" in card and "(30.0%)" in card
    assert "| plain | 2 | 66.7% | 6 | 60.0% | to be filled in |" in card
    assert "1 records have no image, 0\nseveral, 1 several turns. Images: 2" in card
    assert hashlib.sha256(b"[]\n").hexdigest() in card and "ab" * 32 in card
    assert "results/test/subsets/icons/ratio-0.3_seed-1.json" in card and "c0ffee" in card
    used = json.loads(card.split("```json\n")[1].split("\n```")[0])
    assert used["methods"] == {"icons": {"top_percent": 20}} and "constraints" not in used
    assert list(used["models"]) == ["large"]  # the model of the gradients


@pytest.mark.parametrize(("method", "model"), [("coincide", "small"), ("random", None)])
def test_models_and_constraints_that_were_used(tmp_path, method, model):
    card = run(tmp_path, method, keep="ids.txt")
    used = json.loads(card.split("```json\n")[1].split("\n```")[0])
    assert list(used.get("models", {})) == ([model] if model else [])
    assert used["constraints"] == {"keep": "ids.txt"}


def test_front_matter_is_yaml_and_sources_are_text(tmp_path):
    yaml = pytest.importorskip("yaml")
    card = run(tmp_path)
    fields = yaml.safe_load(card.split("---\n")[1])
    assert fields["license"] == "unknown" and fields["size_categories"] == ["n<1K"]
    assert "| a&#124;b &lt;i&gt;&#96; | 1 |" in card and "<i>" not in card


LINKS = ["![x](http://a/b.png)", "[x](javascript:alert(1))", "\\[x](y)"]
LINKS += ["http://evil.example", "www.evil.example", "a@b.c", "X HTTPS://www.a@b.c", "mailto:a@b.c"]


@pytest.mark.parametrize("name", [*LINKS, "<b>x</b>", "a|b", "`a`"])
def test_a_source_is_neither_a_link_nor_an_image(name):
    pool = pd.DataFrame({"source": [name, name, "other"]})
    line = write_card.composition(pool, pd.Series([0])).splitlines()[2]
    cell = line.removeprefix("| ").partition(" | ")[0]
    parts = cell.split("<!-- -->")
    assert not set("".join(parts)) & set("[]<>`|\\")
    assert html.unescape("".join(parts)) == name
    bare = r"//|www\.|.@"  # what begins a link, with entities in it or not
    assert not any(re.search(bare, html.unescape(part), re.IGNORECASE) for part in parts)


def test_samples_that_could_not_be_chosen_are_counted(tmp_path):
    plain = run(tmp_path)
    assert "could not be chosen" not in plain
    said = "2 records of the pool could not be chosen: a model that the method reads refuses them"
    assert f"\n\n{said}, see `refused.csv`.\n\n```json" in run(tmp_path, refused=[4, 5])


def test_gated_samples_are_counted_and_the_gate_is_shown(tmp_path):
    card = run(tmp_path, method="random", gated=3)
    said = "3 records of the pool were gated: their loss is among the highest of their group"
    assert f"\n\n{said}, see `gate` below.\n\n```json" in card
    used = json.loads(card.split("```json\n")[1].split("\n```")[0])
    assert used["gate"] == {"share": 0.2} and used["gradients"] == {"model": "large"}
    assert list(used["models"]) == ["large"]
    assert "gate" not in run(tmp_path, method="random")
