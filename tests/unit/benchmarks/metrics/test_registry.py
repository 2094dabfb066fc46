import pytest

from vlselect.benchmarks.metrics import exact_match, registry
from vlselect.benchmarks.metrics.registry import check_options, load_metric, metric_names
from vlselect.config.checks import ConfigError, check_metrics


def test_every_metric_of_the_folder_is_listed_and_can_be_loaded():
    names = metric_names()
    assert {"exact_match", "gqa", "judge", "mmbench", "mme", "pope", "science_qa"} <= set(names)
    assert not {"evaluation", "registry", "vqa_normalisation", "yes_no"} & set(names)
    assert all(callable(load_metric(name)) for name in names)


def test_a_new_file_is_a_new_metric(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def evaluate(predictions, examples):\n    ...\n")
    (tmp_path / "other.py").write_text("class A:\n    def evaluate(self):\n        ...\n")
    monkeypatch.setattr(registry, "FOLDER", tmp_path)
    assert metric_names() == ["mine"]


def test_metrics_are_found_by_name():
    assert load_metric("exact_match") is exact_match.evaluate


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("cider", "no metric 'cider'"),
        ("../store", "not the name"),
        ("evaluation", "not a metric"),
    ],
)
def test_unknown_metrics_are_refused(name, complaint):
    with pytest.raises(ValueError, match=complaint):
        load_metric(name)


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("exact_match", {"colour": 1}, "'exact_match'.*'colour'"),
        ("judge", {"protocol": "graded"}, "'judge'.*'base_url'"),
        (
            "judge",
            {"protocol": "none", "base_url": "http://a", "model": "m", "cache": "c"},
            "protocol 'none'",
        ),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(name, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        check_options(name, options)


def test_right_options_pass():
    check_options("vqa_accuracy", {"variant": "textvqa"})
    check_options("exact_match", {})


def test_a_config_may_name_just_these():
    check_metrics({"a": {"metric": "exact_match"}, "b": {"metric": "judge"}})
    with pytest.raises(ConfigError, match=r"tasks\.b\.metric: no metric 'bleu'; there are anls, "):
        check_metrics({"a": {"metric": "pope"}, "b": {"metric": "bleu"}})
    with pytest.raises(ConfigError, match="no metric 'evaluation'"):
        check_metrics({"a": {"metric": "evaluation"}})
