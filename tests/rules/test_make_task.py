"""make_task on small benchmarks in their own formats, through prepare_task to their metric."""

import json
from collections import Counter

import make_task
import pandas as pd
import prepare_task
import pytest
from benchmark_files import BENCHMARKS, COLOURS
from usual_flags import usual

from vlselect.benchmarks.predictions import read_examples
from vlselect.config.task_builds import parameters
from vlselect.core import registry
from vlselect.pool.samples import Samples

SPLITS = ("validation", "test")
# Expected of each benchmark: reasons of rejection; built questions
REJECTED = {
    "vqa": {"no_annotation": 1},
    "textvqa": {},
    "vizwiz": {},
    "gqa": {"bad_record": 1},
    "science_qa": {"no_question": 1},
    "pope": {"bad_record": 2},
    "mme": {"bad_image": 2},
    "mmbench": {"no_answer": 3},
    "mmbench_cn": {"no_answer": 3},
}
BUILT = {"vqa": 12, "textvqa": 6, "vizwiz": 6, "gqa": 12, "science_qa": 12, "pope": 24, "mme": 36}
BUILT["mmbench"] = BUILT["mmbench_cn"] = 3 * 3 + 3 * 4


class Built:
    """Outputs of one run of make_task."""

    def __init__(self, folder):
        self.folder = folder
        self.summary = json.loads((folder / "summary.json").read_text())
        self.rejected = pd.read_csv(folder / "rejected.csv", keep_default_na=False)
        self.records = {s: json.loads((folder / f"{s}.json").read_text()) for s in SPLITS}

    def ids(self, split):
        return [record["id"] for record in self.records[split]]

    def images(self, split):
        return {record["image"] for record in self.records[split] if "image" in record}


def run(build, out, *, validation="0.34", test="all", seed=0, **options):
    flags = ["--layout", build["layout"], "--parameters", json.dumps(parameters(build))]
    flags += ["--validation", validation, "--test", test, "--seed", str(seed)]
    flags += ["--language", build.get("language", "en")]
    for key, value in options.items():
        flags += [f"--{key}", str(value)]
    for name in (*SPLITS, "rejected", "summary", "images"):
        suffix = {"rejected": ".csv", "images": ""}.get(name, ".json")
        flag = f"out-{name}" if name in SPLITS else name
        flags += [f"--{flag}", str(out / f"{name}{suffix}")]
    make_task.main(flags)
    return Built(out)


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    return {name: write(folder / name) for name, write in BENCHMARKS.items()}


