"""MMBench: multiple choice that counts only where it holds however the options are shifted.

Each question comes as several samples with its options in circularly shifted order; it is right
where all of them are. A sample's ``index`` modulo 10⁶ is its question, the rest its shift.
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
# Answers by which well-known models decline; what else they contain is no choice
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_MARKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_LONG = 3  # words; in a longer text, a capital A may be an article


def evaluate(predictions: Sequence[str], examples: Sequence[Example]) -> Evaluation:
    """Score 1 where a sample's prediction names the right option; summarise by question.

    Parameters
    ----------
    predictions : sequence of str
        What the model wrote.
    examples : sequence of mapping
        With `choices` (in the order of this shift; empty ones are none), `answers`, of which the
        first is the right option's letter or text, and the record's ``index``; accuracies are
        given by its ``category`` too, where it has one.

    Returns
    -------
    Evaluation
        In the summary: `score`, questions that are right in all shifts, in percent; `n` samples;
        `questions`; `vanilla`, questions that are right unshifted, in percent; `categories`; and
        `unparsed` samples, which count as wrong (the published programs ask a language model or
        draw an option there).

    Raises
    ------
    ValueError
        If an index comes twice, a question in one order only, or an answer is no option.

    References
    ----------
    Liu et al., MMBench, ECCV 2024 (arXiv 2307.06281): circular evaluation and the rules by which
    choices are extracted.
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
                "a sample for each shift (for single samples there is the metric multiple_choice)"
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
    """Find the letter of the option that an answer chooses.

    Tried in this order: the whole answer is a letter of any case, marks aside, or an option; just
    one option's capital letter stands by itself, where an A in a text of more than three words is
    taken for an article; just one option's text is part of the answer.

    Returns
    -------
    str or None
        None where no option, or more than one, is chosen, and for refusals.
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
