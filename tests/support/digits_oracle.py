"""Answers to the digits demo's questions, found by looking at every digit of a scene."""

import re

from vlselect.digits.scenes import Scene

ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
COLOURS = "red|green|blue|yellow|purple"
SIGHTED = (
    (rf"which digit is ({COLOURS})\?", "value of colour"),
    (rf"what is the ({COLOURS}) digit\?", "value of colour"),
    (r"what colour is the (\d)\?", "colour of value"),
    (r"which colour does the (\d) have\?", "colour of value"),
    (rf"where is the ({COLOURS}) digit\?", "place of colour"),
    (r"where is the (\d)\?", "place of value"),
    (r"how many digits are there\?|count the digits\.", "count"),
    (rf"is there a ({COLOURS}) digit in the image\?", "presence"),
    (rf"does the image have a ({COLOURS}) digit\?", "presence"),
    (rf"which is larger, the ({COLOURS}) digit or the ({COLOURS}) digit\?", "larger"),
    (rf"is the ({COLOURS}) digit or the ({COLOURS}) digit larger\?", "larger"),
    (r"read the digits in order\.|which digits are there, in order\?", "reading"),
    (rf"describe the ({COLOURS}) digit\.", "lookup by colour"),
    (r"describe the (\d)\.", "lookup by value"),
    (r"describe the (\w+ \w+)\.", "lookup by place"),
)
BLIND = (
    (r"what is (\d) plus (\d)\?", lambda a, b: " ".join(str(a + b))),
    (r"what comes after (\d)\?", lambda a: str(a + 1)),
    (r"what comes before (\d)\?", lambda a: str(a - 1)),
    (r"which is larger, (\d) or (\d)\?", lambda a, b: str(max(a, b))),
)


def right_answer(scene: Scene | None, question: str) -> str:
    """Work out an answer from the wording of the question; unknown wordings are errors."""
    for pattern, kind in SIGHTED if scene is not None else ():
        if match := re.fullmatch(pattern, question):
            return _look(grid(scene), kind, match.groups())
    for pattern, compute in BLIND if scene is None else ():
        if match := re.fullmatch(pattern, question):
            return compute(*map(int, match.groups()))
    raise ValueError(f"no way to answer {question!r}")


def grid(scene: Scene) -> dict[str, tuple[int, str]]:
    """Return (value, colour) of every digit by the name of its place, in reading order."""
    found = {}
    for cell in range(9):
        for digit in scene.digits:
            if digit.cell == cell:
                found[f"{ROWS[cell // 3]} {COLUMNS[cell % 3]}"] = (digit.value, digit.colour)
    return found


def _look(places, kind, named):
    by_colour = {colour: (value, place) for place, (value, colour) in places.items()}
    by_value = {str(value): (colour, place) for place, (value, colour) in places.items()}
    if kind == "value of colour":
        return str(by_colour[named[0]][0])
    if kind == "colour of value":
        return by_value[named[0]][0]
    if kind in ("place of colour", "place of value"):
        return (by_colour if kind == "place of colour" else by_value)[named[0]][1]
    if kind == "count":
        return str(len(places))
    if kind == "presence":
        return "yes" if named[0] in by_colour else "no"
    if kind == "larger":
        return max(named, key=lambda colour: by_colour[colour][0])
    if kind == "reading":
        return " ".join(str(value) for value, _ in places.values())
    known = {"lookup by colour": by_colour, "lookup by value": by_value, "lookup by place": places}
    if named[0] not in known[kind]:
        return "nothing."
    first, second = known[kind][named[0]]
    if kind == "lookup by place":
        return f"{second} {first}."
    return f"{first} at the {second}."


def captioned(caption: str) -> set[tuple[str, str, str]]:
    """Read the (value, colour, place) of every digit from a caption."""
    told = set()
    for sentence in caption.strip(".").split(". "):
        value = re.search(r"\d", sentence)[0]
        colour = re.search(COLOURS, sentence)[0]
        place = re.search(r"at the (\w+ \w+)", sentence)[1]
        told.add((value, colour, place))
    return told
