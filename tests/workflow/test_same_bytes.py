"""The same config gives the same bytes, whatever the cores, shards, folder or time."""

import shutil

from running import snakemake, succeeded


def test_subsets_on_one_core_in_one_shard_are_those_on_two_cores_in_three(
    mini_run, mini_input, tmp_path
):
    shutil.copytree(mini_input / "data", tmp_path / "data")
    text = mini_run.config.read_text()
    config = tmp_path / "mini.yaml"
    config.write_text(text.replace("shards: 3", "shards: 1"))
    assert config.read_text() != text
    succeeded(snakemake(tmp_path, config, "--cores", "1", "subsets"))

    paths = sorted(p for p in (mini_run.results / "subsets").rglob("*") if p.is_file())
    assert len(paths) == 2 * 2 * 5  # JSON and Parquet, seeds, methods
    for path in paths:
        other = tmp_path / "results/mini/subsets" / path.relative_to(mini_run.results / "subsets")
        assert other.read_bytes() == path.read_bytes(), path
    seeded = [f"votes/seed-{seed}.parquet" for seed in (0, 1)]
    seeded += [f"clusters/seed-{seed}/summary.parquet" for seed in (0, 1)]
    for name in (*seeded, "scores/scalselect/seed-0.parquet"):
        other = tmp_path / "results/mini" / name
        assert other.read_bytes() == (mini_run.results / name).read_bytes(), name
