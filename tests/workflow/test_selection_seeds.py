"""The seed of a run changes all that is random in selection, unless the config fixes it."""

import re
import shutil

import pandas as pd
import pytest
import yaml
from mini_input import OTHERS, THINGS
from running import HERE, snakemake, succeeded

from vlselect.digits.architecture import build_clip, build_clip_processor, vision_config

SMALL = {"rank": 2, "alpha": 4, "batch_size": 8, "gradient_accumulation": 1}
RANDOM = {  # methods with a parameter `seed`; that of icons and targeted is in `gradients`
    "icons": {},
    "targeted": {},
    "coincide": {"model": "target", "n_clusters": 6},
    "semdedup": {"model": "target", "n_clusters": 6},
    "self_sup": {"model": "target", "n_clusters": 6},
    "d2_pruning": {"model": "target", "index": "ivf", "n_lists": 20, "n_probe": 1},
    "visnec": {"model": "target", "n_clusters": 6},
    "dics": {"model": "target", "sampler": "clusters", "n_clusters": 6},
    "self_filter": {"fraction": 0.2, "net_learning_rate": 0.01, "finetune": SMALL},
}
DRAWING = {"random": {}, "clip_score": {}}  # clip_score draws the samples without an image
STEADY = {
    "scalselect": {"model": "target", "text_only": "drop"},
    "el2n": {"model": "target"},
    "perplexity": {"model": "target"},
    "magic": {"model": "target", "text_only": "drop"},
}
ONCE_A_SEED = {  # jobs of each rule for one seed
    **dict.fromkeys(("warm_up", "collect_validation_gradients"), 1),
    **dict.fromkeys(("compute_influence", "cast_votes"), 1),
    **dict.fromkeys(("cluster_activations", "summarise_clusters", "find_neighbours"), 1),
    **dict.fromkeys(("score_semdedup", "score_self_sup", "score_d2_pruning"), 1),
    **dict.fromkeys(("cluster_visnec", "score_visnec", "train_score_net"), 1),
    **dict.fromkeys(("cluster_dics", "score_dics"), 1),
    "collect_gradients": 1,
}
ONCE = {"score_scalselect": 1, "score_clip_score": 1, "score_el2n": 1, "extract_features": 1}
ONCE |= {"score_magic": 1, "extract_gains": 1, "extract_instruction_gains": 1}
ONCE |= {"extract_signatures": 1}
TABLES = ("task_agreement", "vote_extremes", "votes_histogram", "clusters", "score_distribution")


def job_counts(output):
    """Return the jobs of each rule, from the table that Snakemake prints."""
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}


def write_config(path, seed):
    """Write the mini config with every method, and this seed for all of its selection, if any."""
    config = yaml.safe_load((HERE / "mini.yaml").read_text())
    own = {} if seed is None else {"seed": seed}
    config["pool"]["shards"] = 1
    config["models"]["clip"] = {"path": "data/clip"}
    config["gradients"]["warm_up"] |= own
    seeded = {name: settings | own for name, settings in RANDOM.items() if settings}
    config["methods"] = {"icons": {}, "targeted": {}} | seeded | DRAWING | STEADY
    config["experiments"] = {"main": {"methods": list(config["methods"])}}
    path.write_text(yaml.safe_dump(config))
    return path


def dry_run(folder, seed):
    """Return the jobs of a dry run for the subsets, in a folder without outputs."""
    config = write_config(folder / f"{seed}.yaml", seed)
    return job_counts(
        succeeded(snakemake(folder, config, "-n", "--quiet", "rules", "--", "subsets"))
    )


def subsets(folder, method):
    """Return the rows that a method chose with seeds 0 and 1."""
    place = folder / "results/mini/subsets" / method
    return [pd.read_parquet(place / f"ratio-0.2_seed-{s}.parquet")["row"].tolist() for s in (0, 1)]


@pytest.fixture(scope="module")
def data(mini_input, tmp_path_factory):
    """Folder with the mini workflow's data and a CLIP."""
    folder = tmp_path_factory.mktemp("seeds")
    shutil.copytree(mini_input / "data", folder / "data")
    processor = build_clip_processor(THINGS + OTHERS, 32)
    clip = build_clip(processor, vision_config(32, 16, hidden=32, layers=2, heads=2))
    for part in (clip, processor):
        part.save_pretrained(folder / "data/clip")
    return folder


@pytest.fixture(scope="module")
def moved(data):
    """Folder with the subsets of both seeds, whose stages depend on the seed."""
    config = write_config(data / "moved.yaml", None)
    tables = [f"results/mini/tables/{name}.csv" for name in TABLES]
    succeeded(snakemake(data, config, "--cores", "2", "subsets", *tables))
    return data


def test_what_is_random_is_made_for_every_seed_and_what_is_not_once(data, tmp_path):
    shutil.copytree(data / "data", tmp_path / "data")
    found = dry_run(tmp_path, None)
    assert {rule: found[rule] for rule in ONCE_A_SEED} == {r: 2 * n for r, n in ONCE_A_SEED.items()}
    assert {rule: found[rule] for rule in ONCE} == ONCE
    fixed = dry_run(tmp_path, 7)
    assert {rule: fixed[rule] for rule in ONCE_A_SEED} == ONCE_A_SEED
    assert {rule: fixed[rule] for rule in ONCE} == ONCE


@pytest.mark.parametrize("method", [*RANDOM, *DRAWING])
def test_methods_with_anything_random_choose_otherwise_with_another_seed(moved, method):
    first, second = subsets(moved, method)
    assert len(first) == len(second) == 66 and first != second


@pytest.mark.parametrize("method", STEADY)
def test_methods_without_choose_the_same(moved, method):
    first, second = subsets(moved, method)
    assert first == second


def test_a_fixed_seed_holds_for_all_runs(moved):
    before = {method: subsets(moved, method) for method in RANDOM}
    config = write_config(moved / "fixed.yaml", 1)
    output = succeeded(snakemake(moved, config, "--cores", "2", "subsets"))
    counts = job_counts(output)
    assert not set(counts) & {"warm_up", "cluster_activations", "train_score_net"}  # both are there
    for method, (_, second) in before.items():
        assert subsets(moved, method) == [second, second]
    assert subsets(moved, "random")[0] != subsets(moved, "random")[1]
