"""Different runs, different advice: each sentence from a table, each gap with a line of config."""

import numpy as np
import pandas as pd
import pytest
import yaml

from vlselect.core.errors import InputError
from vlselect.plan.advice import Evidence, advise

N = 200


def make_pool(copies=0, text_only=0):
    digests = [f"d{max(0, i - copies):03d}" for i in range(N)]
    columns = {"sample_id": [f"s{i:03d}" for i in range(N)], "source": ["a", "b"] * (N // 2)}
    return pd.DataFrame(
        columns | {"n_images": [int(i >= text_only) for i in range(N)], "digest": digests}
    )


def make_votes(**tasks):
    table = pd.DataFrame({"row": np.arange(N)})
    for task, rows in tasks.items():
        table[task] = np.isin(table["row"], rows).astype(int)
    table["votes"] = table[list(tasks)].sum(axis=1)
    return table.assign(mean_rank=0.5)


TOGETHER = make_votes(vqa=range(40), ocr=range(5, 45), charts=range(10, 50))
APART = make_votes(vqa=range(40), ocr=range(40), charts=range(150, 190))
# Tasks that share more than by chance, and yet votes go to others first.
STARVING = make_votes(
    vqa=range(40),
    ocr=[*range(30), *range(40, 50)],
    maps=[*range(30), *range(50, 60)],
    charts=range(30, 70),
)
VALIDATION = {"vqa": 50, "ocr": 20, "charts": 30}


def make_gate(wrong=0):
    """Losses of which some stand apart, all of source a: those of even rows."""
    rng = np.random.default_rng(0)
    loss = rng.exponential(0.1, N)
    loss[: 2 * wrong : 2] = rng.normal(4, 0.5, wrong)
    return pd.DataFrame({"loss": loss})


def make_comparison(**methods):
    """Methods with their differences; the intervals are three points wide to either side."""
    rows = [
        (name, "0.2", d, d - 3, d + 3, "higher" if d > 3 else "lower" if d < -3 else "neither")
        for name, d in methods.items()
    ]
    return pd.DataFrame(rows, columns=["method", "ratio", "difference", "low", "high", "verdict"])


def make_cost(**seconds):
    rows = [("rule", rule, s, np.nan) for rule, s in seconds.items()]
    return pd.DataFrame(rows, columns=["level", "name", "device_seconds", "relative_to_full"])


def advice(**given):
    return advise(Evidence(**{"budget": 40, "model": "small"} | given))


def line_with(found, *words):
    (line,) = [line for line in found.lines() if all(word in line for word in words)]
    return line


def test_tasks_that_share_less_than_by_chance_get_turns():
    found = advice(pool=make_pool(), validation=VALIDATION, votes=APART)
    assert found.method == "clean_shares: {}"
    few = advice(pool=make_pool(), validation=VALIDATION | {"ocr": 19}, votes=APART)
    assert few.method == "targeted: {}"
    line = line_with(found, "votes/seed-*.parquet")
    assert "charts shares 0.00 of its votes with another task" in line
    assert "it would be 0.11: votes leave it alone" in line
    assert "of 3 tasks, at least 20 (ocr)" in line_with(found, "tasks/<task>/validation.parquet")


def test_tasks_that_votes_starve_get_turns():
    found = advise(Evidence(pool=make_pool(), votes=STARVING, budget=30))
    assert found.method == "targeted: {}"
    line = line_with(found, "votes/seed-*.parquet", "the 30 samples with the most votes")
    assert "have 0 % of those that charts votes for" in line
    assert "a random draw 15 %: votes starve it" in line
    assert "the tasks agree" in line_with(found, "votes/seed-*.parquet", "on average")


def test_tasks_that_agree_vote():
    found = advice(pool=make_pool(), validation=VALIDATION, votes=TOGETHER)
    assert found.method == "icons: {}"
    assert "the tasks agree" in line_with(found, "votes/seed-*.parquet", "on average")
    assert "no task is starved" in line_with(found, "votes/seed-*.parquet", "random draw")
    one = advice(pool=make_pool(), validation={"vqa": 9}, votes=make_votes(vqa=range(40)))
    assert one.method == "targeted: {}" and "fewer than two" in line_with(one, "votes/")


def test_without_votes_the_line_that_makes_them_is_named():
    found = advice(pool=make_pool(), validation=VALIDATION)
    assert found.method == "clean_shares: {}"
    assert "methods: {icons: {}}" in line_with(found, "not known", "whether the tasks agree")


@pytest.mark.parametrize(("jaccard", "method"), [(0.05, "targeted"), (0.3, "icons")])
def test_tables_alone_say_whether_tasks_agree(jaccard, method):
    agreement = pd.DataFrame(
        {"seed": "0", "task_a": ["a", "a", "b"], "task_b": ["a", "b", "b"], "jaccard": 1.0}
    )
    agreement.loc[1, "jaccard"] = jaccard
    histogram = pd.DataFrame({"ratio": "0.2", "seed": "0", "votes": [0, 1, 2], "n": [64, 32, 4]})
    found = advice(agreement=agreement, histogram=histogram)
    assert found.method == f"{method}: {{}}"
    line = line_with(found, "tables/task_agreement.csv")
    assert f"shares {jaccard:.2f} of its votes" in line and "it would be 0.11" in line


def test_without_validation_samples_the_pool_alone_decides_and_how_long_passes_take():
    found = advice(pool=make_pool())
    assert found.method == "coincide: {}"
    assert "tasks: {<task>: {validation: <file>}}" in line_with(found, "what the subset is")
    short = advice(pool=make_pool(), cost=make_cost(extract_features=7200))
    long = advice(pool=make_pool(), cost=make_cost(extract_features=7200), whole=100, trial=True)
    assert (short.method, long.method) == ("coincide: {}", "mcl: {}")
    assert "about 200 device-hours" in line_with(long, "tables/cost.csv")


def test_a_method_that_reads_a_model_comes_with_one():
    line = "models: {<model>: {path: <folder or hub id>}}"
    assert advise(Evidence(pool=make_pool())).more[-1] == line
    assert advise(Evidence(pool=make_pool(), validation=VALIDATION)).more[-1] == line
    named = advise(Evidence(pool=make_pool(), model="small"))
    slow = advise(Evidence(pool=make_pool(), cost=make_cost(extract_features=1e6)))
    assert slow.method == "mcl: {}"
    assert line not in named.more + slow.more


@pytest.mark.parametrize(("wrong", "share"), [(0, None), (12, "0.15"), (25, "0.25")])
def test_the_gate_is_as_large_as_what_stands_out(wrong, share):
    found = advice(pool=make_pool(), votes=TOGETHER, gate=make_gate(wrong))
    line = line_with(found, "gate/seed-*.parquet")
    if share is None:
        assert "nothing to gate by" in line and not found.more
        return
    assert found.more == [f"gate: {{share: {share}}}"]
    assert "in 1 of 2 sources the losses" in line and f"most in a, {wrong} %" in line
    assert not [gap for gap in found.gaps if "wrong" in gap.what]


def test_copies_and_near_duplicates():
    found = advice(pool=make_pool(copies=20, text_only=50))
    assert found.more == ["constraints: {duplicates: {}}"]
    text = "200 samples of 2 sources, 25 % without an image; 10 % repeat another to the letter"
    assert text in line_with(found, "pool/samples.parquet")
    pairs = pd.DataFrame({"row_a": range(30), "row_b": range(100, 130)})
    near, none = (advice(pool=make_pool(), duplicates=p) for p in (pairs, pairs[:0]))
    assert "15 % of the samples" in line_with(near, "duplicates.parquet", "worth keeping")
    assert "of next to no use" in line_with(none, "duplicates.parquet")
    assert not near.more and not [gap for gap in near.gaps if "nearly the same" in gap.what]
    line = line_with(advise(Evidence(pool=make_pool(), model="small")), "nearly the same")
    assert "model: small" in line


def test_what_checkpoints_show_comes_first_but_not_in_a_trial():
    given = {"pool": make_pool(), "validation": VALIDATION, "votes": APART}
    better = make_comparison(icons=-9, coincide=6, semdedup=4)
    found = advice(**given, comparison=better)
    assert found.method == "coincide: {}"
    assert "+6.0 points (3.0 to 9.0) at 0.2" in line_with(found, "comparison_with_random.csv")
    trial = advice(**given, comparison=better, trial=True)
    assert trial.method == "clean_shares: {}"
    assert "[full, random, clean_shares]" in line_with(trial, "by finetuning")


def test_a_method_that_was_tried_in_vain_is_not_advised():
    given = {"pool": make_pool(), "validation": VALIDATION, "votes": APART}
    tried = advice(**given, comparison=make_comparison(icons=-9, clean_shares=1))
    assert tried.method == "random: {}"
    assert "clean_shares differs by +1.0 points (-2.0 to 4.0)" in line_with(
        tried, "comparison_with"
    )
    other = advice(**given, comparison=make_comparison(icons=-9))
    assert other.method == "clean_shares: {}"
    assert "none of icons is shown to be above" in line_with(other, "comparison_with")
    once = make_comparison(icons=9).assign(low=np.nan, high=np.nan, verdict="neither")
    found = advice(**given, comparison=once)
    assert found.method == "clean_shares: {}" and "seeds: [0, 1, 2]" in line_with(
        found, "are chance"
    )


def test_dear_gradients_make_place_for_hidden_states():
    given = {"pool": make_pool(), "votes": APART}
    row = {"level": "selection", "name": "icons", "device_seconds": 1, "relative_to_full": 74}
    dear, cheap = (pd.DataFrame([row | {"relative_to_full": cost}]) for cost in (74, 20))
    assert advice(**given, cost=dear).method == "targeted: {representation: hidden}"
    assert "74 % of finetuning" in line_with(advice(**given, cost=dear), "tables/cost.csv")
    assert advice(**given, cost=cheap).method == "targeted: {}"
    assert advice(**given, cost=dear, trial=True).method == "targeted: {}"
    for cost in (None, dear):
        found = advice(**given, cost=cost, validation=VALIDATION)
        assert (found.method, found.more) == ("clean_shares: {}", ["proxy: {model: small}"])
    ours = pd.DataFrame([row | {"name": "clean_shares"}])
    found = advice(**given, cost=ours, validation=VALIDATION, proxy="tiny")
    assert found.more == ["proxy: {model: tiny}"]
    assert "costs 74 % of" in line_with(found, "with a small `proxy.model`", "tables/cost.csv")


def test_a_method_with_a_gate_of_its_own_gets_no_other():
    given = {"pool": make_pool(), "validation": VALIDATION, "gate": make_gate(20)}
    assert not any(line.startswith("gate") for line in advice(**given, votes=APART).more)
    assert any(line.startswith("gate") for line in advice(**given, votes=TOGETHER).more)


def test_nothing_is_said_without_anything_to_go_by():
    with pytest.raises(InputError, match="neither its pool nor its tables"):
        advise(Evidence())
    once = make_comparison(coincide=9).assign(low=np.nan, verdict="neither")
    with pytest.raises(InputError, match="neither its pool nor its tables"):
        advise(Evidence(comparison=once))
    assert advise(Evidence(comparison=make_comparison(coincide=9))).method == "coincide: {}"


def test_lines_of_config_are_yaml():
    cases = [advice(pool=make_pool(9), votes=APART, gate=make_gate(30)), advice(pool=make_pool())]
    for found in cases:
        lines = [f"methods: {{{found.method}}}", *found.more, *(gap.line for gap in found.gaps)]
        for line in lines:
            assert isinstance(yaml.safe_load(f"{{{line}}}".replace("<", "").replace(">", "")), dict)
