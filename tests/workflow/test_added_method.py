"""docs/add_a_method.md: the files that it shows are all that a new method needs."""

import re
import shutil

import pandas as pd
import pytest
import yaml
from running import HERE, ROOT, copy_program, snakemake, succeeded

BLOCK = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def pieces():
    """Return the files shown on the page, by path."""
    return dict(BLOCK.findall((ROOT / "docs/add_a_method.md").read_text(encoding="utf-8")))


def test_the_method_of_the_page_selects(pieces, mini_input, tmp_path):
    root = copy_program(tmp_path / "program")
    entry = yaml.safe_load(pieces.pop("entry.yaml"))
    assert sorted(pieces) == [
        "rules/methods/hardest_per_source.smk",
        "scripts/vlselect/methods/hardest_per_source.py",
    ]
    for path, text in pieces.items():
        (root / path).write_text(text, encoding="utf-8")
    folder = tmp_path / "run"
    shutil.copytree(mini_input, folder)
    config = yaml.safe_load((HERE / "mini.yaml").read_text(encoding="utf-8"))
    config = {**config, "methods": entry["methods"], "experiments": entry["experiments"]}
    config["pool"]["shards"] = 1
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    succeeded(snakemake(folder, folder / "config.yaml", "--cores", "2", "subsets", root=root))

    results = folder / "results/mini"
    chosen = pd.read_parquet(results / "subsets/hardest_per_source/ratio-0.2_seed-0.parquet")
    pool = pd.read_parquet(results / "pool/samples.parquet").set_index("row")
    shares = pool.loc[chosen["row"], "source"].value_counts()
    assert shares.to_dict() == {"photos": 22, "charts": 22, "chats": 22}
    ranked = chosen.sort_values("rank")["score"]
    assert ranked.is_monotonic_decreasing and (ranked > 0).all()
