"""ScienceQA: multiple choice by the letter that an answer gives, with and without an image.

A letter is read in three forms only: it is the whole answer ("B"), it begins the answer ("B. It
…"), or exactly one "The answer is B" with something behind it stands in the text. "(B)", "b" or
"Answer: B" give none, and a letter beyond the question's options is none; such answers count as
wrong and are counted as unparsed. (Early versions of LLaVA's script drew an option there.)
"""

import re
from collections.abc import Sequence

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
_STATED = re.compile("The answer is ([A-Z]).")  # any character ends it, but there has to be one


def evaluate(
    predictions: Sequence[str], examples: Sequence[Example], *, subset: str = "all"
) -> Evaluation:
    """Score 1 where a prediction gives the right option's letter, else 0.

    Parameters
    ----------
    predictions : sequence of str
        What the model wrote.
    examples : sequence of mapping
        With `images` (maybe empty), and `answers`, of which the first is the right option: its
        letter, or its text where there are `choices`, which also bound the letters.
    subset : {"all", "image"}
        Which questions `score` is taken over: LLaVA-1.5's tables give those with an image.

    Returns
    -------
    Evaluation
        In the summary: `score` and `n` of the subset; `accuracy` of all questions in percent,
        `image` of those with an image, `text` of those without (where there are some), the
        numbers `n_image` and `n_text`, and `unparsed`.

    Raises
    ------
    ValueError
        If an answer is no option, or the subset is empty.

    References
    ----------
    Lu et al., ScienceQA, NeurIPS 2022 (arXiv 2209.09513); LLaVA's script eval_science_qa.py
    (arXiv 2304.08485).
    """
    if subset not in SUBSETS:
        raise InputError(f"subset {subset!r} is none of {SUBSETS}")
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
    """Read the letter that an answer gives; None where it gives none of the options'."""
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
