"""Right answers of yes-or-no questions, as POPE and MME have them."""

from collections.abc import Sequence

from vlselect.metrics.evaluation import Example


def gold_label(answers: Sequence[str], example: Example) -> str:
    """Read the right answer: "yes" or "no".

    Raises
    ------
    ValueError
        If it is neither; names the sample.
    """
    label = answers[0].strip().lower()
    if label not in ("yes", "no"):
        raise ValueError(
            f"test sample {example.get('sample_id')!r}: the answer {answers[0]!r} is not yes or no"
        )
    return label
