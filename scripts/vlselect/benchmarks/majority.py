"""Answers without the image: how far the wording of the questions alone goes.

It is the floor for every benchmark score.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from vlselect.core.errors import InputError
from vlselect.pool.records import Record

MARKER = "<image>"


def first_exchange(record: Record) -> tuple[str, str] | None:
    """Return the first question without image markers, and its answer; None if there is none."""
    for turn, reply in zip(record.turns, record.turns[1:], strict=False):
        if turn.role == "user" and reply.role == "assistant":
            return question_text(turn.text), reply.text.strip()
    return None


def last_question(record: Record) -> str:
    """Return the question of a test sample: its last user turn without image markers."""
    return question_text([turn.text for turn in record.turns if turn.role == "user"][-1])


def question_text(text: str) -> str:
    """Strip image markers and surrounding blanks."""
    return text.replace(MARKER, "").strip()


def count_answers(
    exchanges: Iterable[tuple[str, str] | None], questions: Iterable[str]
) -> dict[str, Counter]:
    """Count the pool's answers to each of the given questions.

    Questions that are not in the pool are left out. `exchanges`, pairs of question and answer or
    None, are read once. Other questions are not counted, so memory depends on the tests and not on
    the pool.
    """
    wanted, counts = set(questions), defaultdict(Counter)
    for exchange in exchanges:
        if exchange is not None and exchange[0] in wanted:
            counts[exchange[0]][exchange[1]] += 1
    return dict(counts)


def most_frequent(counts: Counter) -> str:
    """Return the most frequent answer; of several, the first in lexicographic order."""
    return min(counts, key=lambda answer: (-counts[answer], answer))


def majority_answers(
    questions: Sequence[str], counts: dict[str, Counter], validation: Counter
) -> tuple[list[str], int]:
    """Return the pool's most frequent answer to each question, else the validation set's.

    Parameters
    ----------
    questions : sequence of str
        Of the test set.
    counts : dict of str to Counter
        From `count_answers`.
    validation : Counter
        Answers of the task's validation set; ValueError if it is empty and needed.

    Returns
    -------
    predictions : list of str
    n_known : int
        Questions found in the pool.
    """
    if not validation and any(question not in counts for question in questions):
        raise InputError("a question is not in the pool, and there are no validation answers")
    fallback = most_frequent(validation) if validation else ""
    predictions = [most_frequent(counts[q]) if q in counts else fallback for q in questions]
    return predictions, sum(question in counts for question in questions)
