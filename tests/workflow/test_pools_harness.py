"""The comparison on other pools: its settings are the protocol's, whatever the demo's become."""

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
    digits, warm_up = config["digits"], config["gradients"]["warm_up"]
    assert (digits["seed"], digits["noise"], sum(digits["mixture"].values())) == (4, 0.3, 9000)
    assert (digits["vision_scenes"], digits["base_samples"]) == (60000, 48000)
    assert (warm_up["fraction"], warm_up["finetune"]["epochs"]) == (1.0, 1)
    assert config["methods"]["clean_shares"] == {"within": 0.9, "power": 0.5}
    assert config["experiments"]["main"]["methods"] == list(pools.METHODS)
    assert (config["ratios"], config["seeds"], config["finetune"]["epochs"]) == ([0.2], [0, 1], 3)
