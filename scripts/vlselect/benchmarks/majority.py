"""Answers that look at no image: how far the wording of the questions alone carries.

A benchmark score means something only above this floor.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from vlselect.core.errors import InputError
from vlselect.pool.records import Record

MARKER = "<image>"


def first_exchange(record: Record) -> tuple[str, str] | None:
    """Give the first question without its image markers, and the answer to it, if there is one."""
    for turn, reply in zip(record.turns, record.turns[1:], strict=False):
        if turn.role == "user" and reply.role == "assistant":
            return question_text(turn.text), reply.text.strip()
    return None


def last_question(record: Record) -> str:
    """Give the question that a test sample asks: its last user turn without image markers."""
    return question_text([turn.text for turn in record.turns if turn.role == "user"][-1])


def question_text(text: str) -> str:
    """Strip image markers and blanks."""
    return text.replace(MARKER, "").strip()


def count_answers(
    exchanges: Iterable[tuple[str, str] | None], questions: Iterable[str]
) -> dict[str, Counter]:
    """Count the answers that the pool gives to each of the questions asked.

    Parameters
    ----------
    exchanges : iterable of (question, answer) or None
        Of the pool; gone through once.
    questions : iterable of str
        Others are not counted, so that memory follows the tests and not the pool.

    Returns
    -------
    dict of str to Counter
        Only questions that occur in the pool.
    """
    wanted, counts = set(questions), defaultdict(Counter)
    for exchange in exchanges:
        if exchange is not None and exchange[0] in wanted:
            counts[exchange[0]][exchange[1]] += 1
    return dict(counts)


def most_frequent(counts: Counter) -> str:
    """Give the most frequent answer; of several, the first in lexicographic order."""
    return min(counts, key=lambda answer: (-counts[answer], answer))


def majority_answers(
    questions: Sequence[str], counts: dict[str, Counter], validation: Counter
) -> tuple[list[str], int]:
    """Answer each question as the pool mostly does, else as the validation set mostly does.

    Parameters
    ----------
    questions : sequence of str
        Of the test set.
    counts : dict of str to Counter
        From `count_answers`.
    validation : Counter
        Answers of the task's validation set.

    Returns
    -------
    predictions : list of str
    n_known : int
        Questions that the pool answered.

    Raises
    ------
    ValueError
        If a question is not in the pool and there is no validation answer.
    """
    if not validation and any(question not in counts for question in questions):
        raise InputError("a question is not in the pool, and there are no validation answers")
    fallback = most_frequent(validation) if validation else ""
    predictions = [most_frequent(counts[q]) if q in counts else fallback for q in questions]
    return predictions, sum(question in counts for question in questions)
