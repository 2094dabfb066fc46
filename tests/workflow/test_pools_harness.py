"""The comparison on other pools: its settings are the protocol's, whatever the demo's become."""

import shutil

import pandas as pd
import pytest
import yaml
from config_defaults import SCHEMA

from performance import pools
from vlselect.config.checks import check


def test_a_pool_has_the_protocols_settings(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "ROOT", tmp_path)
    arguments = pools.build_parser().parse_args(["--pools", "4", "--mixture", "noisy"])
    path = pools.write_config(arguments, 4)
    assert path == tmp_path / "results/pools/pool-noisy-4.yaml"
    assert "results/digits" not in path.read_text()
    config = yaml.safe_load(path.read_text())
    check(config, SCHEMA)
    digits, warm_up = config["digits"], config["proxy"]["warm_up"]
    assert (digits["seed"], digits["noise"], sum(digits["mixture"].values())) == (4, 0.3, 9000)
    assert (digits["vision_scenes"], digits["base_samples"]) == (60000, 48000)
    assert (warm_up.get("fraction", 1.0), warm_up["finetune"]["epochs"]) == (1.0, 1)
    assert config["gradients"]["warm_up"]["fraction"] == 0.05
    assert config["methods"]["clean_shares"] == {"within": 0.9, "power": 0.5}
    assert config["experiments"]["main"]["methods"] == list(pools.METHODS)
    assert (config["ratios"], config["seeds"], config["finetune"]["epochs"]) == ([0.2], [0, 1], 3)


def test_a_variant_goes_on_from_what_the_plain_run_made(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "ROOT", tmp_path)
    flags = ["--pools", "4", "--methods", "random", "coincide", "--variant", "gate"]
    with pytest.raises(SystemExit, match="pool-demo-4/pool is not there"):
        pools.write_config(pools.build_parser().parse_args(flags), 4)
    for stage in pools.GIVEN:
        (tmp_path / f"results/pool-demo-4/{stage}").mkdir(parents=True)
    path = pools.write_config(pools.build_parser().parse_args(flags), 4)
    config = yaml.safe_load(path.read_text())
    check(config, SCHEMA)
    assert path.stem == config["run"] == "pool-demo-4-gate" and config["gate"] == {"share": 0.2}
    assert "digits" not in config and config["given"] == list(pools.GIVEN)
    assert config["models"]["target"]["path"] == "results/pool-demo-4/models/base"
    for stage in pools.GIVEN:
        link = tmp_path / f"results/pool-demo-4-gate/{stage}"
        assert link.readlink() == tmp_path / f"results/pool-demo-4/{stage}"
    flags = ["--pools", "4", "--methods", "clean_shares", "--variant", "small-proxy"]
    small = pools.write_config(pools.build_parser().parse_args(flags), 4)
    config = yaml.safe_load(small.read_text())
    check(config, SCHEMA)
    assert config["proxy"]["model"] == "small" and "proxy" not in config["given"]
    assert config["models"]["small"]["path"] == "results/pool-demo-4/models/small"
    assert not (tmp_path / "results/pool-demo-4-small-proxy/proxy").exists()
    flags = ["--pools", "4", "--methods", "clean_shares", "--variant", "one-and-a-half-epochs"]
    more = pools.write_config(pools.build_parser().parse_args(flags), 4)
    config = yaml.safe_load(more.read_text())
    check(config, SCHEMA)
    assert config["proxy"]["warm_up"]["finetune"]["epochs"] == 1.5
    assert "proxy" not in config["given"]
    flags = ["--pools", "4", "--methods", "targeted", "--variant", "output"]
    config = yaml.safe_load(
        pools.write_config(pools.build_parser().parse_args(flags), 4).read_text()
    )
    check(config, SCHEMA)
    assert config["methods"] == {"targeted": {"representation": "output"}}
    assert config["given"] == ["pool", "tasks", "gradients", "proxy"]
    mean = pools.write_config(
        pools.build_parser().parse_args(
            ["--pools", "4", "--methods", "icons", "--variant", "mean"]
        ),
        4,
    )
    icons = yaml.safe_load(mean.read_text())
    assert icons["methods"] == {"icons": {"aggregator": "mean"}}
    assert icons["experiments"]["main"]["methods"] == ["icons"]


def test_scores_are_means_over_tasks_and_seeds_beside_those_of_the_whole_pool(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(pools, "ROOT", tmp_path)
    runs = {"plain": {"full": (80, 60), "random": (50, 30)}, "plain-gate": {"random": (60, 40)}}
    for run, scores in runs.items():
        rows = [
            {"method": method, "ratio": 0.2, "seed": seed, "task": task, "score": score + 2 * seed}
            for method, both in scores.items()
            for task, score in zip("ab", both, strict=True)
            for seed in (0, 1)
        ]
        (tmp_path / f"results/{run}/tables").mkdir(parents=True)
        pd.DataFrame(rows).to_csv(tmp_path / f"results/{run}/tables/benchmark_scores.csv")
    costs = {"level": "total", "name": ["full", "random"], "ratio": 0.2, "cpu_seconds": [80, 20]}
    pd.DataFrame(costs).to_csv(tmp_path / "results/plain/tables/cost.csv")
    found = pools.read_scores("plain", "plain").set_index("method")
    assert found.loc["random", "score"] == 41 and found.loc["random", "cost"] == 25
    assert found.loc["random", "of_full"] == pytest.approx(100 * 41 / 71)
    more = pools.read_scores("plain-gate", "plain")
    runs = tmp_path / "results"
    (runs / "plain-gate").rename(runs / "plain-two-epochs")
    shutil.copy(runs / "plain/tables/cost.csv", runs / "plain-two-epochs/tables")
    assert pools.read_scores("plain-two-epochs", "plain")["cost"].tolist() == [25]
    assert more["score"].tolist() == [51] and more["cost"].isna().all()
    table = pools.add_rows(found.reset_index().assign(pool=1), more.assign(pool=1))
    assert len(table) == 2 and 51 in table["score"].tolist()
