"""Run the demo's comparison on other pools of its generator, and average over them.

A pool is a seed of the demo: other digits, scenes, questions, wrong answers, first weights. Writes
results/pools/<mixture>.csv, a row for each pool, method and budget, and prints each method's mean
over pools and its difference from `random`, with 95 % intervals over pools (Student's t). A pool
is a run of its own, results/pool-<mixture>-<seed>/, and not made again if it is there.

A variant, a control, is a run on what that run made of a pool: its rows are added to those that are
there, as <method>+<variant>.
"""

import argparse
import math
import subprocess
from collections.abc import Sequence
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
    "icons": {},
    "clean_shares": {"within": 0.9, "power": 0.5},
}
SHARES = {  # of the pool's kinds, in the place of the reference's
    "demo": {},
    "hubs": {"recognition": 2700, "colour": 2700, "counting": 700, "presence": 600, "position": 450}
    | {"arithmetic": 750, "captioning": 500, "comparison": 300, "reading": 300},
}
NOISE = {"clean": 0.0, "noisy": 0.3}  # of the tasks' questions get a wrong answer
GIVEN = ("pool", "tasks", "features", "gradients", "proxy")  # what a variant takes as it is
AGGREGATORS = ("vote", "mean", "max", "mean_rank", "round_robin_tasks", "bids")
VARIANTS = {"gate": {"gate": {"share": 0.2}}}
VARIANTS |= {name: {"methods": {"icons": {"aggregator": name}}} for name in AGGREGATORS}
RUNGS = {  # of clean_shares: within, power
    "equal-ungated": (1.0, 0.0),
    "equal": (0.9, 0.0),
    "ungated": (1.0, 0.5),
    "steep": (0.9, 1.0),
}
for name, (within, power) in RUNGS.items():
    VARIANTS[name] = {"methods": {"clean_shares": {"within": within, "power": power}}}
KINDS = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))["digits"]["mixture"]
VARIANTS["by-source"] = {"constraints": {"maximum": dict.fromkeys(KINDS, 0.112)}}  # a ninth
SMALL = "small-proxy"  # has a sixth of the decoder's weights
EPOCHS = {"one-and-a-half-epochs": 1.5, "two-epochs": 2}  # of the proxy
PROXIES = (SMALL, *EPOCHS)  # variants with a proxy of their own: these have a cost
VARIANTS |= {name: {} for name in PROXIES}
OWN = dict.fromkeys(PROXIES, "proxy")  # the stage that a variant makes itself
for name in ("hidden", "output"):  # representations without a warm-up
    VARIANTS[name] = {"methods": {"targeted": {"representation": name}}}
    OWN[name] = "features"
METHODS = ("full", "random", "coincide", "clean_shares")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, nargs="+", required=True, help="seeds of the demo")
    parser.add_argument("--mixture", choices=[*SHARES, *NOISE], default="demo")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=PARAMETERS)
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--variant", choices=VARIANTS, help="a control on pools that are there")
    parser.add_argument("--cores", default="all")
    return parser


def write_config(arguments: argparse.Namespace, pool: int) -> Path:
    """Write the protocol's config of a pool, as a run of its own, with what the flags ask for."""
    run = f"pool-{arguments.mixture}-{pool}"
    text = REFERENCE.read_text(encoding="utf-8")
    config = yaml.safe_load(text.replace("results/digits-reference/", f"results/{run}/"))
    config |= {"run": run, "ratios": arguments.ratios, "seeds": arguments.seeds}
    config["methods"] = {name: PARAMETERS[name] for name in arguments.methods}
    config["pool"]["shards"] = 1
    del config["models"]["clip"]  # no method here reads it
    finetune = config["proxy"]["warm_up"]["finetune"]
    finetune["epochs"] = EPOCHS.get(arguments.variant, 1)
    config["digits"]["seed"] = pool
    config["digits"]["mixture"] |= SHARES.get(arguments.mixture, {})
    config["digits"]["noise"] = NOISE.get(arguments.mixture, config["digits"]["noise"])
    if arguments.variant:
        config |= VARIANTS[arguments.variant] | {"run": f"{run}-{arguments.variant}"}
        made = [stage for stage in GIVEN if (ROOT / f"results/{run}" / stage).is_dir()]
        if "pool" not in made:
            raise SystemExit(f"results/{run}/pool is not there: run this pool without --variant")
        given = [stage for stage in made if stage != OWN.get(arguments.variant)]
        config |= {"given": given}
        del config["digits"]
        link_stages(given, run, config["run"])
        if arguments.variant == SMALL:
            config["models"]["small"] = {"path": f"results/{run}/models/small"}
            config["proxy"]["model"] = "small"
    config["experiments"]["main"]["methods"] = list(config["methods"])
    path = ROOT / f"results/pools/{config['run']}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def link_stages(stages: Sequence[str], run: str, variant: str) -> None:
    """Link stages of a pool's run into the folder of a variant."""
    for stage in stages:
        link = ROOT / f"results/{variant}" / stage
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(ROOT / f"results/{run}" / stage)


