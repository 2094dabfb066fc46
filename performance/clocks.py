"""Time contenders side by side: in turns, in several rounds, compared by the median of the ratios.

Times are processor seconds of one thread, nearly the same on a busy machine.
"""

import csv
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def in_turns(
    contenders: Mapping[str, Callable], rounds: int, *, warm: bool = False
) -> dict[str, list[float]]:
    """Run every contender once in each round; return its processor seconds by round.

    Each first has a run that does not count, unless `warm`. Every second round goes backwards, so
    that none always follows the same one.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(int(warm), rounds + 1):
        for name in list(contenders)[:: 1 if turn % 2 else -1]:
            begin = time.process_time()
            contenders[name]()
            if turn:
                seconds[name].append(time.process_time() - begin)
    return seconds


def ratio(seconds: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(seconds, others, strict=True))


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as CSV, floats to four digits, and print them; NaN is left empty."""
    rows = [{key: _text(value) for key, value in row.items()} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(path.read_text(encoding="utf-8"))


def _text(value: object) -> object:
    if not isinstance(value, float):
        return value
    return "" if value != value else f"{value:.4g}"
