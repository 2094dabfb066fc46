"""The entry make_answer on the tiny pool: what is on the page, and what is not."""

import html
import json
import re

import make_answer
import numpy as np
import pandas as pd
import pytest
from answer_tables import row, write_tables

from vlselect.core.store import ShardWriter
from vlselect.tables.declarations import write_table

N, RATIO = 24, "0.25"
METHODS = {"random": 0.0, "icons": 8.0}


@pytest.fixture
def made(tiny_pool, tmp_path):
    """A function: the page of a run with these methods, its text, and what more flags change."""

    def make(*more, methods=METHODS, seeds=2, compared=True, run="mine"):
        names = []
        for method in methods:
            for seed in range(seeds):
                names.append(f"{method}/ratio-{RATIO}_seed-{seed}")
                path = tmp_path / f"subsets/{names[-1]}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pd.DataFrame({"row": range(6)}).to_parquet(path)
        tables = write_tables(tmp_path, methods, seeds, RATIO)
        make_answer.main(
            [
                *("--run", run, "--samples", str(tiny_pool / "samples.parquet")),
                *("--summary", str(tiny_pool / "summary.json"), "--subsets"),
                *(str(tmp_path / "subsets"), "--runs", *names),
                *("--composition", str(tmp_path / "composition.csv"), "--compared"),
                *(map(str, tables) if compared else ()),
                *("--images", str(tiny_pool / "images"), "--out", str(tmp_path / "answer.html")),
                *map(str, more),
            ]
        )
        page = (tmp_path / "answer.html").read_text(encoding="utf-8")
        return page, html.unescape(re.sub("<[^>]*>", " ", page.partition("<body>")[2]))

    return make


def test_the_subset_to_take_is_named_with_its_file(made, tmp_path):
    page, text = made()
    assert (
        "Take the 6 of 24 samples that icons chose: 8.0 points above random (5.0 to 11.0)" in text
    )
    file = f"subsets/icons/ratio-{RATIO}_seed-0"
    assert f'href="{file}.json"' in page and f"{tmp_path}/{file}.json" in text
    assert (tmp_path / f"{file}.parquet").is_file()
    order = [text.index(title) for title in ("The pool", "Which subset", "Where it is", "How to")]
    assert order == sorted(order)
    assert "cost 12.5 % of finetuning on the whole pool (choosing 12.5 %" in text


def test_nothing_is_recommended_that_no_test_shows(made):
    _, text = made(methods={"random": 0.0, "icons": 2.0})
    assert "No test here tells a method above random: take random, 6 of 24 samples" in text
    _, text = made(seeds=1)
    assert "no interval over seeds" in text and "Take the" not in text


def test_a_run_without_comparison_invents_none(made):
    _, text = made(compared=False)
    assert (
        "no test scores of models finetuned on its subsets" in text
        and "what to take is open" in text
    )
    assert "above random" not in text and "8.0" not in text
    _, text = made(compared=False, methods={"icons": 8.0})
    assert "The run has one selection: icons, 6 samples" in text and "8.0" not in text


def test_a_comparison_without_random_is_none(made):
    _, text = made(methods={"random": 0.0})
    assert "no selection by random" in text and "points above" not in text


def test_losses_stand_in_for_a_gate(made, tmp_path):
    path = tmp_path / "losses.safetensors"
    header = {"rows": f"0:{N}"}
    with ShardWriter(path, (N,), np.float32, header) as writer:
        writer.write(slice(None), np.linspace(0, 1, N, dtype=np.float32))
    _, text = made("--losses", path)
    assert "no source shows any by its losses" in text and "the gate keeps" not in text
    _, text = made()
    assert "not estimated: neither a gate nor clean_shares ran" in text


def test_gate_near_duplicates_and_copies_are_read(made, tmp_path):
    gate, pairs = tmp_path / "gate.parquet", tmp_path / "pairs.parquet"
    pd.DataFrame({"loss": 0.5, "gated": [i < 5 for i in range(N)]}).to_parquet(gate)
    pd.DataFrame({"row_a": range(12), "row_b": range(12, 24), "cosine": 0.99}).to_parquet(pairs)
    table = tmp_path / "contamination.csv"
    held = {"task": "alpha", "split": "test", "n": 9, "place": "pool", "copies": 3}
    write_table([row("contamination", **held, same_question=2)], "contamination", table)
    _, text = made("--gate", gate, "--duplicates", pairs, "--contamination", table)
    assert "no source shows any by its losses; the gate keeps 5 samples" in text
    assert "50 % exactly or nearly" in text and "2 of 9 records of alpha/test" in text
    _, text = made("--contamination", table, "--screened")
    assert "3 copies of held-out records were taken out" in text


def test_a_trial_recommends_nothing(made, tiny_pool, tmp_path):
    summary = json.loads((tiny_pool / "summary.json").read_text())
    (tmp_path / "trial.json").write_text(json.dumps(summary | {"taken": N, "read": 5000}))
    _, text = made("--summary", tmp_path / "trial.json")
    assert "This is a trial on 24 of 5,000 records" in text
    assert "points above random" not in text and "are chance" in text


def test_exports_that_are_missing_have_a_command(made, tmp_path):
    _, text = made("--exports", "trl", "ids")
    folder = f"exports/icons/ratio-{RATIO}_seed-0"
    assert f"-- {tmp_path}/{folder}/llava" in text
    assert text.index(f"{folder}/trl") < text.index(f"--data_path {tmp_path}/{folder}/llava")
    _, text = made("--exports", "trl", "ids", "llava", "ms_swift", "llama_factory")
    assert "snakemake" not in text


def test_texts_of_users_stay_texts(made):
    page, text = made(run="<script>alert(1)</script>")
    assert "<script" not in page and "<i>" not in page
    assert "Run <script>alert(1)</script>" in text and "<i>charts</i>" in text
    assert "default-src 'none'" in page and "http" not in page.replace("http-equiv", "")
