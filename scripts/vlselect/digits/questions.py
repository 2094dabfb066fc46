"""Questions about scenes and their answers: seven tasks, captions, lookups and text-only sums.

Every function here takes a random generator and a composer of scenes, and returns one `Example`.
The seven tasks are those of the benchmarks; captions and arithmetic are only in the mixture, and
lookups ("describe the red digit.") only in the pretraining.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from vlselect.digits.scenes import CELLS, Composer, Digit, Scene
from vlselect.digits.vocabulary import COLOURS, POSITIONS

ABSENT = 0.2  # share of lookups of an absent digit


@dataclass(frozen=True)
class Example:
    """A question with its answer, about a scene, or text only where `scene` is None."""

    task: str
    scene: Scene | None
    question: str
    answer: str


Question = Callable[[Random, Composer], Example]


def recognition(rng: Random, composer: Composer) -> Example:
    """Ask which digit has a colour."""
    scene = composer.compose(rng)
    digit = rng.choice(scene.digits)
    question = rng.choice([f"which digit is {digit.colour}?", f"what is the {digit.colour} digit?"])
    return Example("recognition", scene, question, str(digit.value))


def colour(rng: Random, composer: Composer) -> Example:
    """Ask for the colour of a digit."""
    scene = composer.compose(rng)
    digit = rng.choice(scene.digits)
    question = rng.choice(
        [f"what colour is the {digit.value}?", f"which colour does the {digit.value} have?"]
    )
    return Example("colour", scene, question, digit.colour)


def position(rng: Random, composer: Composer) -> Example:
    """Ask which of the nine cells a digit is in, naming its colour or its value."""
    scene = composer.compose(rng)
    digit = rng.choice(scene.digits)
    name = rng.choice([f"{digit.colour} digit", str(digit.value)])
    return Example("position", scene, f"where is the {name}?", POSITIONS[digit.cell])


def counting(rng: Random, composer: Composer) -> Example:
    """Ask for the number of digits."""
    scene = composer.compose(rng, rng.randint(1, 4))
    question = rng.choice(["how many digits are there?", "count the digits."])
    return Example("counting", scene, question, str(len(scene.digits)))


def presence(rng: Random, composer: Composer) -> Example:
    """Ask whether there is a digit of a colour; yes and no are equally likely."""
    scene = composer.compose(rng, rng.randint(2, 4))
    there = {digit.colour for digit in scene.digits}
    answer = rng.choice(["yes", "no"])
    name = rng.choice([c for c in COLOURS if (c in there) == (answer == "yes")])
    question = rng.choice(
        [f"is there a {name} digit in the image?", f"does the image have a {name} digit?"]
    )
    return Example("presence", scene, question, answer)


def comparison(rng: Random, composer: Composer) -> Example:
    """Ask for the colour of the larger of two digits."""
    scene = composer.compose(rng, 2)
    one, other = rng.sample(scene.digits, 2)
    question = rng.choice(
        [
            f"which is larger, the {one.colour} digit or the {other.colour} digit?",
            f"is the {one.colour} digit or the {other.colour} digit larger?",
        ]
    )
    return Example("comparison", scene, question, max(one, other, key=_value).colour)


def reading(rng: Random, composer: Composer) -> Example:
    """Ask for all digits, row by row."""
    scene = composer.compose(rng, rng.randint(2, 4))
    question = rng.choice(["read the digits in order.", "which digits are there, in order?"])
    return Example("reading", scene, question, " ".join(str(d.value) for d in scene.digits))


def captioning(rng: Random, composer: Composer) -> Example:
    """Ask for a description of the whole image."""
    scene = composer.compose(rng)
    return Example("captioning", scene, "describe the image.", describe(rng, scene))


def arithmetic(rng: Random, composer: Composer) -> Example:
    """Ask for a sum, a successor, a predecessor or the larger of two numbers; text only."""
    first, second = rng.sample(range(10), 2)
    low, high = sorted([first, second])
    question, answer = rng.choice(
        [
            (f"what is {first} plus {second}?", " ".join(str(first + second))),
            (f"what comes after {low}?", str(low + 1)),
            (f"what comes before {high}?", str(high - 1)),
            (f"which is larger, {first} or {second}?", str(high)),
        ]
    )
    return Example("arithmetic", None, question, answer)


def lookup(rng: Random, composer: Composer) -> Example:
    """Ask for two attributes of a digit, naming the third; some lookups name an absent digit.

    The example's task is ``lookup_colour``, ``lookup_value`` or ``lookup_position``, after the
    attribute in the question, or ``lookup_absent``.
    """
    scene = composer.compose(rng)
    kind = rng.choice(["colour", "value", "position"])
    if rng.random() < ABSENT:
        question = f"describe the {_absent(rng, scene, kind)}."
        return Example("lookup_absent", scene, question, "nothing.")
    digit = rng.choice(scene.digits)
    place = POSITIONS[digit.cell]
    name, answer = {
        "colour": (f"{digit.colour} digit", f"{digit.value} at the {place}."),
        "value": (str(digit.value), f"{digit.colour} at the {place}."),
        "position": (place, f"{digit.colour} {digit.value}."),
    }[kind]
    return Example(f"lookup_{kind}", scene, f"describe the {name}.", answer)


def describe(rng: Random, scene: Scene) -> str:
    """Caption a scene: its digits in reading or random order, each in one of three phrasings."""
    shuffled = rng.random() < 0.5
    digits = rng.sample(scene.digits, len(scene.digits)) if shuffled else scene.digits
    return " ".join(f"{_phrase(rng, digit)}." for digit in digits)


def _phrase(rng: Random, digit: Digit) -> str:
    place = POSITIONS[digit.cell]
    return rng.choice(
        [
            f"a {digit.colour} {digit.value} at the {place}",
            f"the {digit.value} is {digit.colour} at the {place}",
            f"at the {place} a {digit.colour} {digit.value}",
        ]
    )


def _absent(rng: Random, scene: Scene, kind: str) -> str:
    """Name a colour, a value or a position that no digit of the scene has."""
    if kind == "colour":
        there = {digit.colour for digit in scene.digits}
        return rng.choice([c for c in COLOURS if c not in there]) + " digit"
    if kind == "value":
        there = {digit.value for digit in scene.digits}
        return str(rng.choice([v for v in range(10) if v not in there]))
    there = {digit.cell for digit in scene.digits}
    return POSITIONS[rng.choice([c for c in range(CELLS) if c not in there])]


def _value(digit: Digit) -> int:
    return digit.value


QUESTIONS: dict[str, Question] = {
    question.__name__: question
    for question in (
        *(recognition, colour, position, counting, presence, comparison, reading),
        *(captioning, arithmetic),
    )
}
