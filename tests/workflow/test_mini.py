"""The whole workflow on a small pool: its outputs, and what makes it run again."""

import contextlib
import csv
import json
import os
import shutil

import pandas as pd
import pytest
from mini_input import BAD, N_GOOD
from running import jobs, snakemake, succeeded

METHODS = ("random", "icons", "coincide", "scalselect")
RUNS = [("full", "1.0", N_GOOD), *((method, "0.2", 66) for method in METHODS)]
SEEDS = (0, 1)
TABLES = {
    *("benchmark_scores", "relative_by_seed", "relative_performance", "cost", "clusters"),
    *("subset_composition", "subset_overlap", "contamination"),
    *("votes_histogram", "task_agreement", "vote_extremes"),
}
FIGURES = {
    *("relative_performance", "cost", "composition", "clusters"),
    *("votes", "task_agreement", "contact_sheet"),
}


def subset_names():
    return [(f"{m}/ratio-{r}_seed-{s}", n) for m, r, n in RUNS for s in SEEDS]


def test_pool_accounts_for_every_record(mini_run):
    summary = json.loads((mini_run.results / "pool/summary.json").read_text())
    counts = summary["accepted"], summary["rejected"], summary["read"]
    assert counts == (N_GOOD, len(BAD), N_GOOD + len(BAD))
    with (mini_run.results / "pool/rejected.csv").open(newline="") as stream:
        assert {row["sample_id"] for row in csv.DictReader(stream)} == set(BAD)


@pytest.mark.parametrize(("name", "size"), subset_names())
def test_subset_is_the_input_records_verbatim_in_pool_order(mini_run, name, size):
    text = (mini_run.folder / "data/mixture.json").read_text()
    pool, seen = [], set()
    for record in json.loads(text):
        if record["id"] not in seen and record["id"] not in {"bad-image", "bad-turns"}:
            pool.append(record)
        seen.add(record["id"])
    chosen = json.loads((mini_run.results / f"subsets/{name}.json").read_text())
    rows = pd.read_parquet(mini_run.results / f"subsets/{name}.parquet")
    assert len(chosen) == len(rows) == size
    assert rows["row"].is_monotonic_increasing and rows["row"].is_unique
    expected = [pool[row] for row in rows["row"]]
    assert [json.dumps(record) for record in chosen] == [json.dumps(r) for r in expected]
    assert sorted(rows["rank"]) == list(range(1, size + 1))


def test_every_shard_is_real(mini_run):
    for kind in (
        "features/target/activations",
        "features/target/attended",
        *(f"gradients/target/seed-{seed}/{part}" for seed in SEEDS for part in ("pool", "losses")),
    ):
        shards = sorted(path.name for path in (mini_run.results / kind).iterdir())
        assert shards == [f"shard-{i}-of-3.safetensors" for i in range(1, 4)]


def test_checkpoints_and_benchmarks(mini_run):
    for name, _ in subset_names():
        checkpoint = mini_run.results / "checkpoints/target" / name
        assert (checkpoint / "adapter_model.safetensors").stat().st_size > 0
        log = pd.read_csv(checkpoint / "training_log.csv")
        assert {"step", "loss", "learning_rate", "seconds"} <= set(log.columns) and len(log) > 3
        for task in ("alpha", "beta"):
            scored = mini_run.results / "benchmarks/target" / name / task
            score = json.loads(scored.with_suffix(".json").read_text())
            assert score["task"] == task and score["n"] == 12 and 0 <= score["score"] <= 100
            assert len(pd.read_parquet(scored.with_suffix(".parquet"))) == 12


def test_tables_and_figures(mini_run):
    tables = {path.stem: pd.read_csv(path) for path in (mini_run.results / "tables").iterdir()}
    assert set(tables) >= TABLES and all(len(table) for table in tables.values())
    scores = tables["benchmark_scores"]
    keys = scores[["model", "method", "ratio", "seed", "task"]]
    assert not keys.duplicated().any()
    assert set(scores["method"]) == {"full", *METHODS, "pretrained", "majority"}
    drawn = {path.name for path in (mini_run.results / "figures").iterdir()}
    assert drawn >= {f"{name}.{suffix}" for name in FIGURES for suffix in ("png", "svg")}


def test_provenance_names_every_input(mini_run):
    provenance = json.loads((mini_run.results / "provenance.json").read_text())
    tasks = [f"data/{t}_{s}.json" for t in ("alpha", "beta") for s in ("validation", "test")]
    model = {name for name in provenance["inputs_sha256"] if name.startswith("data/model/")}
    assert {"data/model/config.json", "data/model/model.safetensors"} <= model
    assert set(provenance["inputs_sha256"]) - model == {"data/mixture.json", *tasks}
    assert provenance["seeds"] == {"main": list(SEEDS)}
    assert provenance["config"]["methods"]["icons"]["top_percent"] == 20


