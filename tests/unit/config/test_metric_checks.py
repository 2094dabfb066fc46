"""Metrics that tasks name, and the options they are given, before any job runs."""

import pytest

from vlselect.config.checks import ConfigError
from vlselect.config.metric_checks import check_metrics
from vlselect.core.registry import check_options

JUDGE = {"protocol": "graded", "base_url": "http://a", "model": "m", "cache": "c"}


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("exact_match", {"colour": 1}, "'exact_match'.*'colour'"),
        ("judge", {"protocol": "graded"}, "'judge'.*'base_url'"),
        (
            "judge",
            JUDGE | {"protocol": "none"},
            "protocol 'none' is not one of 'relative', 'graded'",
        ),
        ("judge", JUDGE | {"request": {"stream": True}}, "may not set stream"),
        ("judge", JUDGE | {"prompt": 3}, "prompt 3 is not a text or null"),
        ("vqa_accuracy", {"variant": "vqa2"}, "variant 'vqa2' is not one of 'vqa', "),
        ("mme", {"total": "all"}, "total 'all' is not one of .*'both'"),
        ("science_qa", {"subset": "text"}, "subset 'text'"),
        ("anls", {"threshold": "0.5"}, "threshold '0.5' is not a number"),
        ("anls", {"threshold": True}, "threshold True is not a number"),
        ("exact_match", {"verbatim": 1}, "verbatim 1 is not true or false"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(name, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        check_options(name, options)


def test_right_options_pass():
    check_options("vqa_accuracy", {"variant": "textvqa"})
    check_options("exact_match", {})
    check_options("anls", {"threshold": 1})
    check_options("judge", JUDGE | {"request": None, "workers": 4, "api_key_env": "NOT_SET_HERE"})


def test_a_config_may_name_just_these():
    check_metrics({"a": {"metric": "exact_match"}, "b": {"metric": "judge"}})
    with pytest.raises(ConfigError, match=r"tasks\.b\.metric: no metric 'bleu'; there are anls, "):
        check_metrics({"a": {"metric": "pope"}, "b": {"metric": "bleu"}})
    with pytest.raises(ConfigError, match="no metric 'evaluation'"):
        check_metrics({"a": {"metric": "evaluation"}})


def test_tasks_with_wrong_options_are_named_together():
    tasks = {
        "a": {"metric": "anls", "test": "a.json", "metric_options": {"treshold": 0.4}},
        "b": {"metric": "judge", "test": "b.json"},
        "c": {"metric": "vqa_accuracy", "validation": "c.json", "metric_options": {"variant": "x"}},
        "d": {"metric": "mme", "test": "d.json", "metric_options": {"total": "cognition"}},
    }
    with pytest.raises(ConfigError) as error:
        check_metrics(tasks)
    first, second = str(error.value).splitlines()
    assert first.startswith("tasks.a.metric_options: ") and "'treshold'" in first
    assert second.startswith("tasks.b.metric_options: ") and "required argument" in second
