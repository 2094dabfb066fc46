"""VQA v2 and similar benchmarks: questions in one file, ten people's answers to each in another.

Three forms are read. VQA v2 and OK-VQA: ``{"questions": [...]}`` and ``{"annotations": [...]}``,
joined by ``question_id``. TextVQA: ``{"data": [...]}`` with the answers inside, no annotations.
VizWiz: a list of questions with the answers inside and the image's file name as id.
"""

from collections.abc import Iterator, Mapping

from vlselect.core.errors import InputError
from vlselect.pool.records import Rejection
from vlselect.tasks.layouts.question import Question, name_of, paths, read_json, text_of

METRIC = "vqa_accuracy"
PROMPTS = {"en": "{question}\nAnswer the question using a single word or phrase."}
WHOLE = False
COCO = "COCO_{data_subtype}_{image_id:0>12}.jpg"
BY_ID = "{image_id}.jpg"


def entries(
    questions: str | list[str],
    annotations: str | list[str] | None = None,
    image: str | None = None,
) -> Iterator[tuple[str, dict]]:
    """Yield id and item of each question, with its annotation; annotations without one come last.

    There are no `annotations` files if the questions contain the answers. `image` is the path of an
    item's image, a pattern of its keys and the file's ``data_subtype``; default `COCO` if the file
    has a subtype, else `BY_ID`. An item's own ``image`` takes precedence.
    """
    notes = {}
    for path in paths(annotations) if annotations else ():
        found = read_json(path).get("annotations")
        if not isinstance(found, list):
            raise InputError(f"{path} has no list 'annotations'")
        for position, note in enumerate(found):
            notes.setdefault(name_of(note, "question_id", position), note)
    for path in paths(questions):
        items, subtype = _read_questions(path)
        pattern = image or (COCO if subtype else BY_ID)
        for position, item in enumerate(items):
            name = name_of(item, "question_id", position)
            if not isinstance(item, Mapping):
                yield name, {"item": item}
                continue
            if "question_id" not in item and isinstance(item.get("image"), str):
                name = item["image"]
            note = notes.pop(name, None) if annotations else item
            values = {"data_subtype": subtype, **item}
            yield name, {"item": item, "annotation": note, "pattern": pattern, "values": values}
    for name in notes:
        yield name, {"item": None}


def question(name: str, item: dict) -> Question:
    """Build one question; all answers are kept for the metric."""
    asked, note = item["item"], item.get("annotation")
    if asked is None:
        raise Rejection("no_question", "an annotation without a question")
    text = text_of(asked, "question")
    if note is None:
        raise Rejection("no_annotation", "the annotations do not have this question")
    given = note.get("answers") if isinstance(note, Mapping) else None
    answers = tuple(_answer(answer) for answer in given) if isinstance(given, list) else ()
    if not any(answer.strip() for answer in answers):
        raise Rejection("no_answer", "the annotation has no 'answers'")
    fields = {key: note[key] for key in ("question_type", "answer_type") if key in note}
    return Question(name, text, answers, _image(item), fields=fields)


def _read_questions(path) -> tuple[list, str]:
    """Return the file's questions, and the part of COCO that it names."""
    value = read_json(path, object)
    if isinstance(value, list):
        return value, ""
    items = value.get("questions", value.get("data")) if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise InputError(f"{path} has neither a list 'questions' nor a list 'data'")
    return items, str(value.get("data_subtype") or "")


def _image(item: dict) -> str:
    if isinstance(item["item"].get("image"), str):
        return item["item"]["image"]
    try:
        return item["pattern"].format_map(item["values"])
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        problem = f"image {item['pattern']!r} cannot be filled in: {error!r}"
        raise Rejection("bad_record", problem) from error


def _answer(answer: object) -> str:
    return text_of(answer, "answer") if isinstance(answer, Mapping) else str(answer)