def test_every_job_left_its_cost(mini_run):
    free = ("all", "tabulate_", "plot_")  # reports are not part of a method's cost
    rules = {rule for rule in jobs(mini_run.output) if not rule.startswith(free)}
    assert {path.name for path in (mini_run.results / "costs").iterdir()} == rules


def test_costs_say_how_many_devices_each_job_had(mini_run):
    files = sorted((mini_run.results / "costs").rglob("*.jsonl"))
    resources = [json.loads(path.read_text())["resources"] for path in files]
    trained = [held for path, held in zip(files, resources, strict=True) if "processes" in held]
    assert len(trained) == (1 + len(RUNS)) * len(SEEDS)  # warm-ups and checkpoints
    assert {(held["processes"], held["gpu"]) for held in trained} == {(1, 0)}
    cost = pd.read_csv(mini_run.results / "tables/cost.csv")
    assert cost["device_seconds"].notna().all()
    assert cost["device_seconds"].tolist() == cost["wall_seconds"].tolist()
    assert (cost["elapsed_seconds"] <= cost["wall_seconds"]).all()
    log = (mini_run.results / "logs/tabulate_costs.log").read_text()
    assert "do not state their devices" not in log


def test_second_run_has_nothing_to_do(mini_run):
    again = succeeded(snakemake(mini_run.folder, mini_run.config, "-c2", root=mini_run.root))
    assert jobs(again) == set() and "Nothing to be done" in again


def test_a_model_changed_in_place_is_noticed(mini_run):
    with edited(mini_run.folder / "data/model/chat_template.jinja"):
        assert {"extract_features", "warm_up", "finetune_model"} <= jobs(mini_run.dry_run())
    assert jobs(mini_run.dry_run()) == set()


def test_touching_sources_and_config_reruns_nothing(mini_run):
    for path in [mini_run.config, *mini_run.root.rglob("*")]:
        if path.is_file():
            os.utime(path)
    assert jobs(mini_run.dry_run()) == set()


@contextlib.contextmanager
def edited(path):
    """Edit a source file, and restore it afterwards."""
    text = path.read_text()
    path.write_text(text + "\n\nEDITED = True\n")
    try:
        yield
    finally:
        path.write_text(text)


def test_editing_a_module_reruns_what_depends_on_it(mini_run):
    with edited(mini_run.root / "scripts/vlselect/gradients/voting.py"):
        again = jobs(mini_run.dry_run())
    assert {"cast_votes", "select_icons", "tabulate_votes", "plot_votes"} <= again
    assert {"finetune_model", "run_benchmarks", "tabulate_benchmarks"} <= again
    upstream = {"prepare_pool", "warm_up", "collect_gradients", "collect_validation_gradients"}
    others = {"extract_features", "extract_attention", "cluster_activations", "select_coincide"}
    assert not again & (upstream | others | {"compute_influence", "select_random"})
    assert jobs(mini_run.dry_run()) == set()  # its content counts, not its time


def test_changing_one_parameter_reruns_what_depends_on_it(mini_run, tmp_path):
    config = tmp_path / "mini.yaml"
    config.write_text(mini_run.config.read_text().replace("icons: {}", "icons: {top_percent: 30}"))
    again = jobs(succeeded(snakemake(mini_run.folder, config, "-n", root=mini_run.root)))
    assert {"cast_votes", "select_icons"} <= again
    assert not again & {"compute_influence", "collect_gradients", "select_coincide"}


@pytest.mark.parametrize(
    ("before", "after", "rules"),
    [
        ("metric: exact_match}", "metric: exact_match, max_new_tokens: 9}", set()),
        (
            "metric: vqa_accuracy}",
            "metric: vqa_accuracy, metric_options: {variant: official}}",
            {"answer_by_majority"},
        ),
    ],
)
def test_how_a_task_is_answered_and_scored_reruns_its_benchmarks(
    mini_run, tmp_path, before, after, rules
):
    """Snakemake does not record parameters computed from inputs; these are not."""
    config = tmp_path / "mini.yaml"
    text = mini_run.config.read_text()
    assert text.count(before) == 1
    config.write_text(text.replace(before, after))
    again = jobs(succeeded(snakemake(mini_run.folder, config, "-n", root=mini_run.root)))
    assert {"run_benchmarks", "run_benchmarks_pretrained"} | rules <= again
    assert not again & ({"answer_by_majority"} - rules | {"finetune_model", "prepare_task"})


def test_cached_tables_are_enough_for_the_figures(mini_run, tmp_path):
    folder = tmp_path / "elsewhere"
    shutil.copytree(mini_run.results / "tables", folder / "results/mini/tables")
    arguments = ["-c2", "--config", "cached=True"]
    done = succeeded(snakemake(folder, mini_run.config, *arguments, root=mini_run.root))
    figures = list((mini_run.results / "figures").iterdir())
    assert jobs(done) == {"all", *(f"plot_{path.stem}" for path in figures)}
    for path in figures:
        assert (folder / "results/mini/figures" / path.name).read_bytes() == path.read_bytes()
