"""Soft accuracy of open answers against several annotators' answers, as in VQA and TextVQA.

Two published programs define it, and differ in when and how they normalise; A-OKVQA's is simpler.
`variant` selects one. VQA's own normalises nothing if all annotators gave the same answer: against
ten times "yes" it scores "Yes" 0. That is why LLaVA's programs and lmms-eval normalise predictions
before it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from vlselect.benchmarks.metrics.evaluation import Evaluation, Example, pairs, summarise
from vlselect.benchmarks.metrics.vqa_normalisation import normalise_textvqa, normalise_vqa
from vlselect.core.errors import InputError

VARIANTS = ("vqa", "official", "textvqa", "aokvqa")


def evaluate(
    predictions: Sequence[str], examples: Sequence[Example], *, variant: Literal[*VARIANTS] = "vqa"
) -> Evaluation:
    """Score each prediction by how many annotators agree with it.

    `answers` has one answer for each annotator (ten in the published data sets). Each annotator is
    left out in turn; the prediction gets min(agreeing others / 3, 1), and its score is the mean
    over the annotators. (A-OKVQA leaves none out.)

    Parameters
    ----------
    variant : {"vqa", "official", "textvqa", "aokvqa"}
        ``vqa`` (VQA v2, OK-VQA, VizWiz) normalises predictions and answers as VQA's program does,
        but always; ``official`` as that program, only if the annotators' answers are not all the
        same; ``textvqa`` always, as TextVQA's; ``aokvqa`` compares letter by letter. A-OKVQA's test
        set must not include questions marked as difficult to answer directly.

    References
    ----------
    Antol et al., VQA, ICCV 2015 (arXiv 1505.00468): accuracy = min(agreeing / 3, 1), and the
    evaluation code of visualqa.org for the leave-one-out form; Singh et al., TextVQA, CVPR 2019
    (arXiv 1904.08920); Schwenk et al., A-OKVQA, ECCV 2022 (arXiv 2206.01718), direct answers.
    """
    if variant not in VARIANTS:
        raise InputError(f"variant {variant!r} is not one of {VARIANTS}")
    matched = pairs(predictions, examples)
    for _, answers, example in matched:
        if variant != "aokvqa" and len(answers) < 2:
            raise InputError(
                f"test sample {example.get('sample_id')!r} has only one answer, so its score "
                "would always be 0; use exact_match"
            )
    scores = [_score(prediction, answers, variant) for prediction, answers, _ in matched]
    return summarise(scores, variant=variant)


def soft_score(prediction: str, answers: Sequence[str]) -> float:
    """Average min(agreeing others / 3, 1) over the annotators, each left out in turn.

    An annotator who agrees has one agreeing colleague fewer than one who does not.
    """
    agreeing, n = Counter(answers)[prediction], len(answers)
    if not agreeing:
        return 0.0
    credits = agreeing * min((agreeing - 1) / 3, 1) + (n - agreeing) * min(agreeing / 3, 1)
    return credits / n


def _score(prediction: str, answers: list[str], variant: str) -> float:
    if variant == "aokvqa":
        return min(answers.count(prediction) / 3, 1.0)
    return soft_score(*_prepare(prediction, answers, variant))


def _prepare(prediction: str, answers: list[str], variant: str) -> tuple[str, list[str]]:
    """Normalise both sides as the variant's program does."""
    if variant == "textvqa":
        return normalise_textvqa(prediction), [normalise_textvqa(answer) for answer in answers]
    if variant == "official":
        plain = [_one_line(answer) for answer in answers]
        if len(set(plain)) == 1:
            return _one_line(prediction), plain
    return normalise_vqa(prediction), [normalise_vqa(answer) for answer in answers]


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()
