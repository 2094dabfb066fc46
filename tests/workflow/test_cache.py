"""Runs share the outputs of models by `snakemake --cache`, identified by their inputs."""

import shutil

import yaml
from running import snakemake, succeeded

SHARED = ("warm_up", "collect_gradients", "collect_validation_gradients")


def run(folder, config, name, top_percent):
    """Select by ICONS in a run of its own; return Snakemake's output."""
    own = config | {"run": name, "methods": {"icons": {"top_percent": top_percent}}, "seeds": [0]}
    own["experiments"] = {"main": {"methods": ["icons"]}}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(own))
    cache = str(folder / "cache")
    return succeeded(
        snakemake(
            *(folder, path, "--cores", "2", "--cache", "--", "subsets"),
            warm=True,
            SNAKEMAKE_OUTPUT_CACHE=cache,
        )
    )


def logs(results, rule):
    """Return the logs of a rule that its script wrote to; Snakemake creates one for every job."""
    found = [*(results / "logs").glob(f"{rule}.log"), *(results / "logs").glob(f"{rule}/**/*.log")]
    return [path for path in found if path.stat().st_size]


def test_another_top_percent_loads_no_model(mini_run, mini_input, tmp_path):
    shutil.copytree(mini_input / "data", tmp_path / "data")
    (tmp_path / "cache").mkdir()
    config = yaml.safe_load(mini_run.config.read_text())
    config["pool"]["shards"] = 1
    run(tmp_path, config, "first", 50)
    assert all(logs(tmp_path / "results/first", rule) for rule in SHARED)
    said = run(tmp_path, config, "second", 20)
    assert not any(logs(tmp_path / "results/second", rule) for rule in SHARED)  # no script ran
    gradients = sorted((tmp_path / "results/second/gradients").rglob("shard-*"))
    # Of the pool and of both validation sets; as many of losses; those before the warm-up.
    assert len(gradients) == 2 * (1 + 2) + 2
    for path in gradients:
        assert f"Symlinking output file {path.relative_to(tmp_path)} from cache" in said
        assert path.resolve().parent == tmp_path / "cache"
    assert len({path.resolve() for path in gradients}) == len(gradients)
    name = "subsets/icons/ratio-0.2_seed-0.json"
    found = {r: (tmp_path / "results" / r / name).read_bytes() for r in ("first", "second")}
    assert found["second"] == (mini_run.results / name).read_bytes() != found["first"]
