"""The columns of each table, and how tables are written and read.

Tables are the last stage that computes; figures read nothing else. `TABLES` names and describes
every column, so that a table is checked when it is written and parsed when it is read. Real
numbers are written with six significant digits and missing ones as an empty field: the same
results give the same bytes.
"""

import argparse
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vlselect.core import store
from vlselect.core.errors import InputError, naming_file

MEAN = "mean"  # the `task` of a row that averages over all benchmarks
REFERENCE = "full"  # the method that everything is measured against
UNTRAINED = ("pretrained", "majority")  # never finetuned: seeds change nothing
HIGHER, LOWER, UNDECIDED = "higher", "lower", "no difference shown"  # verdicts of a comparison
RUN_LABEL = re.compile(r"(?P<budget>(ratio|samples|tokens)-(?P<number>[^_/]+))_seed-(?P<seed>\d+)")

_MODEL = ("text", "name of the finetuned model in the config")
_METHOD = ("text", "selection method; also `pretrained` and `majority` (no finetuning at all)")
_RATIO = ("text", "share of the pool that was selected, as in the paths or in `budgets.csv`")
_INTERVAL = {
    "df": ("real", "degrees of freedom of low and high; empty where there is no interval"),
    "interval": ("text", "what low and high cover: `seeds and questions`, `seeds` or `none`"),
    "question_low": ("real", "lower end for other questions only, with these same checkpoints"),
    "question_high": ("real", "upper end of that interval"),
}
_SEED = ("text", "seed of selection and finetuning; empty where it was not published")
_SELECTION = ("text", "seed in the paths of its inputs; 0 where those are not random")

