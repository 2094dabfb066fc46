"""ScienceQA: multiple choice by the letter in an answer, with and without an image.

Only three forms have a letter: the whole answer ("B"), its beginning ("B. It …"), or exactly one
"The answer is B" followed by any character. "(B)", "b", "Answer: B" and letters beyond the
question's options count as wrong and unparsed. (Early versions of LLaVA's script drew an option.)
"""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from vlselect.benchmarks.metrics.evaluation import (
    LETTERS,
    Evaluation,
    Example,
    Parts,
    option_letter,
    pairs,
    summarise,
)
from vlselect.core.errors import InputError

OPTIONS = LETTERS[:5]  # no question of ScienceQA has more
SUBSETS = ("all", "image")
_STATED = re.compile("The answer is ([A-Z]).")  # any one character must follow


def evaluate(
    predictions: Sequence[str], examples: Sequence[Example], *, subset: Literal[*SUBSETS] = "all"
) -> Evaluation:
    """Score 1 if a prediction has the right option's letter, else 0.

    `images` may be empty. The first of `answers` is the right option's letter, or its text if there
    are `choices`, which also limit the letters.

    Parameters
    ----------
    subset : {"all", "image"}
        Questions that enter `score`: LLaVA-1.5's tables use those with an image.

    Returns
    -------
    Evaluation
        In the summary: `score` and `n` of the subset; `accuracy` of all questions in percent,
        `image` of those with an image, `text` of those without (if any), the numbers `n_image` and
        `n_text`, and `unparsed`.

    Raises
    ------
    ValueError
        If an answer is not an option, or the subset is empty.

    References
    ----------
    Lu et al., ScienceQA, NeurIPS 2022 (arXiv 2209.09513); LLaVA's script eval_science_qa.py (arXiv
    2304.08485).
    """
    if subset not in SUBSETS:
        raise InputError(f"subset {subset!r} is not one of {SUBSETS}")
    matched = pairs(predictions, examples)
    sizes = [_n_options(example) for _, _, example in matched]
    letters = [parse_letter(item[0], size) for item, size in zip(matched, sizes, strict=True)]
    right = [
        option_letter(example, answers[0], size)
        for (_, answers, example), size in zip(matched, sizes, strict=True)
    ]
    scores = np.array([float(a == b) for a, b in zip(letters, right, strict=True)])
    with_image = np.array([_has_image(example) for _, _, example in matched], dtype=bool)
    details = {"accuracy": 100 * float(scores.mean())} if len(scores) else {}
    for name, chosen in (("image", with_image), ("text", ~with_image)):
        details[f"n_{name}"] = int(chosen.sum())
        if chosen.any():
            details[name] = 100 * float(scores[chosen].mean())
    part = scores if subset == "all" else scores[with_image]
    summary = summarise(part, subset=subset, unparsed=letters.count(None), **details).summary
    entering = with_image | (subset == "all")
    parts = Parts(scores, np.ones(len(scores)), group=np.where(entering, 0, -1))
    return Evaluation(scores, summary, parts)


def parse_letter(text: str, n_options: int = len(OPTIONS)) -> str | None:
    """Return the letter of an answer; None if it has none of the options'."""
    if text in OPTIONS:
        letter = text
    elif text[:1] in OPTIONS and text[1:3] == ". ":
        letter = text[0]
    else:
        stated = _STATED.findall(text)
        letter = stated[0] if len(stated) == 1 else None
    return letter if letter in OPTIONS[:n_options] else None


def _n_options(example: Example) -> int:
    choices = example.get("choices")
    return len(choices) if choices is not None and len(choices) else len(OPTIONS)


def _has_image(example: Example) -> bool:
    images = example.get("images")
    if images is None:
        raise InputError(f"test sample {example.get('sample_id')!r}: no column 'images'")
    return len(images) > 0