def read_scores(run: str, plain: str) -> pd.DataFrame:
    """Return method, ratio, score (mean over tasks), the same in percent of `full`, and the cost.

    `full` is the plain run's; the cost is in percent of its processor seconds. A variant has none
    but that with a proxy of its own.
    """
    keys = ["method", "ratio"]
    folder = "results/{}/tables/{}.csv".format
    found = pd.read_csv(ROOT / folder(run, "benchmark_scores")).groupby(keys, sort=False)["score"]
    found = found.mean().reset_index()
    whole = pd.read_csv(ROOT / folder(plain, "benchmark_scores")).query("method == 'full'")
    found["of_full"] = 100 * found["score"] / whole["score"].mean()
    if run != plain and run.removeprefix(f"{plain}-") not in PROXIES:
        return found.assign(cost=float("nan"))
    cost = pd.read_csv(ROOT / folder(run, "cost")).query("level == 'total'")
    cost = cost.rename(columns={"name": "method"})[[*keys, "cpu_seconds"]]
    whole = pd.read_csv(ROOT / folder(plain, "cost")).query("level == 'total'")
    whole = whole.set_index("name")["cpu_seconds"]["full"]
    found = found.merge(cost, on=keys, how="left")
    return found.assign(cost=100 * found.pop("cpu_seconds") / whole)


def add_rows(table: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Return a table with new rows in place of those of the same pool, method and budget."""
    keys = ["pool", "method", "ratio"]
    both = pd.concat([table, found]).drop_duplicates(keys, keep="last")
    return both.sort_values("pool", kind="stable")[[*keys, "score", "of_full", "cost"]]


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
        row |= {"score": interval(own), "of full": interval(part["of_full"])}
        known = (own - chance).dropna()
        row["above random"] = interval(known) if len(known) and method != "random" else ""
        rows.append(row | {"cost": f"{part['cost'].mean():.0f}"})
    return pd.DataFrame(rows)


def make(targets: Sequence[str], config: Path, cores: str) -> None:
    """Make files of a run by Snakemake, or all of its results."""
    command = ["snakemake", *targets, "--cores", cores, "--configfile", str(config)]
    subprocess.run(command, cwd=ROOT, check=True)


def main() -> None:
    arguments = build_parser().parse_args()
    out = ROOT / f"results/pools/{arguments.mixture}.csv"
    for pool in arguments.pools:
        config = write_config(arguments, pool)
        wanted = f"results/{config.stem}/tables/benchmark_scores.csv"
        plain = f"pool-{arguments.mixture}-{pool}"
        if arguments.variant == SMALL:
            model = f"results/{plain}/models/small"
            make([model], config.with_name(f"{plain}.yaml"), arguments.cores)
        targets = [wanted] if arguments.variant else []
        if arguments.variant in PROXIES:
            targets.append(f"results/{config.stem}/tables/cost.csv")
        make(targets, config, arguments.cores)
        found = read_scores(config.stem, plain).assign(pool=pool)
        found = found[found["method"].isin(arguments.methods)]  # not what was not trained
        if arguments.variant:
            found["method"] += f"+{arguments.variant}"
        table = add_rows(pd.read_csv(out) if out.exists() else found[:0], found)
        table.to_csv(out, index=False, float_format="%.6g", lineterminator="\n")
        print(summarise(table).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