_N_TASKS = (
    "integer",
    f"benchmarks that `relative` is over: those on which `{REFERENCE}` scores above zero",
)
TABLES = {
    "benchmark_scores": {
        "model": ("text", "name of the model in the config; empty for `majority`"),
        "method": _METHOD,
        "ratio": _RATIO,
        "seed": _SEED,
        "task": ("text", "benchmark task"),
        "metric": ("text", "metric of the task"),
        "score": ("real", "score on the task's test set, 0 to 100 (published MME: points)"),
        "n": ("integer", "number of test questions; 0: unknown (published tables)"),
    },
    "relative_by_seed": {
        "model": _MODEL,
        "method": _METHOD,
        "ratio": _RATIO,
        "seed": _SEED,
        "task": ("text", f"benchmark (a group of subtasks counts as one), or `{MEAN}` of them all"),
        "score": ("real", "score on the test set; for the mean, mean of the scores"),
        "n_tasks": _N_TASKS,
        "relative": ("real", f"100 score / score of `{REFERENCE}`; for the mean, mean of these"),
    },
    "relative_performance": {
        "model": _MODEL,
        "method": _METHOD,
        "ratio": _RATIO,
        "task": ("text", f"benchmark (a group of subtasks counts as one), or `{MEAN}` of them all"),
        "n_seeds": ("integer", "number of seeds behind the row"),
        "score": ("real", "score, mean over seeds"),
        "n_tasks": _N_TASKS,
        "relative": ("real", f"100 score / score of `{REFERENCE}` (its mean over seeds)"),
        "low": ("real", "lower end of its 95 % interval, for other seeds and other questions"),
        "high": ("real", "upper end of that interval"),
        **_INTERVAL,
    },
    "comparison_with_random": {
        "model": _MODEL,
        "method": _METHOD,
        "ratio": _RATIO,
        "n_seeds": ("integer", "number of seeds of the method"),
        "n_seeds_random": ("integer", "number of seeds of `random`"),
        "n_tasks": _N_TASKS,
        "difference": ("real", "points of `relative`: method − `random`, means over their seeds"),
        "low": ("real", "lower end of its 95 % interval, for other seeds and other questions"),
        "high": ("real", "upper end of that interval"),
        **_INTERVAL,
        "p": ("real", "p of the two-sided t test that matches low and high, not corrected"),
        "p_holm": ("real", "p, corrected (Holm) for all tests of the table"),
        "verdict": ("text", "`higher` or `lower` if the interval excludes zero, else neither"),
    },
    "subset_composition": {
        "method": _METHOD,
        "ratio": _RATIO,
        "seed": _SEED,
        "source": ("text", "source of the samples"),
        "n": ("integer", "number of chosen samples of that source"),
        "share": ("real", "n as a share of the subset"),
        "pool_share": ("real", "share of the source in the pool"),
    },
    "subset_overlap": {
        "method_a": _METHOD,
        "method_b": _METHOD,
        "ratio": _RATIO,
        "seed": _SEED,
        "n_common": ("integer", "number of samples in both subsets"),
        "expected_by_chance": ("real", "n_common expected for two independent random subsets"),
        "jaccard": ("real", "n_common / number of samples in either subset"),
    },
    "score_distribution": {
        "method": _METHOD,
        "ratio": _RATIO,
        "seed": _SELECTION,
        "source": ("text", "source of the samples"),
        "n": ("integer", "number of pool samples of that source"),
        "n_scored": ("integer", "number of them with a score"),
        "low": ("real", "5 % quantile of their scores; quantiles do not depend on the ratio"),
        "quarter": ("real", "25 % quantile"),
        "median": ("real", "50 % quantile"),
        "three_quarters": ("real", "75 % quantile"),
        "high": ("real", "95 % quantile"),
        "chosen": (
            "real",
            "share of the n samples in subsets made from these scores, mean over them",
        ),
    },
    "votes_histogram": {
        "ratio": _RATIO,
        "seed": _SEED,
        "votes": ("integer", "number of tasks that vote for a sample"),
        "n": ("integer", "number of pool samples with that many votes"),
        "share": ("real", "n as a share of the pool"),
        "selected": ("integer", "number of them in the ICONS subset of that ratio and seed"),
    },
    "task_agreement": {
        "seed": _SELECTION,
        "task_a": ("text", "voting task"),
        "task_b": ("text", "voting task, in the order of the votes' columns"),
        "spearman": ("real", "rank correlation of the two influences; empty if one is constant"),
        "pearson": ("real", "correlation of the two influences; empty if one is constant"),
        "jaccard": ("real", "samples voted for by both / by either; empty if none"),
    },
    "vote_extremes": {
        "seed": _SELECTION,
        "extreme": ("text", "`most` or `least`"),
        "position": ("integer", "position in that list, from 1"),
        "row": ("integer", "row of the sample in the pool"),
        "sample_id": ("text", "the sample's id"),
        "source": ("text", "source of the sample"),
        "votes": ("integer", "number of tasks that voted for it"),
        "question": ("text", "its first question, shortened"),
        "answer": ("text", "the answer to it, shortened"),
        "thumbnail": ("text", "its first image, at most 96 px wide and high: PNG, base64"),
    },
    "clusters": {
        "ratio": _RATIO,
        "seed": _SEED,
        "cluster": ("integer", "cluster number"),
        "size": ("integer", "number of pool samples in it"),
        "transferability": ("real", "mean cosine to the other centroids"),
        "density": ("real", "mean kernel value over its pairs of samples"),
        "probability": ("real", "its share of the budget before it is capped by its size"),
        "allocated": ("integer", "number of its samples in the COINCIDE subset"),
    },
    "budgets": {
        "budget": ("text", "budget as in the paths, such as samples-1000"),
        "amount": ("integer", "samples or tokens that it allows"),
        "pool": ("integer", "samples or tokens of the whole pool"),
        "ratio": ("text", "amount / pool: the budget's ratio in all other tables"),
    },
    "contamination": {
        "task": ("text", "task of the held-out records"),
        "split": ("text", "`validation` or `test`"),
        "n": ("integer", "number of records of that set"),
        "place": ("text", "where copies are looked for: `pool`, or `<task>/validation`"),
        "same_question": ("integer", "records of the set with a question and images found there"),
        "same_conversation": ("integer", "those of which all turns are found there, too"),
        "copies": ("integer", "records there that have a question and images of the set"),
    },
    "refused": {
        "sample_id": ("text", "the sample's id"),
        "reason": ("text", "why the model refuses it: a code, listed in docs/models.md"),
        "message": ("text", "what exactly is wrong"),
    },
    "refused_tasks": {
        "task": ("text", "benchmark task"),
        "split": ("text", "`validation` or `test`"),
        "sample_id": ("text", "the sample's id"),
        "reason": ("text", "as in `refused.csv`"),
        "message": ("text", "what exactly is wrong"),
    },
    "cost": {
        "level": ("text", "`rule`, or `selection`, `finetuning`, `total` of a method"),
        "name": ("text", "the rule, or the method"),
        "model": ("text", "name of the finetuned model; empty for a rule"),
        "ratio": ("text", "ratio of the subset; empty for a rule"),
        "jobs": ("integer", "number of jobs behind the row; 0: not measured here"),
        "unsampled": ("integer", "jobs that ended before CPU time and memory could be sampled"),
        "device_seconds": ("real", "wall seconds of each job × its GPUs or processes, summed"),
        "wall_seconds": ("real", "wall seconds, summed over jobs as if they ran one after another"),
        "elapsed_seconds": ("real", "wall seconds with the jobs of each stage side by side"),
        "cpu_seconds": ("real", "CPU seconds seen by Snakemake's sampling (a lower bound)"),
        "peak_memory_mb": ("real", "largest resident memory of any one of the jobs, MB"),
        "relative_to_full": ("real", "100 device_seconds / those of finetuning on `full`"),
    },
}


