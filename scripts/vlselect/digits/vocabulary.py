"""Vocabulary of the digits demo: words of its scenes, questions, captions and answers.

Standard library only, so that the workflow can read the names of the tasks.
"""

COLOURS = ("red", "green", "blue", "yellow", "purple")
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "centre", "right")
POSITIONS = tuple(f"{row} {column}" for row in ROWS for column in COLUMNS)
TASKS = ("recognition", "colour", "position", "counting", "presence", "comparison", "reading")
EXTRAS = ("captioning", "arithmetic")  # in the mixture, but without a benchmark

_PHRASES = (
    "what is the digit ? which does have where how many are there count digits . "
    "a in image yes no or larger , read order "
    "describe at nothing plus comes after before"
)
WORDS = tuple(sorted({*_PHRASES.split(), *COLOURS, *ROWS, *COLUMNS, "colour", *"0123456789"}))
