"""Right answers of yes-or-no questions, for POPE and MME."""

import re
from collections.abc import Sequence

from vlselect.benchmarks.metrics.evaluation import Example
from vlselect.core.errors import InputError


def gold_label(answers: Sequence[str], example: Example) -> str:
    """Return the right answer, "yes" or "no"; if it is neither, ValueError names the sample."""
    label = answers[0].strip().lower()
    if label not in ("yes", "no"):
        raise InputError(
            f"test sample {example.get('sample_id')!r}: the answer {answers[0]!r} is not yes or no"
        )
    return label


def first_word(text: str) -> str:
    """Return the first word of an answer, ignoring case and marks: "**No**, …" is no.

    The benchmarks' own programs read yes or no from answers that say neither ("Not sure") or the
    opposite; metrics count answers that do not begin with their label as `unparsed`.
    """
    return "".join(re.findall(r"[^\W_]+", text)[:1]).lower()
