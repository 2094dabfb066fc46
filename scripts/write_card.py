"""Write a dataset card for a subset: its composition, selection, origin and code.

Markdown with the front matter of the Hugging Face hub. Licences are placeholders: each record keeps
the licence of its source, which the publisher has to look up.
"""

import argparse
import html
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from vlselect.core import log, registry, store
from vlselect.core.digests import file_digest
from vlselect.core.errors import naming_file
from vlselect.core.refused import GATED, refused_in
from vlselect.core.store import read_parquet
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))
NOTHING = "<!-- -->"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    parser.add_argument("--subset", type=Path, required=True, help="the subset's records, JSON")
    parser.add_argument("--rows", type=Path, required=True, help="the subset's table, Parquet")
    parser.add_argument("--provenance", type=Path, required=True, help="provenance.json")
    parser.add_argument("--method", required=True)
    parser.add_argument("--budget", required=True, help="as in the paths")
    parser.add_argument("--seed", required=True)
    parser.add_argument(
        "--sections", nargs="*", default=[], help="sections of the config that it used"
    )
    parser.add_argument("--out", type=Path, required=True, help="Markdown to write")
    return parser


def composition(pool: pd.DataFrame, rows: pd.Series) -> str:
    """Return a Markdown table of the sources: samples and shares in the subset and in the pool."""
    whole, chosen = pool["source"].value_counts(), pool["source"].loc[rows].value_counts()
    lines = [
        "| source | chosen | share | in the pool | share | licence |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for source in sorted(whole.index, key=lambda name: (-whole[name], name)):
        n, of = int(chosen.get(source, 0)), int(whole[source])
        shares = (f"{n / len(rows):.1%}", f"{of / len(pool):.1%}")
        lines.append(
            f"| {_plain(source)} | {n:,} | {shares[0]} | {of:,} | {shares[1]} | to be filled in |"
        )
    return "\n".join(lines)


def settings(config: Mapping, method: str, sections: list[str]) -> dict:
    """Return the part of the config behind the choice: method, constraints, sections, models."""
    used = {"methods": {method: config["methods"].get(method) or {}}}
    used |= {name: config[name] for name in sections if name in config}
    constraints = {key: value for key, value in config["constraints"].items() if value}
    used |= {"constraints": constraints} if constraints else {}
    texts = set(_texts(used))
    models = {name: entry for name, entry in config["models"].items() if name in texts}
    return used | ({"models": models} if models else {})


def front_matter(n: int, method: str) -> str:
    """Return YAML for the hub."""
    size = next((name for most, name in SIZES if n < most), "n>1M")
    return f"""---
license: unknown
task_categories: [image-text-to-text, visual-question-answering]
size_categories: ["{size}"]
tags: [vlselect, data-selection, instruction-tuning, {method}]
---"""


def left_out(table: pd.DataFrame) -> str:
    """Return sentences on the samples that could not be chosen; nothing where there are none."""
    refused, gated = len(refused_in([table])), table.attrs.get(GATED, 0)
    what = "could not be chosen: a model that the method reads refuses them, see `refused.csv`"
    why = "were gated: their loss is among the highest of their group, see `gate` below"
    counts = ((refused, what), (gated, why))
    return "".join(f"\n{n:,} records of the pool {text}.\n" for n, text in counts if n)


def card(args: argparse.Namespace, pool: pd.DataFrame, table: pd.DataFrame, made: Mapping) -> str:
    """Return the card; `table` is the subset's, `made` the run's provenance."""
    config, rows = made["config"], table["row"]
    chosen = pool.loc[rows]
    purpose = registry.load("method", args.method).__doc__.splitlines()[0]
    used = json.dumps(settings(config, args.method, args.sections), indent=2, ensure_ascii=False)
    digests = "\n".join(f"{file_digest(path)}  {path.name}" for path in (args.subset, args.rows))
    inputs = "\n".join(f"{sha}  {path}" for path, sha in made["inputs_sha256"].items())
    packages = ", ".join(f"{name} {v['pinned']}" for name, v in made["packages"].items())
    target = f"results/{made['run']}/subsets/{args.method}/{args.subset.name}"
    return f"""{front_matter(len(rows), args.method)}

# {_plain(made["run"])}: {args.method}, {args.budget}, seed {args.seed}

{len(rows):,} of the {len(pool):,} records of a pool of vision-language instruction data
({len(rows) / len(pool):.1%}), chosen by `{args.method}`: {purpose}

## Composition
{composition(pool, rows)}

{(chosen["n_images"] == 0).sum():,} records have no image, {(chosen["n_images"] > 1).sum():,}
several, {(chosen["n_turns"] > 1).sum():,} several turns. Images: {chosen["n_images"].sum():,}

## How it was chosen
Budget `{args.budget}`, seed {args.seed}, also where a `seed` below is null. Records and their order
are those of the source files.
{left_out(table)}
```json
{used}
```

## Licence
To be filled in: the licence of this selection. Each record and image keeps the licence of its
source, which the last column of the table above is for.

## Digests (sha256)
```
{digests}
```
of what the pool and the tasks were made:
```
{inputs}
```

## Made by
vlselect at commit `{made["commit"]}`, Python {made["python"]}, {packages}:

    snakemake {target} --cores all --configfile <the config in provenance.json>
"""


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    pool = Samples(args.samples).frame(["source", "n_images", "n_turns"])
    table = read_parquet(args.rows, columns=["row"])
    with naming_file(args.provenance):
        made = json.loads(args.provenance.read_text(encoding="utf-8"))
    with store.replacing(args.out) as path:
        path.write_text(card(args, pool, table, made), encoding="utf-8")
    logger.info("%d records of %s in the card %s", len(table), args.method, args.out)


def _plain(text: str) -> str:
    """Escape a user's text for a Markdown table: no column, no HTML, no code, link or image.

    Addresses are links even without brackets, and with entities in them; a comment parts them.
    """
    escaped = html.escape(" ".join(text.split()))
    escaped = re.sub(r"[|`\[\]\\]", lambda found: f"&#{ord(found[0])};", escaped)
    return re.sub(r"(?<=/)(?=/)|(?<=www)(?=\.)|(?=@)", NOTHING, escaped, flags=re.IGNORECASE)


def _texts(value: object) -> list[str]:
    """Return all texts in a JSON value."""
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


if __name__ == "__main__":
    main()
