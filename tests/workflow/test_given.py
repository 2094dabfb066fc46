"""Runs that begin in the middle, from some stages' files without their inputs."""

from running import jobs, snakemake, succeeded

DATA = ("pool", "tasks", "features", "gradients", "influence", "votes", "clusters")


def subset(results, method):
    return (results / "subsets" / method / "ratio-0.2_seed-0.json").read_bytes()


def test_votes_and_subsets_from_influence_alone(mini_run, tmp_path):
    have, given = ("pool", "influence"), [*DATA[:5]]
    found = {}
    for name, icons in {
        "same": {},
        "half": {"top_percent": 50},
        "mean": {"aggregator": "mean"},
    }.items():
        (tmp_path / name).mkdir()
        config = mini_run.begin(tmp_path / name, have, given, methods={"icons": icons})
        said = succeeded(snakemake(tmp_path / name, config, "--cores", "1", "subsets"))
        assert jobs(said) <= {"cast_votes", "select_icons", "check_budgets", "subsets"}
        found[name] = subset(tmp_path / name / "results/mini", "icons")
    assert found["same"] == subset(mini_run.results, "icons")
    assert len(set(found.values())) == 3


def test_coincide_from_clusters_and_features(mini_run, tmp_path):
    given = ["pool", "features", "clusters"]
    found = {}
    for name, temperature in {"same": {}, "hot": {"temperature": 10.0}}.items():
        (tmp_path / name).mkdir()
        coincide = {"model": "target", "n_clusters": 6} | temperature
        methods = {"coincide": coincide}
        config = mini_run.begin(tmp_path / name, given, [*given, "tasks"], methods=methods)
        said = succeeded(snakemake(tmp_path / name, config, "--cores", "1", "subsets"))
        assert jobs(said) == {"select_coincide", "subsets"}
        found[name] = subset(tmp_path / name / "results/mini", "coincide")
    assert found["same"] == subset(mini_run.results, "coincide") != found["hot"]


def test_what_is_given_has_to_be_there(mini_run, tmp_path):
    config = mini_run.begin(tmp_path, ("pool",), DATA, methods={"icons": {}})
    done = snakemake(tmp_path, config, "--cores", "1", "subsets")
    assert done.returncode and "Missing input files" in done.stdout
    assert "results/mini/votes/seed-0.parquet" in done.stdout and "Traceback" not in done.stdout
