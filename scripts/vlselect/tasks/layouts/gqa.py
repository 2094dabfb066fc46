"""GQA: one JSON object of questions by id, each with its image's id, answer and types."""

from collections.abc import Iterator

from vlselect.tasks.layouts.question import Question, paths, read_json, text_of

METRIC = "gqa"
PROMPTS = {"en": "{question}\nAnswer the question using a single word or phrase."}
WHOLE = False


def entries(
    questions: str | list[str], image: str = "{image_id}.jpg"
) -> Iterator[tuple[str, tuple[dict, str]]]:
    """Yield id and (item, image) of each question of one or more files.

    The files are such as ``testdev_balanced_questions.json``; `image` is the path of an image, with
    {image_id} for its id.
    """
    for path in paths(questions):
        for name, item in read_json(path).items():
            yield name, (item, image)


def question(name: str, entry: tuple[dict, str]) -> Question:
    """Build one question, with the keys that the metric groups and balances by."""
    item, pattern = entry
    text, answer = text_of(item, "question"), text_of(item, "answer")
    image = pattern.replace("{image_id}", text_of(item, "imageId"))
    fields = {key: item[key] for key in ("types", "isBalanced") if key in item}
    return Question(name, text, (answer,), image, fields=fields)
