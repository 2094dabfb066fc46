"""Units of every metric, and their part in the score, against dropping each in turn."""

import numpy as np
import pytest

from vlselect.benchmarks.metrics import gqa, judge, mmbench, mme, pope, science_qa, vqa_accuracy
from vlselect.benchmarks.metrics.evaluation import Evaluation, summarise
from vlselect.benchmarks.metrics.units import unit_scores
from vlselect.core import registry

rng = np.random.default_rng(0)


def draw(options, n):
    return [str(word) for word in rng.choice(options, n)]


def yes_or_no(n, categories, per_image):
    """Return predictions and samples with several questions per image."""
    return draw(["yes", "no"], n), [
        {
            "sample_id": str(i),
            "answers": [str(rng.choice(["yes", "no"]))],
            "images": [f"{(i // per_image) % (n // len(categories) // per_image)}.png"],
            "record": {"category": categories[i * len(categories) // n]},
        }
        for i in range(n)
    ]


def mme_samples():
    predictions, samples = yes_or_no(240, ["OCR", "count", "code_reasoning"], 2)
    for i, sample in enumerate(samples):
        sample["images"] = [f"{i // 2}.png"]
    return predictions, samples


def mmbench_samples():
    samples = [
        {
            "sample_id": f"{q}-{shift}",
            "answers": ["AB"[shift]],
            "choices": ["x", "y"][:: 1 - 2 * shift],
            "images": [f"{q}-{shift}.png"],
            "record": {"index": q + shift * 10**6},
        }
        for q in range(150)
        for shift in range(2)
    ]
    return draw(["x", "x", "y"], 300), samples


def gqa_samples():
    return draw(["cat", "dog"], 400), [
        {"answers": ["cat"], "images": [f"{i // 4}.png"], "record": {"isBalanced": i % 3 > 0}}
        for i in range(400)
    ]


def science_samples():
    return draw(["A", "B"], 300), [
        {"answers": ["A"], "choices": ["x", "y"], "images": [f"{i}.png"] if i % 2 else []}
        for i in range(300)
    ]


def vqa_samples():
    return draw(["cat", "dog"], 200), [
        {"answers": draw(["cat", "dog"], 10), "images": []} for _ in range(200)
    ]


def verdicts(columns):
    """Return samples, and a judge whose verdicts are written in the predictions."""
    grades = rng.uniform(0.2, 1.0, (120, columns)) * (10 if columns == 2 else 1)
    return [" ".join(map(str, row)) for row in grades], [
        {"images": [f"{i // 3}.png"]} for i in range(120)
    ]


def read_verdicts(predictions, examples):
    grades = np.array([[float(word) for word in text.split()] for text in predictions])
    return judge._summarise(grades, [[] for _ in examples], {"n": len(examples)})


CASES = {  # metric: predictions and samples, number of units, evaluate
    "pope": (*yes_or_no(360, ["random", "popular", "adversarial"], 2), 60, pope.evaluate),
    "mme": (*mme_samples(), 80, mme.evaluate),
    "mme, both": (*mme_samples(), 120, lambda p, e: mme.evaluate(p, e, total="both")),
    "mmbench": (*mmbench_samples(), 150, mmbench.evaluate),
    "gqa": (*gqa_samples(), 100, gqa.evaluate),
    "science_qa": (*science_samples(), 300, science_qa.evaluate),
    "science_qa, image": (
        *(*science_samples(), 150),
        lambda p, e: science_qa.evaluate(p, e, subset="image"),
    ),
    "vqa_accuracy": (*vqa_samples(), 200, vqa_accuracy.evaluate),
    "judge, relative": (*verdicts(2), 40, read_verdicts),
    "judge, grades": (*verdicts(1), 40, read_verdicts),
}


@pytest.mark.parametrize("case", CASES)
def test_units_add_up_to_the_score_and_vary_as_when_each_is_dropped(case):
    predictions, samples, n_units, evaluate = CASES[case]
    evaluation = evaluate(predictions, samples)
    units, values = unit_scores(evaluation, samples)
    score, inside = evaluation.summary["score"], units >= 0
    assert set(units[inside].tolist()) == set(range(n_units))
    assert np.isnan(values[~inside]).all()
    first = np.array([values[units == u][0] for u in range(n_units)])
    np.testing.assert_array_equal(first[units[inside]], values[inside])
    assert first.mean() == pytest.approx(score)
    dropped = []
    for unit in range(n_units):
        kept = np.flatnonzero(units != unit)
        part = evaluate([predictions[i] for i in kept], [samples[i] for i in kept])
        dropped.append(n_units * score - (n_units - 1) * part.summary["score"])
    assert np.corrcoef(first, dropped)[0, 1] > 0.999
    assert first.var() == pytest.approx(np.var(dropped), rel=0.08)


def test_of_an_accuracy_the_units_are_the_samples():
    evaluation = summarise([1.0, 0.0, 0.5, 1.0])
    units, values = unit_scores(evaluation, [{}, {"images": []}, {"images": None}, {}])
    assert units.tolist() == [0, 1, 2, 3] and values.tolist() == [100.0, 0.0, 50.0, 100.0]


def test_questions_about_one_image_are_one_unit():
    evaluation = summarise([1.0, 0.0, 1.0, 1.0])
    images = [["a.png"], ["b.png"], ["a.png"], ["a.png", "b.png"]]
    units, values = unit_scores(evaluation, [{"images": own} for own in images])
    assert units.tolist() == [0, 1, 0, 2]
    assert values.tolist() == pytest.approx([112.5, 18.75, 112.5, 93.75])  # 75 + 3 · Σ 25 (s − ¾)


def test_a_score_that_is_not_what_its_parts_add_up_to_has_no_units():
    assert unit_scores(Evaluation(np.array([1.0, 0.0]), {"score": 51.0, "n": 2}), [{}, {}]) is None


def test_every_metric_is_tested_here_or_is_a_mean_over_its_samples():
    tested = {case.split(",")[0] for case in CASES}
    means = {"anls", "exact_match", "multiple_choice", "relaxed_accuracy"}
    assert tested | means == set(registry.names("metric"))
