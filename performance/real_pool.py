"""Run the comparison on real records of five tasks, with a tiny model that knows nothing yet.

The records are those of ../shared/data/real_vqa, and the model is that of
tests/workflow/test_real_vqa.py: it learns which answers are usual, and little of what is on a
photo. Writes results/pools/real_vqa.csv, as performance/pools.py does for its pools.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests/support"), str(ROOT)]

from tiny_models import bpe_tokenizer, save_llava  # noqa: E402

from performance import pools  # noqa: E402

DATA = ROOT.parent / "shared/data/real_vqa"
MODEL = "results/real_vqa/model"
FINETUNE = {"adapter": "none", "learning_rate": 1.0e-3, "batch_size": 16}
FINETUNE |= {"gradient_accumulation": 1, "warmup_ratio": 0.05}
METHODS = {"full": {}, "random": {}, "coincide": {"model": "target"}, "clean_shares": {}}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6, help="of every finetuning")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cores", default="all")
    return parser


def save_model() -> None:
    """Save the untrained model, with a tokenizer of the records' own words."""
    records = json.loads((DATA / "mixture.json").read_text(encoding="utf-8"))
    texts = (turn["value"] for record in records for turn in record["conversations"])
    save_llava(ROOT / MODEL, bpe_tokenizer(texts), layers=2, positions=2048)


def config(epochs: int, seeds: Sequence[int]) -> dict:
    """Return the test's config with this comparison's methods, at two budgets."""
    text = (ROOT / "tests/workflow/real_vqa.yaml").read_text(encoding="utf-8")
    found = yaml.safe_load(text.replace("data/real_vqa", str(DATA)))
    found["models"]["target"]["path"] = MODEL
    del found["gradients"]
    proxy = {"model": "target", "warm_up": {"finetune": FINETUNE | {"epochs": 1}}}
    found |= {"proxy": proxy, "finetune": FINETUNE | {"epochs": epochs}, "methods": METHODS}
    found |= {"ratios": [0.1, 0.2], "seeds": list(seeds)}
    found["experiments"] = {"main": {"methods": [*METHODS], "models": ["target"]}}
    return found


def main() -> None:
    arguments = build_parser().parse_args()
    if not (ROOT / MODEL).is_dir():
        save_model()
    path = ROOT / "results/pools/real_vqa.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        yaml.safe_dump(config(arguments.epochs, arguments.seeds), sort_keys=False), encoding="utf-8"
    )
    command = ["snakemake", "--cores", arguments.cores, "--configfile", str(path)]
    subprocess.run(command, cwd=ROOT, check=True)
    table = pools.read_scores("real_vqa", "real_vqa").assign(pool="real_vqa")
    table = table[["pool", "method", "ratio", "score", "of_full", "cost"]]
    table.to_csv(path.with_suffix(".csv"), index=False, float_format="%.6g", lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
