import json
import logging
import re

import pytest
from chat_server import serve

from vlselect.benchmarks.judging.chat_client import ChatError
from vlselect.benchmarks.metrics.judge import evaluate

KEY = "sk-very-secret"


def sample(name, reference="a red ball", **record):
    return {
        "sample_id": name,
        "question": f"What does {name} show?",
        "answers": [reference],
        "record": record,
    }


def judge(server, tmp_path, predictions, examples, **options):
    options = {"protocol": "graded", "wait": 0, "cache": str(tmp_path / "verdicts"), **options}
    return evaluate(predictions, examples, base_url=server.base_url, model="judge", **options)


def prompt_of(body):
    return body["messages"][1]["content"]


def by_words(verdicts):
    """Reply with the verdict whose key word is in the prompt."""
    return lambda body, n: next(v for word, v in verdicts.items() if word in prompt_of(body))


def test_grades_are_averaged_and_grouped_by_capability(tmp_path):
    examples = [
        sample("s0", capability=["ocr", "math"]),
        sample("s1", capability=["ocr"]),
        sample("s2", capability=["know"]),
    ]
    with serve(by_words({"lime": "1.0", "plum": "0.5", "pear": "0.0"})) as server:
        evaluation = judge(server, tmp_path, ["lime", "plum", "pear"], examples)
    assert evaluation.scores.tolist() == [1, 0.5, 0]
    assert evaluation.summary == {
        "score": 50,
        "n": 3,
        "judge": "judge",
        "protocol": "graded",
        "categories": {"know": 0, "math": 100, "ocr": 75},
    }
    for request, example in zip(server.requests, examples, strict=True):
        assert example["question"] in prompt_of(request["body"])
        assert "a red ball" in prompt_of(request["body"])
        assert request["body"]["temperature"] == 0
        assert request["body"]["max_tokens"] == 1024


def test_scores_are_relative_to_the_reference(tmp_path):
    examples = [
        sample("s0", category="conv", context="A ball on a lawn."),
        sample("s1", category="conv", context=["A ball.", "A lawn."]),
        sample("s2", category="detail", context=""),
    ]
    replies = {"lime": "9 8", "plum": "8 2\nThe second …", "pear": "8, 5"}
    with serve(by_words(replies)) as server:
        evaluation = judge(
            server, tmp_path, ["lime", "plum", "pear"], examples, protocol="relative"
        )
    assert evaluation.scores.tolist() == pytest.approx([0.8, 0.2, 0.5])
    summary = evaluation.summary
    assert summary["score"] == pytest.approx(100 * 15 / 25)
    assert summary["reference"] == pytest.approx(10 * 25 / 3)
    assert summary["prediction"] == pytest.approx(50)
    assert summary["categories"] == pytest.approx({"conv": 100 * 10 / 17, "detail": 100 * 5 / 8})
    assert "A ball.\nA lawn." in prompt_of(server.requests[1]["body"])


def test_a_second_run_makes_no_request(tmp_path):
    examples = [sample(f"s{i}") for i in range(4)]
    predictions = ["a", "b", "ü ☃", ""]
    with serve(lambda body, n: "0.5") as server:
        first = judge(server, tmp_path, predictions, examples)
        assert len(server.requests) == 4
        second = judge(server, tmp_path, predictions, examples)
        assert len(server.requests) == 4
        assert second.summary == first.summary
        judge(server, tmp_path, [*predictions[:3], "new"], examples)
        assert len(server.requests) == 5
    assert len(list((tmp_path / "verdicts").iterdir())) == 5


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    def reply(body, n):
        return (400, {}, "quota") if n == 2 else "0.5"

    examples = [sample(f"s{i}") for i in range(4)]
    with serve(reply) as server:
        with pytest.raises(ChatError, match="'s2': .*status 400: quota"):
            judge(server, tmp_path, ["x"] * 4, examples)
        judge(server, tmp_path, ["x"] * 4, examples)
    assert len(server.requests) == 3 + 2


