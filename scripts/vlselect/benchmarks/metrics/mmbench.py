"""MMBench: multiple choice that has to be right for every circular shift of the options.

Each question comes as several samples with circularly shifted options; it is right if all of them
are. A sample's ``index`` modulo 10⁶ is its question, the rest its shift.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from vlselect.benchmarks.metrics.evaluation import (
    LETTERS,
    Evaluation,
    Example,
    Parts,
    field,
    option_letter,
    pairs,
    percentages,
    summarise,
)
from vlselect.core.errors import InputError

SHIFT = 10**6
# Refusals of well-known models; such answers choose no option
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_MARKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_LONG = 3  # words; in a longer text, a capital A may be an article


def evaluate(predictions: Sequence[str], examples: Sequence[Example]) -> Evaluation:
    """Score 1 if a sample's prediction names the right option; summarise by question.

    `choices` are in the order of the shift, empty ones are ignored; the first of `answers` is the
    right option's letter or text. The record needs ``index``; its ``category``, if any, groups
    accuracies.

    Returns
    -------
    Evaluation
        In the summary: `score`, questions right in all shifts, in percent; `n` samples;
        `questions`; `vanilla`, questions right without a shift, in percent; `categories`; and
        `unparsed` samples, which count as wrong (the published programs ask a language model or
        draw an option).

    Raises
    ------
    ValueError
        If an index occurs twice, a question has one order only, or an answer is not an option.

    References
    ----------
    Liu et al., MMBench, ECCV 2024 (arXiv 2307.06281): circular evaluation and the rules for
    extracting choices.
    """
    scores, unparsed, categories = [], 0, {}
    questions: dict[int, dict[int, float]] = defaultdict(dict)  # question → shift → score
    for prediction, answers, example in pairs(predictions, examples):
        shift, question = divmod(_index(example), SHIFT)
        choices = [choice for choice in field(example, "choices") if choice.strip()]
        letter = parse_letter(prediction, choices)
        unparsed += letter is None
        scores.append(float(letter == option_letter(example, answers[0], len(choices))))
        if shift in questions[question]:
            raise InputError(f"MMBench: index {_index(example)} comes twice")
        questions[question][shift] = scores[-1]
        categories[question] = (example.get("record") or {}).get("category")
    for question, shifts in questions.items():
        if len(shifts) < 2:
            raise InputError(
                f"MMBench: question {question} comes in one order only; circular evaluation needs "
                "a sample for each shift (for single samples use the metric multiple_choice)"
            )
    right = {question: min(shifts.values()) for question, shifts in questions.items()}
    vanilla = [shifts[min(shifts)] for shifts in questions.values()]
    details = {"questions": len(questions), "vanilla": 100 * float(np.mean(vanilla or [0]))}
    if groups := _by_category(right, categories):
        details["categories"] = percentages(groups)
    score = summarise(list(right.values())).summary["score"]
    summary = {"score": score, "n": len(scores), **details, "unparsed": unparsed}
    of = [_index(example) % SHIFT for example in examples]
    weights = np.array([1 / len(questions[question]) for question in of])  # a question counts once
    hits = np.array([right[question] for question in of])
    return Evaluation(np.array(scores), summary, Parts(weights * hits, weights, unit=of))


def parse_letter(text: str, choices: Sequence[str]) -> str | None:
    """Return the letter of the option that an answer chooses; None for none, several, or a refusal.

    The rules, in this order: the whole answer is a letter of any case, ignoring marks, or an
    option; exactly one option's capital letter stands alone, where an A in a text of more than
    three words counts as an article; exactly one option's text is part of the answer.
    """
    if any(refusal in text for refusal in REFUSALS):
        return None
    letters, words = LETTERS[: len(choices)], text.translate(_MARKS).split()
    if len(words) == 1 and words[0].upper() in letters:
        return words[0].upper()
    answer, options = text.strip().lower(), [choice.strip().lower() for choice in choices]
    plain = [option.rstrip(".") for option in options]
    if plain.count(answer.rstrip(".")) == 1:
        return letters[plain.index(answer.rstrip("."))]
    alone = [letter for letter in letters if letter in words]
    if len(alone) == 1 and not ("A" in alone and len(words) > _LONG):
        return alone[0]
    part = [letter for letter, option in zip(letters, options, strict=True) if option in answer]
    return part[0] if len(part) == 1 else None


def _index(example: Example) -> int:
    value = field(example, "index")
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        name = example.get("sample_id")
        raise InputError(f"test sample {name!r}: index {value!r} is not a number") from error


def _by_category(scores: dict[int, float], categories: dict) -> dict[str, list[float]]:
    groups = defaultdict(list)
    for question, score in scores.items():
        if categories[question] is not None:
            groups[str(categories[question])].append(score)
    return groups
