"""MME: a folder of subtasks, with two yes-or-no questions about each image.

A subtask is a folder ``<category>/`` with a text file per image (``<name>.txt``: two lines of
question and answer, separated by a tab), beside the image, or in ``questions_answers_YN/`` with the
images in ``images/``; or it is one table ``<category>.txt`` of image, question and answer.
"""

from collections.abc import Iterator
from pathlib import Path

from vlselect.pool.records import Rejection
from vlselect.tasks.layouts.question import Question, yes_or_no

METRIC = "mme"
PROMPTS = {"en": "{question}\nAnswer the question using a single word or phrase."}
WHOLE = True  # accuracy⁺ needs both questions of an image
SUFFIXES = (".jpg", ".png", ".jpeg")
REQUEST = "Please answer yes or no."  # ends every question; LLaVA-1.5 replaces it by its prompt


def entries(
    questions: str, image: str = "{category}/{image}"
) -> Iterator[tuple[str, tuple[str, str | None, list[str]]]]:
    """Yield name and (category, image, cells) of each question, by subtask and image.

    `questions` is the folder of subtasks, which paths of images beside text files are relative to;
    `image` is the path for tables. The name is ``<category>/<image>-<number>``; the image is None
    if it is missing.
    """
    root = Path(questions)
    for category in sorted(path for path in root.iterdir() if path.is_dir()):
        for path in sorted(category.rglob("*.txt")):
            found = _image_beside(path)
            shown = found.name if found else path.stem
            for number, line in enumerate(_lines(path), start=1):
                relative = found.relative_to(root).as_posix() if found else None
                yield f"{category.name}/{shown}-{number}", (category.name, relative, line)
    for table in sorted(root.glob("*.txt")):
        seen: dict[str, int] = {}
        for shown, *line in _lines(table):
            seen[shown] = number = seen.get(shown, 0) + 1
            place = image.replace("{category}", table.stem).replace("{image}", shown)
            yield f"{table.stem}/{shown}-{number}", (table.stem, place, line)


def question(name: str, entry: tuple[str, str | None, list[str]]) -> Question:
    """Build one question, without its own request for yes or no."""
    category, image, cells = entry
    if len(cells) < 2 or not cells[0].strip():
        raise Rejection("bad_record", "the line is not a question and an answer separated by a tab")
    if image is None:
        raise Rejection("bad_image", f"no image of this name with {', '.join(SUFFIXES)}")
    text = cells[0].strip().removesuffix(REQUEST).strip() or cells[0].strip()
    return Question(name, text, (yes_or_no(cells[1]),), image, fields={"category": category})


def _image_beside(path: Path) -> Path | None:
    """Return the image of a text file: beside it, or in ``images/`` beside its folder."""
    for folder in (path.parent, path.parent.parent / "images"):
        for suffix in SUFFIXES:
            if (image := folder / f"{path.stem}{suffix}").is_file():
                return image
    return None


def _lines(path: Path) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        if line.strip():
            yield line.split("\t")
