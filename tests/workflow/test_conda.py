"""`--sdm conda` from end to end: envs/*.yaml, a stand-in for conda and a channel in a folder.

No channel can be reached where this is tested. The channel is made of the installed packages
(local_channel.py), so an environment that lacks a package makes a job fail; it does not show that
conda-forge has these versions.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from mini_input import make_input
from running import HERE, ROOT, copy_program, jobs, snakemake, stand_in, succeeded

pytest.importorskip("rattler", reason="needs py-rattler: make test-conda installs it")
local_channel = pytest.importorskip("local_channel")
stand_in_conda = pytest.importorskip("stand_in_conda")

ENVIRONMENTS = ("figures", "models", "pool", "selection")
CONDA = ("--sdm", "conda", "--cores", "2")
POOL = "results/mini/pool/samples.parquet"


def dependencies(name):
    """Return an environment's packages → versions for conda, and the list for pip."""
    entries = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())["dependencies"]
    by_pip = [text for entry in entries if isinstance(entry, dict) for text in entry["pip"]]
    return dict(entry.split("=") for entry in entries if isinstance(entry, str)), by_pip


@pytest.fixture(scope="module")
def conda(tmp_path_factory):
    """Environment variables by which `conda` is the stand-in, and conda-forge a folder."""
    folder = tmp_path_factory.mktemp("conda")
    programs = stand_in_conda.install_program(folder / "prefix")
    pip_names = {conda: pip for pip, conda in local_channel.CONDA_NAMES.items()}
    names = set()
    for name in ENVIRONMENTS:
        packages, by_pip = dependencies(name)
        names |= {pip_names.get(package, package) for package in packages}
        for text in by_pip:
            local_channel.make_wheel(folder / "wheels", text.partition("==")[0])
    python = dependencies("pool")[0]["python"]
    local_channel.make_channel(folder / "channels/conda-forge", names - {"python"}, python)
    path = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {
        "PATH": os.pathsep.join(path),
        "CONDA_STAND_IN": str(folder / "prefix"),
        "CONDA_CHANNEL_ALIAS": (folder / "channels").as_uri(),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder / "wheels"),
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder with the data that mini.yaml names."""
    folder = tmp_path_factory.mktemp("input")
    make_input(folder)
    return folder / "data"


@pytest.fixture
def folder(data, tmp_path):
    """A folder to run in, with the data and a small config."""
    shutil.copytree(data, tmp_path / "run/data")
    config = yaml.safe_load((HERE / "mini.yaml").read_text())
    config["pool"]["shards"] = 1
    config |= {"methods": {"full": {}, "icons": {}}, "seeds": [0]}
    config["experiments"] = {"main": {"methods": ["full", "icons"]}}
    (tmp_path / "run/mini.yaml").write_text(yaml.safe_dump(config))
    return tmp_path / "run"


def changed_program(tmp_path, environment, old, new):
    """Copy the program with one line of an environment changed."""
    root = copy_program(tmp_path / "program")
    path = root / f"envs/{environment}.yaml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return root


def test_records_to_figures_in_environments_of_conda(conda, folder):
    output = succeeded(snakemake(folder, folder / "mini.yaml", *CONDA, **conda))
    results = folder / "results/mini"
    assert (results / "subsets/icons/ratio-0.2_seed-0.json").stat().st_size > 1000
    assert (results / "figures/relative_performance.png").stat().st_size > 1000
    assert {"collect_gradients", "cast_votes", "finetune_model", "plot_votes"} <= jobs(output)
    made = re.findall(r"Environment for \S*envs/(\w+)\.yaml created", output)
    assert sorted(made) == sorted(ENVIRONMENTS)
    again = succeeded(snakemake(folder, folder / "mini.yaml", *CONDA, **conda))
    assert "Nothing to be done" in again
    for file in (folder / ".snakemake/conda").glob("*.yaml"):
        packages, by_pip = read_environment(file.with_suffix(""))
        name = next(n for n in ENVIRONMENTS if file.read_text() == text_of(n))
        wanted, wanted_of_pip = dependencies(name)
        assert wanted.items() <= packages.items() and by_pip == wanted_of_pip
        assert "snakemake" not in packages


def text_of(name):
    return (ROOT / f"envs/{name}.yaml").read_text()


def read_environment(prefix):
    """Return an environment's contents: conda's packages → versions, pip's as name==version."""
    found = [path.name.rsplit("-", 2) for path in (prefix / "conda-meta").glob("*-0.json")]
    links = [p for p in (prefix / local_channel.SITE).glob("*.dist-info") if not p.is_symlink()]
    by_pip = ["==".join(path.name.removesuffix(".dist-info").split("-")) for path in links]
    return {name: version for name, version, _ in found}, by_pip


def test_a_package_that_an_environment_forgets_is_missed(conda, folder, tmp_path):
    root = changed_program(tmp_path, "pool", "  - pillow=", "  # pillow=")
    done = snakemake(folder, folder / "mini.yaml", *CONDA, POOL, root=root, **conda)
    assert done.returncode != 0 and "No module named 'PIL'" in done.stdout


def test_a_version_that_no_channel_has_stops_the_run(conda, folder, tmp_path):
    root = changed_program(tmp_path, "pool", "  - pandas=", "  - pandas=99.")
    done = snakemake(folder, folder / "mini.yaml", *CONDA, POOL, root=root, **conda)
    assert done.returncode != 0 and not (folder / "results").exists()
    assert "Could not create conda environment" in done.stdout and "pandas" in done.stdout


def planned_environments(folder, conda, **changes):
    """Return the environments that a dry run would create, by their paths in envs/."""
    config = yaml.safe_load((folder / "mini.yaml").read_text()) | changes
    stand_in(folder, config)
    (folder / "planned.yaml").write_text(yaml.safe_dump(config))
    output = succeeded(snakemake(folder, folder / "planned.yaml", "-n", "--sdm", "conda", **conda))
    return set(re.findall(r"Conda environment \S*envs/(\S+)\.yaml will be created", output))


def test_the_config_says_which_environments_are_for_a_gpu(conda, folder):
    assert planned_environments(folder, conda) == set(ENVIRONMENTS)
    models = {"target": {"path": "data/model", "device": "cuda"}}
    assert planned_environments(folder, conda, models=models) == {
        *("figures", "gpu/models", "pool", "selection")
    }
    methods = {"full": {}, "coincide": {"model": "target", "device": "gpu", "n_clusters": 6}}
    experiments = {"main": {"methods": ["full", "coincide"]}}
    changes = {"methods": methods, "experiments": experiments}
    assert planned_environments(folder, conda, **changes) == {"gpu/clusters", *ENVIRONMENTS}
