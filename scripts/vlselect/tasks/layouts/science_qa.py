"""ScienceQA: problems by id, and lists of the ids in each split.

About half of the problems have an image, at ``<split>/<id>/image.png``.
"""

from collections.abc import Iterator

from vlselect.core.errors import InputError
from vlselect.pool.records import Rejection
from vlselect.tasks.layouts.question import LETTERS, Question, read_json, text_of, with_options

METRIC = "science_qa"
PROMPTS = {"en": "{question}\nAnswer with the option's letter from the given choices directly."}
WHOLE = False


def entries(questions: str, splits: str, split: str) -> Iterator[tuple[str, tuple[dict, str]]]:
    """Yield id and (problem, folder) of each problem of one split; None for a missing problem.

    `split` is a key of `splits`, ``pid_splits.json``: train, val, test, minival, minitest, …
    """
    lists = read_json(splits)
    if not isinstance(lists.get(split), list):
        raise InputError(f"{splits} has no split {split!r}; it has {', '.join(map(str, lists))}")
    problems = read_json(questions)
    for name in map(str, lists[split]):
        problem = problems.get(name)
        own = problem.get("split") if isinstance(problem, dict) else None
        yield name, (problem, own or split.removeprefix("mini"))


def question(name: str, entry: tuple[dict, str]) -> Question:
    """Build one problem: hint, question and options; the answer is the right option's letter."""
    problem, folder = entry
    if problem is None:
        raise Rejection("no_question", "a split lists it, but there is no such problem")
    text, choices = text_of(problem, "question"), problem.get("choices")
    if not isinstance(choices, list) or not all(isinstance(c, str) for c in choices):
        raise Rejection("bad_choices", "'choices' is not a list of texts")
    hint = problem.get("hint")
    context = f"Context: {hint.strip()}" if isinstance(hint, str) and hint.strip() else ""
    text, answer = with_options(text, context, choices), problem.get("answer")
    if not isinstance(answer, int) or not 0 <= answer < len(choices):
        raise Rejection("bad_answer", f"'answer' is {answer!r}; there are {len(choices)} options")
    image = f"{folder}/{name}/{problem['image']}" if problem.get("image") else None
    fields = {key: problem[key] for key in ("subject", "topic", "grade") if problem.get(key)}
    return Question(name, text, (LETTERS[answer],), image, tuple(choices), fields)
