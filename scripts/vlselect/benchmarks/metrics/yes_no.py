"""Right answers of yes-or-no questions, as POPE and MME have them."""

import re
from collections.abc import Sequence

from vlselect.benchmarks.metrics.evaluation import Example
from vlselect.core.errors import InputError


def gold_label(answers: Sequence[str], example: Example) -> str:
    """Read the right answer: "yes" or "no".

    Raises
    ------
    ValueError
        If it is neither; names the sample.
    """
    label = answers[0].strip().lower()
    if label not in ("yes", "no"):
        raise InputError(
            f"test sample {example.get('sample_id')!r}: the answer {answers[0]!r} is not yes or no"
        )
    return label


def first_word(text: str) -> str:
    """Read the word that an answer begins with, whatever its case and marks: "**No**, …" is no.

    The benchmarks' own programs make a yes or a no of answers that say neither ("Not sure") or the
    opposite; metrics count answers that do not begin with the label that they got as `unparsed`.
    """
    return "".join(re.findall(r"[^\W_]+", text)[:1]).lower()