@pytest.fixture(scope="module", params=BENCHMARKS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def built(name, builds, tmp_path_factory):
    """Build a benchmark with about a third of its images for validation."""
    return run(builds[name], tmp_path_factory.mktemp(name))


def test_everything_is_built_or_rejected_with_a_reason(name, built):
    assert built.summary["rejected"] == REJECTED[name]
    assert Counter(built.rejected["reason"]) == Counter(REJECTED[name])
    assert built.summary["built"] == BUILT[name]
    assert [built.summary[split] for split in SPLITS] == [len(built.records[s]) for s in SPLITS]
    assert all(built.records.values())


def test_no_image_and_no_question_is_in_both_splits(built):
    assert not built.images("validation") & built.images("test")
    assert not set(built.ids("validation")) & set(built.ids("test"))


def test_validation_records_end_with_the_most_frequent_answer_and_test_records_with_the_question(
    built,
):
    for record in built.records["validation"]:
        (most, _), *_ = Counter(record["answers"]).most_common(1)
        assert record["conversations"][-1] == {"from": "gpt", "value": most}
    for record in built.records["test"]:
        assert [turn["from"] for turn in record["conversations"]] == ["human"]


def test_images_that_a_killed_job_left_are_written_again(builds, tmp_path):
    whole = run(builds["mmbench"], tmp_path / "one").folder / "images"
    left = tmp_path / "two/images"
    left.mkdir(parents=True)
    for path in whole.iterdir():
        (left / path.name).write_bytes(path.read_bytes()[:50])
    again = run(builds["mmbench"], tmp_path / "two").folder / "images"
    assert list(whole.iterdir())
    for path in whole.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def prepared(built, images, out):
    flags = ["--task", "built", "--images", str(images), "--rejected", str(out / "r.csv")]
    for split in SPLITS:
        flags += [f"--{split}", str(built.folder / f"{split}.json")]
        flags += [f"--out-{split}", str(out / f"{split}.parquet")]
    prepare_task.main([*usual(prepare_task), *flags, "--source-key"])
    assert pd.read_csv(out / "r.csv").empty
    return out / "validation.parquet", out / "test.parquet"


def test_prepared_and_scored(name, builds, built, tmp_path):
    images = builds[name].get("images", built.folder / "images")
    validation, test = prepared(built, images, tmp_path)
    assert len(Samples(validation)) == len(built.records["validation"])
    examples = read_examples(test).to_dict("records")
    metric = registry.load("layout", builds[name]["layout"]).METRIC
    evaluate = registry.load("metric", metric).evaluate
    options = {"total": "both"} if name == "mme" else {}
    options |= {"variant": "textvqa"} if name == "textvqa" else {}
    right = [Counter(example["answers"]).most_common(1)[0][0] for example in examples]
    flipped = {"yes": "no", "no": "yes"} if name in ("pope", "mme") else {}
    wrong = [flipped.get(answer, "a zebra") for answer in right]
    best, worst = (evaluate(given, examples, **options) for given in (right, wrong))
    assert best.summary["score"] == pytest.approx({"mme": 600.0}.get(name, 100.0))  # MME: points
    assert worst.summary["score"] == 0


def test_the_same_draw_whatever_the_rest(name, builds, built, tmp_path):
    again = run(builds[name], tmp_path / "again")
    assert again.records == built.records
    others = [run(builds[name], tmp_path / f"{seed}", seed=seed) for seed in (1, 2, 3)]
    assert any(set(other.ids("validation")) != set(built.ids("validation")) for other in others)


def test_a_limit_leaves_whole_questions(name, builds, tmp_path):
    trial = run(builds[name], tmp_path, limit=5, validation="1")
    full = {"mme": {4}, "mmbench": {3, 4}, "mmbench_cn": {3, 4}, "science_qa": {2 * 5}}
    assert trial.summary["built"] in full.get(name, {5})


def test_validation_of_a_fixed_size_is_a_part_of_a_larger_one(builds, tmp_path):
    small, large = (
        set(run(builds["gqa"], tmp_path / n, validation=n).ids("validation")) for n in ("3", "6")
    )
    assert len(small) == 3 and small < large and len(large) == 6


def test_questions_and_prompts(builds, tmp_path):
    vqa = run(builds["vqa"], tmp_path / "vqa", validation="0")
    assert vqa.records["test"][0] == {
        "id": "100000",
        "image": "COCO_val2014_000000000100.jpg",
        "conversations": [
            {
                "from": "human",
                "value": "<image>\nWhat color is it?\n"
                "Answer the question using a single word or phrase.",
            }
        ],
        "answers": ["red"] * 7 + ["grey"] * 3,
        "question_type": "what color is the",
        "answer_type": "other",
    }
    science = run(builds["science_qa"], tmp_path / "sqa", validation="0", prompt="{question}\nWhy?")
    shown = {
        record["id"]: record["conversations"][0]["value"] for record in science.records["test"]
    }
    context = "<image>\nContext: Look at the picture.\n"
    question = "Which of these is it?\nA. red\nB. black\nC. white\nWhy?"
    assert shown["7"] == context + question
    assert shown["8"] == "Which of these is it?\nA. black\nB. white\nC. green\nWhy?"
    mme = run(builds["mme"], tmp_path / "mme", validation="0")
    assert {r["category"] for r in mme.records["test"]} == {
        *("existence", "posters", "code_reasoning")
    }
    text = mme.records["test"][0]["conversations"][0]["value"]
    assert text.startswith("<image>\nIs this a ") and "yes or no" not in text
    pope = run(builds["pope"], tmp_path / "pope", validation="0")
    assert pope.ids("test")[:2] == ["random-1", "random-2"]
    assert "adversarial-1" in pope.ids("test")


def test_mmbench_is_asked_in_its_language(builds, tmp_path):
    """LLaVA's program asks this in both languages, in the last line of a question."""
    asked = {
        "mmbench": "Answer with the option's letter from the given choices directly.",
        "mmbench_cn": "请直接回答选项字母。",
    }
    for name, prompt in asked.items():
        built = run(builds[name], tmp_path / name)
        assert all(built.records.values())
        for record in built.records["test"] + built.records["validation"]:
            assert record["conversations"][0]["value"].splitlines()[-1] == prompt
    built = run(builds["mmbench_cn"], tmp_path / "all", validation="0")
    shown = {r["index"]: r["conversations"][0]["value"] for r in built.records["test"]}
    question = "它是单色的。\n它是什么颜色？\nA. black\nB. white\nC. red\n"
    assert shown[1000241] == f"<image>\n{question}请直接回答选项字母。"
    own = run(builds["mmbench_cn"], tmp_path / "own", prompt="{question}\n?")
    assert own.records["test"][0]["conversations"][0]["value"].endswith("\n?")


def test_mmbench_has_every_shift_once(builds, tmp_path):
    built = run(builds["mmbench"], tmp_path, validation="0")
    records = {record["index"]: record for record in built.records["test"]}
    assert len(records) == BUILT["mmbench"] and len(built.images("test")) == len(COLOURS)
    first = [records[241 + shift * 10**6] for shift in range(3)]
    assert [r["choices"] for r in first] == [
        *(["red", "black", "white"], ["black", "white", "red"], ["white", "red", "black"])
    ]
    assert [r["answers"] for r in first] == [["A"], ["C"], ["B"]]
    for record in records.values():
        colour = COLOURS[record["index"] % 10**6 - 241]
        assert record["choices"]["ABCD".index(record["answers"][0])] == colour
    plain = run({**builds["mmbench"], "circular": False}, tmp_path / "plain", validation="0")
    assert len(plain.records["test"]) == 5 + 4  # the file has the second question's shifts already


def test_a_validation_question_on_a_test_image_is_rejected(builds, tmp_path):
    files = dict.fromkeys(SPLITS, builds["gqa"]["questions"])  # the same file for both
    built = run({**builds["gqa"], "questions": files}, tmp_path, validation="2", test="4")
    assert len(built.ids("validation")) == 2 and len(built.ids("test")) == 4
    assert not built.images("validation") & built.images("test")
    assert built.summary["rejected"] == {"bad_record": 2, "image_in_test": 4}
    reasons = built.rejected[built.rejected["reason"] == "image_in_test"]
    assert set(reasons["split"]) == {"validation"}


def test_more_than_there_are_is_an_error(builds, tmp_path):
    with pytest.raises(ValueError, match="validation: 500 questions wanted, but there are 12"):
        run(builds["gqa"], tmp_path, validation="500")


def test_a_file_of_another_form_is_named(builds, tmp_path):
    with pytest.raises(ValueError, match="problems.json has neither a list 'questions' nor"):
        run({"layout": "vqa", "questions": builds["science_qa"]["questions"]}, tmp_path)
