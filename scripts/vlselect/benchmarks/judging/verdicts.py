"""Prompts for a judging language model, and parsers of its verdicts.

The prompts are this project's own. Published scores of LLaVA-Bench and MM-Vet used those
benchmarks' prompts, which can be set with the metric's option `prompt`; placeholders are
{question}, {context}, {reference} and {answer}.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vlselect.benchmarks.judging.chat_client import UnreadableError

_NUMBER = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
# Text allowed around two scores: "Assistant 1:", "/10", "and", …
_LABELS = re.compile(
    r"/\s*10\b|\b(?:assistant|answer)\s*[12]\b|"
    r"\b(?:the|and|of|for|is|are|scores?|ratings?|points?|assistants?|answers?)\b",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[^\w\s.-]")
_GRADE = rf"({_NUMBER})(?![\w%]|[.,][0-9])"  # no "5" in "5th", "50%" or "0,5"
_BEGINS = re.compile(rf"[^\w.-]*{_GRADE}")
_STATES = re.compile(
    rf"\b(?:correctness|score|grade)\b[^\w.-]*(?:(?:is|of)\s+)?{_GRADE}", re.IGNORECASE
)


@dataclass(frozen=True)
class Protocol:
    """One way of judging.

    Attributes
    ----------
    system, prompt, reminder : str
        The judge's instructions; `prompt` has the placeholders, `reminder` follows an unreadable
        answer.
    parse : callable
        From the answer to the verdict; raises `UnreadableError`.
    context : bool
        Whether the prompt describes the image in words.
    """

    system: str
    prompt: str
    reminder: str
    parse: Callable[[str], tuple[float, ...]]
    context: bool


def parse_pair(content: str) -> tuple[float, float]:
    """Read two scores from 0 to 10: "8 7", "8, 7", "8/10 and 7/10", "Assistant 1: 8" and so on.

    They must be the only two numbers in the first lines with nothing but numbers and labels.
    """
    found: list[float] = []
    for line in content.splitlines():
        words = _MARKS.sub(" ", _LABELS.sub(" ", line)).split()
        if not all(re.fullmatch(_NUMBER, word) for word in words):
            found = []
            continue
        found += map(float, words)
        if len(found) == 2 and max(found) <= 10:
            return found[0], found[1]
        if len(found) >= 2:
            break
    raise UnreadableError(content)


def parse_grade(content: str) -> tuple[float]:
    """Read one grade from 0 to 1: the number that the answer begins with, or the one it states."""
    begins = _BEGINS.match(content)
    stated = {float(text) for text in ([begins[1]] if begins else _STATES.findall(content))}
    if len(stated) == 1 and max(stated) <= 1:
        return (stated.pop(),)
    raise UnreadableError(content)


PROTOCOLS = {
    "relative": Protocol(
        system="You compare two answers to a question about an image, precisely and fairly.",
        prompt="""What the image shows:
{context}

Question:
{question}

Answer of assistant 1:
{reference}
(end of answer 1)

Answer of assistant 2:
{answer}
(end of answer 2)

Rate how helpful, relevant, correct and detailed each of the two answers is, on a scale from 1 \
(worst) to 10 (best). The order in which they stand means nothing. On the first line write just \
the two ratings, that of assistant 1 first, with a blank between them. Explain them below.""",
        reminder="Write two numbers from 1 to 10 with a blank between them, and nothing else.",
        parse=parse_pair,
        context=True,
    ),
    "graded": Protocol(
        system="You grade answers to questions about images against the right answer.",
        prompt="""Question:
{question}

Right answer (<AND> joins parts that are all needed, <OR> separates parts of which one is enough):
{reference}

Answer to grade:
{answer}
(end of the answer)

How correct is the answer? Reply with one number and nothing else: 0.0 if it is wrong, 1.0 if it \
is right, or 0.1, 0.2, … 0.9 if it is right in part.""",
        reminder="Write one number from 0.0 to 1.0, and nothing else.",
        parse=parse_grade,
        context=False,
    ),
}


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace {question}, {context}, {reference} and {answer} by values, all at once."""
    places = re.compile(r"\{(question|context|reference|answer)\}")
    return places.sub(lambda match: values[match[1]], template)
