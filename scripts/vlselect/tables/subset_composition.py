"""Sources of the samples in each subset."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core.store import read_parquet
from vlselect.tables.declarations import Run


def read_subsets(
    folder: Path, names: Iterable[str], shares: Mapping[str, str]
) -> dict[Run, np.ndarray]:
    """Read the chosen rows of subsets, by names as `Run.parse` takes them, in this order."""
    return {
        Run.parse(name, shares): read_parquet(folder / f"{name}.parquet")["row"].to_numpy()
        for name in names
    }


def subset_composition(sources: Sequence[str], subsets: Mapping[Run, np.ndarray]) -> pd.DataFrame:
    """Count the samples of each source in each subset: ``subset_composition.csv``.

    `sources` are those of the pool's samples in row order, `subsets` the chosen rows. Every subset
    has a row for every source of the pool, the largest first (ties by name).
    """
    column = pd.Series(list(sources), dtype=object)
    pool = column.value_counts()
    order = sorted(pool.index, key=lambda source: (-pool[source], source))
    rows = []
    for run, chosen in subsets.items():
        counts = column.iloc[chosen].value_counts()
        for source in order:
            n = int(counts.get(source, 0))
            rows.append(
                {
                    "method": run.method,
                    "ratio": run.ratio,
                    "seed": run.seed,
                    "source": source,
                    "n": n,
                    "share": n / len(chosen) if len(chosen) else np.nan,
                    "pool_share": float(pool[source] / len(column)),
                }
            )
    return pd.DataFrame(rows)
