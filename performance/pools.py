"""Run the demo's comparison on other pools of its generator, and average over them.

A pool is a seed of the demo: other digits, scenes, questions, wrong answers, first weights. Writes
results/pools/<mixture>.csv, a row for each pool, method and budget, and prints each method's mean
over pools and its difference from `random`, with 95 % intervals over pools (Student's t). A pool
is a run of its own, results/pool-<mixture>-<seed>/, and not made again if it is there.
"""

import argparse
import math
import subprocess
from pathlib import Path

import pandas as pd
import yaml
from scipy.stats import t

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "configs/digits_reference.yaml"  # its pool, tasks, models and finetuning
# The protocol's own settings (results/pools/README.md), whatever the demo's config becomes.
PARAMETERS = {
    "full": {},
    "random": {},
    "coincide": {"model": "reference"},
    "targeted": {},
    "clean_shares": {"within": 0.9, "power": 0.5},
}
SHARES = {  # of the pool's kinds, in the place of the reference's
    "demo": {},
    "hubs": {"recognition": 2700, "colour": 2700, "counting": 700, "presence": 600, "position": 450}
    | {"arithmetic": 750, "captioning": 500, "comparison": 300, "reading": 300},
}
NOISE = {"clean": 0.0, "noisy": 0.3}  # of the tasks' questions get a wrong answer
METHODS = ("full", "random", "coincide", "clean_shares")
# One proxy for all: all weights, one epoch of the whole pool, then a forward pass.
PROXY = {"adapter": "none", "freeze": ["vision_tower"], "learning_rate": 1.0e-3, "epochs": 1}
PROXY |= {"batch_size": 16, "gradient_accumulation": 1, "warmup_ratio": 0.05}
GRADIENTS = {"model": "target", "representation": "hidden"}
GRADIENTS |= {"warm_up": {"fraction": 1.0, "finetune": PROXY}}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, nargs="+", required=True, help="seeds of the demo")
    parser.add_argument("--mixture", choices=[*SHARES, *NOISE], default="demo")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=PARAMETERS)
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--cores", default="all")
    return parser


def write_config(arguments: argparse.Namespace, pool: int) -> Path:
    """Write the protocol's config of a pool, as a run of its own, with what the flags ask for."""
    run = f"pool-{arguments.mixture}-{pool}"
    text = REFERENCE.read_text(encoding="utf-8")
    config = yaml.safe_load(text.replace("results/digits-reference/", f"results/{run}/"))
    config |= {"run": run, "ratios": arguments.ratios, "seeds": arguments.seeds}
    config |= {"gradients": GRADIENTS, "features": {"hidden": {"positions": "prompt"}}}
    config["methods"] = {name: PARAMETERS[name] for name in arguments.methods}
    config["pool"]["shards"] = 1
    del config["models"]["clip"]  # no method here reads it
    config["digits"]["seed"] = pool
    config["digits"]["mixture"] |= SHARES.get(arguments.mixture, {})
    config["digits"]["noise"] = NOISE.get(arguments.mixture, config["digits"]["noise"])
    config["experiments"]["main"]["methods"] = list(arguments.methods)
    path = ROOT / f"results/pools/{run}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def read_scores(run: str) -> pd.DataFrame:
    """Return method, ratio, score and relative (means over tasks) and what it cost, of one run."""
    tables = ROOT / f"results/{run}/tables"
    scores = pd.read_csv(tables / "relative_performance.csv").query("task == 'mean'")
    cost = pd.read_csv(tables / "cost.csv").query("level == 'total'")
    cost = cost.rename(columns={"name": "method", "relative_to_full": "cost"})
    found = scores.merge(cost[["method", "ratio", "cost"]], on=["method", "ratio"], how="left")
    return found[["method", "ratio", "score", "relative", "cost"]]


def interval(values: pd.Series) -> str:
    """Return the mean of values and its 95 % interval, which one value does not have."""
    if len(values) < 2:
        return f"{values.mean():.1f}"
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return f"{values.mean():.1f} [{values.mean() - half:.1f}, {values.mean() + half:.1f}]"


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Average each method and budget over pools; differences from random are taken pool by pool."""
    chance = table[table["method"] == "random"].set_index(["pool", "ratio"])["score"]
    rows = []
    for (method, ratio), part in table.groupby(["method", "ratio"], sort=False):
        own = part.set_index(["pool", "ratio"])["score"]
        row = {"method": method, "ratio": ratio, "pools": len(part)}
        row |= {"score": interval(own), "relative": interval(part["relative"])}
        known = (own - chance).dropna()
        row["above random"] = interval(known) if len(known) and method != "random" else ""
        rows.append(row | {"cost": f"{part['cost'].mean():.0f}"})
    return pd.DataFrame(rows)


def main() -> None:
    arguments = build_parser().parse_args()
    found = []
    for pool in arguments.pools:
        config = write_config(arguments, pool)
        command = ["snakemake", "--cores", arguments.cores, "--configfile", str(config)]
        subprocess.run(command, cwd=ROOT, check=True)
        found.append(read_scores(config.stem).assign(pool=pool))
        table = pd.concat(found)[["pool", "method", "ratio", "score", "relative", "cost"]]
        out = ROOT / f"results/pools/{arguments.mixture}.csv"
        table.to_csv(out, index=False, float_format="%.6g", lineterminator="\n")
        print(summarise(table).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