def test_requests_under_way_at_once_do_not_change_the_result(tmp_path):
    examples = [sample(f"s{i}") for i in range(12)]
    predictions = [f"<{i}>" for i in range(12)]

    def reply(body, n):
        return f"0.{int(re.search('<([0-9]+)>', prompt_of(body))[1]) % 10}"

    with serve(reply) as server:
        many = judge(server, tmp_path / "many", predictions, examples, workers=4)
        one = judge(server, tmp_path / "one", predictions, examples)
    assert many.scores.tolist() == one.scores.tolist() == [i % 10 / 10 for i in range(12)]


def test_failures_that_pass_are_tried_again(tmp_path):
    with serve(lambda body, n: (429, {}, "") if n < 2 else "1") as server:
        assert judge(server, tmp_path, ["x"], [sample("s0")]).summary["score"] == 100
    assert len(server.requests) == 3


def test_a_judge_that_rambles_is_reminded(tmp_path):
    def reply(body, n):
        return "0.7" if len(body["messages"]) == 4 else "It is mostly right."

    with serve(reply) as server:
        for _ in range(2):
            assert judge(server, tmp_path, ["x"], [sample("s0")]).scores.tolist() == [0.7]
    roles = [message["role"] for message in server.requests[1]["body"]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert len(server.requests) == 3  # the rambling answer was not cached, the verdict was


def test_a_verdict_that_cannot_be_read_names_the_sample(tmp_path):
    def reply(body, n):
        return "0.5" if "s0" in prompt_of(body) else "no idea"

    with serve(reply) as server, pytest.raises(ChatError, match="'s1'.*cannot be read.*no idea"):
        judge(server, tmp_path, ["x", "y"], [sample("s0"), sample("s1")])
    assert len(server.requests) == 1 + 3


def test_the_prompt_and_the_request_can_be_changed(tmp_path):
    with serve(lambda body, n: "1") as server:
        judge(
            *(server, tmp_path, ["x {reference}"], [sample("s0")]),
            prompt="{question}|{reference}|{answer}",
            request={"max_completion_tokens": 4},
        )
    body = server.requests[0]["body"]
    assert prompt_of(body) == "What does s0 show?|a red ball|x {reference}"
    assert (body.get("max_tokens"), body["max_completion_tokens"]) == (None, 4)


def test_the_key_comes_from_the_environment_and_stays_out_of_logs_and_files(
    tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with serve(lambda body, n: (500, {}, f"key {KEY}") if n < 1 else "1") as server:
        judge(server, tmp_path, ["x"], [sample("s0")], api_key_env="JUDGE_KEY")
    assert server.requests[0]["headers"]["Authorization"] == f"Bearer {KEY}"
    kept = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert KEY not in caplog.text + json.dumps(kept)
    assert "1 verdicts of judge, 1 requests" in caplog.text


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"protocol": "pairs"}, "protocol 'pairs'"),
        ({"base_url": "file:///etc/passwd"}, "base_url"),
        ({"base_url": "http://"}, "base_url"),
        ({"api_key_env": "NO_SUCH_KEY_HERE"}, "'NO_SUCH_KEY_HERE'"),
        ({"request": {"temperature": 1}}, "may not set temperature"),
        ({"timeout": 0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"workers": 0}, "workers"),
    ],
)
def test_wrong_options_are_refused(options, complaint, tmp_path):
    given = {"protocol": "graded", "base_url": "http://127.0.0.1:9", "model": "m", **options}
    with pytest.raises(ValueError, match=complaint):
        evaluate(["x"], [sample("s0")], cache=str(tmp_path), **given)


@pytest.mark.parametrize(
    ("predictions", "examples", "complaint"),
    [
        ([], [], "no predictions"),
        (["x"], [sample("s0")], "'s0' has no 'context'"),
        (["x"], [{"sample_id": "s0", "answers": ["r"], "record": {"context": ""}}], "'question'"),
        (["x"], [sample("s0", context="c")], "every reference"),
    ],
)
def test_what_cannot_be_judged_is_named(predictions, examples, complaint, tmp_path):
    with serve(lambda body, n: "0 5") as server, pytest.raises(ValueError, match=complaint):
        judge(server, tmp_path, predictions, examples, protocol="relative")
