"""Multiple choice, scored by the option that the model means.

Options are lettered A, B, C, … in the order of `choices`, which may be the letters themselves.
"""

import re
from collections.abc import Sequence

from vlselect.benchmarks.metrics.evaluation import Evaluation, Example, pairs, summarise
from vlselect.benchmarks.metrics.exact_match import normalise
from vlselect.core.errors import InputError

# A letter at the start, set off from what follows: "(B)", "B.", "B) a dog", "B: a dog"
_LEADING = re.compile(r"\s*(?:\(([A-Za-z])\)|([A-Za-z])(?:\s*$|[.):,]))")
# A letter that the text states: "The answer is B", "the correct option is (b)."; before a blank it
# has to be a capital and not A: "the answer is a dog" states no letter
_STATED = re.compile(
    r"\b(?i:answer|option|choice)(?:\s+is)?\s*:?\s*"
    r"(?:\(([A-Za-z])\)|([A-Za-z])(?=[.,;:!]|\s*$)|([B-Z])(?=\s))"
)


def evaluate(predictions: Sequence[str], examples: Sequence[Example]) -> Evaluation:
    """Score 1 if the option that a prediction names is the right one, else 0.

    The first of `answers` is the right option's letter or text; ValueError if it is not one of the
    `choices`. Predictions that name no option count as wrong; `unparsed` in the summary counts
    them.
    """
    scores, unparsed = [], 0
    for prediction, answers, example in pairs(predictions, examples):
        choices = example.get("choices")
        if choices is None or not len(choices):
            raise InputError(f"test sample {example.get('sample_id')!r} has no choices")
        right = parse_choice(answers[0], choices)
        if right is None:
            raise InputError(
                f"test sample {example.get('sample_id')!r}: the answer {answers[0]!r} is not in "
                f"its choices {list(choices)}"
            )
        chosen = parse_choice(prediction, choices)
        unparsed += chosen is None
        scores.append(float(chosen == right))
    return summarise(scores, unparsed=unparsed)


def parse_choice(text: str, choices: Sequence[str]) -> int | None:
    """Return the index of the option that a text names; None for none or several.

    The rules, in this order: the text is an option; it begins with a letter that is set off ("B",
    "(b)", "B. a dog"); it states a letter ("the answer is B"); it contains exactly one option's
    text as whole words, ignoring options that are part of a longer one found, or a single letter.
    """
    whole, options = normalise(text), [normalise(choice) for choice in choices]
    if options.count(whole) == 1:
        return options.index(whole)
    leading = _LEADING.match(text)
    if leading:
        return _index(leading[1] or leading[2], len(options))
    stated = {match[match.lastindex].upper() for match in _STATED.finditer(text)}
    if len(stated) == 1:
        return _index(stated.pop(), len(options))
    named = [i for i, option in enumerate(options) if _has_words(whole, option)]
    longest = [
        i for i in named if not any(j != i and _has_words(options[j], options[i]) for j in named)
    ]
    return longest[0] if len(longest) == 1 else None


def _index(letter: str, n_options: int) -> int | None:
    index = ord(letter.upper()) - ord("A")
    return index if index < n_options else None


def _has_words(text: str, part: str) -> bool:
    if not part or (len(part) == 1 and part.isalpha()):  # "a" would be found in any sentence
        return False
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) is not None
