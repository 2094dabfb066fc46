"""Build questions from a benchmark's files, and records from questions."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from vlselect.pool.records import IMAGE_MARKER, Rejection
from vlselect.tasks.layouts.question import Question

PNG = b"\x89PNG"


def read_questions(
    layout: ModuleType, values: dict, images: Path, reject: Callable[[int, str, str, str], None]
) -> list[Question]:
    """Build every question of one set, in the order of its files.

    Parameters
    ----------
    layout : module
        From `registry.load`.
    values : dict
        Arguments of its `entries`.
    images : Path
        Folder for embedded images.
    reject : callable
        Called with position, id, reason and detail of every question that cannot be built.
    """
    questions: dict[str, Question] = {}
    for position, (name, item) in enumerate(layout.entries(**values)):
        try:
            if name in questions:
                raise Rejection("duplicate_id", f"an earlier question has this id: {name!r}")
            question = layout.question(name, item)
        except Rejection as rejection:
            reject(position, name, rejection.reason, rejection.detail)
            continue
        if isinstance(question.image, bytes):
            question = replace(question, image=write_image(question.image, images))
        questions[name] = question
    return list(questions.values())


def write_image(data: bytes, folder: Path) -> str:
    """Write an embedded image once, under a name made from its content; return the name."""
    name = sha256(data).hexdigest()[:16] + (".png" if data.startswith(PNG) else ".jpg")
    if not (folder / name).exists():
        (folder / name).write_bytes(data)
    return name


def group(question: Question) -> str:
    """Return what may not be in two splits: the image, or a question without an image."""
    return f"image {question.image}" if question.image else f"question {question.name}"


def record(question: Question, prompt: str, *, with_response: bool) -> dict:
    """Return a question, with no image or the path of one, as a LLaVA record.

    The text replaces {question} in `prompt`; `with_response` adds the most frequent answer as the
    model's turn.
    """
    text = prompt.replace("{question}", question.text)
    text = f"{IMAGE_MARKER}\n{text}" if question.image else text
    turns = [{"from": "human", "value": text}]
    turns += [{"from": "gpt", "value": question.response}] if with_response else []
    value: dict = {"id": question.name}
    if question.image:
        value["image"] = question.image
    value |= {"conversations": turns, "answers": list(question.answers)}
    if question.choices:
        value["choices"] = list(question.choices)
    return {**value, **question.fields}