@dataclass(frozen=True)
class Run:
    """One subset or checkpoint: its model, method, ratio and seed, as in its path.

    For a budget in samples or tokens, `budget` is that part of the path, and `ratio` the share of
    the pool that it amounts to.
    """

    model: str
    method: str
    ratio: str
    seed: str
    budget: str = ""

    @property
    def label(self) -> str:
        """Last part of its path."""
        return f"{self.budget or f'ratio-{self.ratio}'}_seed-{self.seed}"

    @classmethod
    def parse(cls, name: str, shares: Mapping[str, str] | None = None) -> "Run":
        """Read a run from its path below the stage's folder.

        Parameters
        ----------
        name : str
            ``model/method/ratio-r_seed-s`` (a checkpoint or its benchmarks),
            ``method/ratio-r_seed-s`` (a subset) or ``method`` (no model, ratio and seed);
            ``samples-n`` or ``tokens-n`` may stand in place of ``ratio-r``.
        shares : mapping of str to str, optional
            Ratio of each such budget, from `read_shares`.

        Raises
        ------
        InputError
            If the name has another form, or `shares` lacks its budget.
        """
        parts = name.strip("/").split("/")
        if len(parts) == 1 and parts[0] and not RUN_LABEL.fullmatch(parts[0]):
            return cls("", parts[0], "", "")
        label = RUN_LABEL.fullmatch(parts[-1])
        if label is None or len(parts) not in (2, 3):
            raise InputError(f"{name!r} is not [model/]method/<budget>_seed-<s>")
        model, budget = parts[0] if len(parts) == 3 else "", label["budget"]
        if budget.startswith("ratio-"):
            return cls(model, parts[-2], label["number"], label["seed"])
        if budget not in (shares or {}):
            raise InputError(f"{name!r}: the ratio of budget {budget} is not given")
        return cls(model, parts[-2], shares[budget], label["seed"], budget)


def write_table(rows: Iterable[dict] | pd.DataFrame, table: str, path: Path) -> pd.DataFrame:
    """Write rows as one of `TABLES` to a CSV file, whole or not at all; return the table written.

    Raises
    ------
    ValueError
        If the columns are not those of the table.
    """
    columns = list(TABLES[table])
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    if len(frame) == 0:
        frame = pd.DataFrame(columns=columns)
    if set(frame.columns) != set(columns):
        raise ValueError(f"table {table}: has columns {sorted(frame.columns)}, needs {columns}")
    frame = frame[columns]
    texts = [column for column, (kind, _) in TABLES[table].items() if kind == "text"]
    cells = frame.assign(**{column: frame[column].map(store.as_cell) for column in texts})
    with store.replacing(Path(path)) as temporary:
        cells.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    return frame


def read_table(path: Path, table: str) -> pd.DataFrame:
    """Read a table; text columns as text ("" where empty), numbers as numbers.

    Raises
    ------
    InputError
        If it is not there or broken, a column is missing or unknown, or a number cannot be parsed.
    """
    with naming_file(path):
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            raise InputError(f"{path}: cut short: its last line has no end")
        return _parse(
            pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False), path, table
        )


def _parse(frame: pd.DataFrame, path: Path, table: str) -> pd.DataFrame:
    columns = TABLES[table]
    if list(frame.columns) != list(columns):
        raise InputError(f"{path}: has columns {list(frame.columns)}, needs {list(columns)}")
    for column, (kind, _) in columns.items():
        if kind == "text":
            frame[column] = frame[column].map(store.from_cell)
            continue
        try:
            numbers = pd.to_numeric(frame[column].replace("", None)).astype(float)
        except ValueError as error:
            raise InputError(f"{path}: column {column}: {error}") from error
        frame[column] = numbers.astype("int64") if kind == "integer" else numbers
    return frame


def describe(table: str) -> str:
    """Describe the columns of a table, one line each, for help texts."""
    return "\n".join(f"  {name:<20} {text}" for name, (_, text) in TABLES[table].items())


def add_budgets_argument(parser: argparse.ArgumentParser) -> None:
    """Add the flag for the tables of budgets in samples and tokens."""
    about = "budgets.csv, if runs have budgets in samples or tokens"
    parser.add_argument("--budgets", type=Path, nargs="*", default=[], help=about)


def add_seeds_argument(parser: argparse.ArgumentParser) -> None:
    """Add the flag for the seeds that each run's selection was made with."""
    about = "for each run, the seed of the scores, votes or clusters that it was selected by"
    parser.add_argument("--seeds", nargs="+", required=True, help=about)


def read_shares(paths: Iterable[Path]) -> dict[str, str]:
    """Read the ratio of each budget, for `Run.parse`; empty without a table."""
    frames = [read_table(path, "budgets") for path in paths]
    return {b: r for frame in frames for b, r in zip(frame["budget"], frame["ratio"], strict=True)}


def ratio_order(label: str) -> float:
    """Return the sort key of a ratio label; labels that are not numbers come first."""
    try:
        return float(label)
    except ValueError:
        return -1.0
