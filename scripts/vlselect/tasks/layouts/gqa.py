"""GQA: one object of questions by their ids, each with its image's id, answer and types."""

from collections.abc import Iterator

from vlselect.tasks.layouts.question import Question, paths, read_json, text_of

METRIC = "gqa"
PROMPTS = {"en": "{question}\nAnswer the question using a single word or phrase."}
WHOLE = False


def entries(
    questions: str | list[str], image: str = "{image_id}.jpg"
) -> Iterator[tuple[str, tuple[dict, str]]]:
    """Go through the questions of one or more files.

    Parameters
    ----------
    questions : str or list of str
        Such as ``testdev_balanced_questions.json``.
    image : str
        Where an image lies; {image_id} stands for its id.

    Yields
    ------
    (name, (item, image))
    """
    for path in paths(questions):
        for name, item in read_json(path).items():
            yield name, (item, image)


def question(name: str, entry: tuple[dict, str]) -> Question:
    """Build one question, with the keys by which the metric groups and balances."""
    item, pattern = entry
    text, answer = text_of(item, "question"), text_of(item, "answer")
    image = pattern.replace("{image_id}", text_of(item, "imageId"))
    fields = {key: item[key] for key in ("types", "isBalanced") if key in item}
    return Question(name, text, (answer,), image, fields=fields)
