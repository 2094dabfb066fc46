"""The demo's pool and benchmarks: examples, some with wrong answers, and near-duplicates."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from vlselect.digits.questions import QUESTIONS, Example
from vlselect.digits.scenes import Composer
from vlselect.digits.vocabulary import COLOURS, POSITIONS, TASKS

REPEATED = 0.25  # share of the examples that may have near-duplicates


@dataclass(frozen=True)
class Sample:
    """An example with its id; `noisy`: its answer is wrong, `duplicate`: a near-duplicate."""

    sample_id: str
    example: Example
    noisy: bool = False
    duplicate: bool = False


def draw_mixture(
    sizes: Mapping[str, int], *, noise: float, duplicates: float, seed: int
) -> list[Sample]:
    """Draw the instruction data of a pool from the digits of the train split, in random order.

    Parameters
    ----------
    sizes : mapping of str to int
        Samples of each task, and of captioning and arithmetic.
    noise : float
        Share of the tasks' examples with a wrong answer; near-duplicates repeat it.
    duplicates : float
        Share of the samples with an image that repeat scene, question and answer of another one
        of their task, with new pixel noise.
    seed : int
        Of the split and the draw. A task's samples do not depend on the other tasks' sizes.
    """
    unknown = sorted(set(sizes) - set(QUESTIONS))
    if unknown:
        raise ValueError(f"the mixture names unknown tasks {unknown}; there are {list(QUESTIONS)}")
    composer = Composer("train", seed)
    samples = []
    for task, size in sizes.items():
        rng = Random(f"mixture {task} {seed}")
        copies = 0 if task == "arithmetic" else round(duplicates * size)
        examples = [QUESTIONS[task](rng, composer) for _ in range(size - copies)]
        samples += _with_flaws(rng, examples, copies, noise if task in TASKS else 0.0)
    Random(f"order {seed}").shuffle(samples)
    return samples


def draw_benchmark(task: str, split: str, size: int, seed: int) -> list[Sample]:
    """Draw questions of one task about digits of one split, with right answers."""
    rng, composer = Random(f"{split} {task} {seed}"), Composer(split, seed)
    examples = [QUESTIONS[task](rng, composer) for _ in range(size)]
    return [Sample(f"{split}-{task}-{i:04d}", e) for i, e in enumerate(examples)]


def _with_flaws(rng: Random, examples: list[Example], copies: int, noise: float) -> list[Sample]:
    """Make some answers wrong, then add near-duplicates of some samples."""
    wrong = set(rng.sample(range(len(examples)), round(noise * len(examples))))
    samples = [
        Sample(
            f"{example.task}-{i:05d}",
            wrong_answer(rng, example) if i in wrong else example,
            noisy=i in wrong,
        )
        for i, example in enumerate(examples)
    ]
    repeated = samples[: max(1, round(REPEATED * len(samples)))]
    for i in range(len(samples), len(samples) + copies):
        first = rng.choice(repeated)
        example = replace(first.example, scene=first.example.scene.noised_again(rng))
        name = f"{example.task}-{i:05d}"
        samples.append(Sample(name, example, noisy=first.noisy, duplicate=True))
    return samples


def wrong_answer(rng: Random, example: Example) -> Example:
    """Replace the answer to a task's question with a plausible wrong one."""
    if example.task == "reading":
        return replace(example, answer=_misread(rng, example.answer))
    choices = {
        "recognition": list("0123456789"),
        "colour": COLOURS,
        "position": POSITIONS,
        "counting": list("1234"),
        "presence": ["yes", "no"],
        "comparison": COLOURS,
    }[example.task]
    answer = rng.choice([choice for choice in choices if choice != example.answer])
    return replace(example, answer=answer)


def _misread(rng: Random, answer: str) -> str:
    misread = answer
    while misread == answer:
        misread = " ".join(rng.choices("0123456789", k=len(answer.split())))
    return misread
