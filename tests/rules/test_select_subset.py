"""The entry select_subset: exact budgets, records verbatim, methods found by name."""

import json

import numpy as np
import pandas as pd
import pytest
import select_subset
from config_defaults import usual_parameters
from usual_flags import usual

from vlselect import methods
from vlselect.core.errors import InfeasibleError, InputError
from vlselect.core.refused import naming
from vlselect.methods import icons

RECORDS = [
    f'{{"id":"s-{i:02}","z":1.50,"a":{{"y":[1, 2],"x":"é \\u00e9 \\n"}},"conversations":[]}}'
    for i in (3, 1, 4, 15, 9, 2, 6, 5, 35, 8)
]


@pytest.fixture
def samples(tmp_path):
    path = tmp_path / "samples.parquet"
    frame = pd.DataFrame(
        {
            "row": np.arange(len(RECORDS)),
            "sample_id": [json.loads(record)["id"] for record in RECORDS],
            "source": ["x", "y"] * 5,
            "images": [["a.png"]] * 9 + [[]],
            "n_turns": 2,
            "n_images": [1] * 9 + [0],
            "digest": [f"{i:064}" for i in range(len(RECORDS))],
            "record": RECORDS,
        }
    )
    frame.to_parquet(path, index=False, row_group_size=3)
    return path


@pytest.fixture
def add_method(tmp_path, monkeypatch):
    """Write a method's module into a folder and make it importable."""
    folder = tmp_path / "methods"
    folder.mkdir()
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(folder)])

    def add(name, body):
        header = "import numpy as np\nfrom vlselect.core.selection import Selection\n\n\n"
        signature = "def select(pool, signals, budget, seed, **parameters):\n"
        (folder / f"{name}.py").write_text(f"{header}{signature}    {body}\n")
        monkeypatch.delitem(__import__("sys").modules, f"vlselect.methods.{name}", raising=False)

    return add


def run(folder, samples, method, ratio, *more):
    out = folder / "out.json", folder / "out.parquet"
    select_subset.main(
        [
            *usual(select_subset),
            *("--method", method, "--samples", str(samples), "--budget", f"ratio-{ratio}"),
            *("--out-records", str(out[0]), "--out-rows", str(out[1]), *more),
        ]
    )
    return out


def test_full_gives_back_every_record_verbatim(tmp_path, samples):
    records, rows = run(tmp_path, samples, "full", 1.0)
    assert records.read_text(encoding="utf-8") == "[\n" + ",\n".join(RECORDS) + "\n]\n"
    assert [list(record) for record in json.loads(records.read_text())][0][:2] == ["id", "z"]
    table = pd.read_parquet(rows)
    assert table["row"].tolist() == list(range(10))
    assert table["rank"].tolist() == list(range(1, 11))
    assert table["score"].isna().all()


def test_random_fills_its_budget_in_pool_order(tmp_path, samples):
    records, rows = run(tmp_path, samples, "random", 0.35, "--seed", "2")
    table = pd.read_parquet(rows)
    assert list(table.columns) == ["row", "sample_id", "rank", "score"]
    assert len(table) == 4
    assert table["row"].is_monotonic_increasing
    assert sorted(table["rank"]) == [1, 2, 3, 4]
    chosen = [RECORDS[row] for row in table["row"]]
    assert records.read_text(encoding="utf-8").splitlines()[1:-1] == [
        *(record + "," for record in chosen[:-1]),
        chosen[-1],
    ]
    assert table["sample_id"].tolist() == [json.loads(record)["id"] for record in chosen]


def test_two_runs_give_the_same_bytes(tmp_path, samples):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run(tmp_path / name, samples, "random", 0.5)
    for file in ("out.json", "out.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_icons_reads_votes_or_influences(tmp_path, samples):
    votes = pd.DataFrame({"row": range(10), "votes": [0, 2] * 5, "mean_rank": np.arange(10) / 9})
    votes.to_parquet(tmp_path / "votes.parquet")
    signals = ["--signal", "votes", str(tmp_path / "votes.parquet"), "--tables", "influence"]
    usual = usual_parameters(icons.select)
    _, rows = run(tmp_path, samples, "icons", 0.3, *signals, "--parameters", json.dumps(usual))
    table = pd.read_parquet(rows).sort_values("rank")
    assert table["row"].tolist() == [9, 7, 5]
    assert table["score"].tolist() == [2, 2, 2]
    for task, sign in (("up", 1.0), ("down", -1.0)):
        frame = pd.DataFrame({"row": range(10), "influence": sign * np.arange(10)})
        frame.to_parquet(tmp_path / f"{task}.parquet")
    tables = [str(tmp_path / f"{task}.parquet") for task in ("down", "up")]
    more = ["--signal", "votes", "--tables", "influence", *tables]
    more += ["--parameters", json.dumps(usual | {"aggregator": "round_robin_tasks"})]
    _, rows = run(tmp_path, samples, "icons", 0.3, *more)
    assert pd.read_parquet(rows).sort_values("rank")["row"].tolist() == [0, 9, 1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return Selection(np.arange(budget - 1))", "method 'odd': chose 2 samples for"),
        ("return Selection(np.arange(budget + 1))", "method 'odd': chose 4 samples for"),
        ("return Selection(np.array([1, 2, 1]))", "method 'odd': chose row 1 more than once"),
        ("return Selection(np.array([1, 2, 10]))", "method 'odd': chose row 10"),
    ],
)
def test_a_method_that_breaks_its_contract_is_named(tmp_path, samples, add_method, body, message):
    add_method("odd", body)
    with pytest.raises(ValueError, match=message):
        run(tmp_path, samples, "odd", 0.3)
    assert not (tmp_path / "out.json").exists()
    assert not (tmp_path / "out.parquet").exists()


def test_a_new_method_gets_pool_signals_parameters_and_seed(tmp_path, samples, add_method):
    add_method("odd", "return Selection(np.array([seed, parameters['x'], len(pool) - 1]))")
    more = ("--seed", "4", "--parameters", '{"x": 6}')
    _, rows = run(tmp_path, samples, "odd", 0.3, *more)
    assert pd.read_parquet(rows)["row"].tolist() == [4, 6, 9]
    add_method("rows", "return list(range(budget))")
    with pytest.raises(TypeError, match="'rows' returned a list"):
        run(tmp_path, samples, "rows", 0.3)


@pytest.fixture
def limits(tmp_path):
    """Write files of constraints: ids, near-duplicates and tokens."""
    (tmp_path / "keep.txt").write_text("s-08\n")
    (tmp_path / "exclude.json").write_text('["s-03", "s-01"]')
    pairs = pd.DataFrame({"row_a": [2, 3], "row_b": [9, 4], "cosine": 1.0})  # s-04, s-08; 15, 09
    pairs.to_parquet(tmp_path / "duplicates.parquet")
    tokens = pd.DataFrame({"row": range(10), "tokens": 10, "response_tokens": 1})
    tokens.to_parquet(tmp_path / "tokens.parquet")
    files = {"keep": "keep.txt", "exclude": "exclude.json", "duplicates": "duplicates.parquet"}
    return [x for name, file in files.items() for x in (f"--{name}", str(tmp_path / file))]


def test_constraints_give_reasons(tmp_path, samples, limits):
    scores = pd.DataFrame({"row": range(10), "score": [9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0]})
    scores.to_parquet(tmp_path / "scores.parquet")
    bounds = ("--bounds", json.dumps({"minimum": {"y": 0.5}, "maximum": {"y": 3}}))
    more = ("--signal", "scores", str(tmp_path / "scores.parquet"), *limits, *bounds)
    more += ("--parameters", '{"keep": "top"}')
    table = pd.read_parquet(run(tmp_path, samples, "el2n", 0.5, *more)[1])
    # y is rows 1, 3, 5, 7, 9; 9 is kept, 1 excluded; near-duplicates: 3 and 4, 2 and 9
    ranked = table.sort_values("rank")
    assert ranked["row"].tolist() == [9, 3, 5, 6, 8]
    assert ranked["reason"].tolist() == ["keep", "minimum", "minimum", "method", "method"]
    (tmp_path / "keep.txt").write_text("s-08\nnobody\n")
    with pytest.raises(ValueError, match="keep: 1 ids are not in the pool: 'nobody'"):
        run(tmp_path, samples, "el2n", 0.5, *more)


def test_a_budget_in_samples_or_tokens(tmp_path, samples, limits):
    out = ["--out-records", str(tmp_path / "o.json"), "--out-rows", str(tmp_path / "o.parquet")]
    flags = ["--method", "random", "--samples", str(samples), *out]
    select_subset.main([*usual(select_subset), *flags, "--budget", "samples-7"])
    assert len(pd.read_parquet(tmp_path / "o.parquet")) == 7
    with pytest.raises(ValueError, match="budget samples-11 does not fit a pool of 10 samples"):
        select_subset.main([*usual(select_subset), *flags, "--budget", "samples-11"])
    tokens = ["--tokens", str(tmp_path / "tokens.parquet")]
    select_subset.main([*usual(select_subset), *flags, "--budget", "tokens-49", *tokens])
    table = pd.read_parquet(tmp_path / "o.parquet")
    assert len(table) == 4 and (table["tokens"] == 10).all() and "reason" not in table
    select_subset.main([*usual(select_subset), *flags, "--budget", "tokens-49", *tokens, *limits])
    table = pd.read_parquet(tmp_path / "o.parquet")
    assert len(table) == 4 and "s-08" in set(table["sample_id"])
    assert list(table.columns) == ["row", "sample_id", "rank", "score", "reason", "tokens"]
    with pytest.raises(ValueError, match="budget 'tokens' is not"):
        select_subset.main([*usual(select_subset), *flags, "--budget", "tokens"])


def test_bad_input_is_refused(tmp_path, samples):
    with pytest.raises(ValueError, match="no method 'nonsense'"):
        run(tmp_path, samples, "nonsense", 0.3)
    with pytest.raises(ValueError, match="no method '../x'"):
        run(tmp_path, samples, "../x", 0.3)
    with pytest.raises(ValueError, match="ratio 1.5"):
        run(tmp_path, samples, "random", 1.5)
    with pytest.raises(ValueError, match="leaves none"):
        run(tmp_path, samples, "random", 0.01)
    pd.DataFrame({"row": range(9), "votes": 1}).to_parquet(tmp_path / "short.parquet")
    short = str(tmp_path / "short.parquet")
    with pytest.raises(ValueError, match="not those of the pool of 10"):
        run(tmp_path, samples, "icons", 0.3, "--signal", "votes", short)
    with pytest.raises(ValueError, match="one .parquet file"):
        run(tmp_path, samples, "icons", 0.3, "--signal", "votes", short, short)
    pd.DataFrame({"row": range(10), "influence": 1.0}).to_parquet(tmp_path / "whole.parquet")
    whole = str(tmp_path / "whole.parquet")
    with pytest.raises(ValueError, match="'whole' is given twice"):
        run(tmp_path, samples, "icons", 0.3, "--tables", "influence", whole, whole)
    with pytest.raises(ValueError, match="'votes' is given twice"):
        run(tmp_path, samples, "icons", 0.3, *("--signal", "votes", whole) * 2)


def test_refused_samples_are_not_chosen_and_counted(tmp_path, samples, capsys):
    scores = pd.DataFrame({"row": range(10), "score": np.arange(10, dtype=np.float32)})
    scores.loc[[8, 9], "score"] = np.nan
    naming(scores, np.array([8, 9])).to_parquet(tmp_path / "scores.parquet")
    left_out = pd.DataFrame({"part": "pool", "row": [7], "sample_id": ["s-05"]})
    left_out.to_parquet(tmp_path / "left_out.parquet")
    flags = ["--signal", "scores", str(tmp_path / "scores.parquet")]
    flags += ["--left-out", str(tmp_path / "left_out.parquet"), "--parameters", '{"keep": "top"}']
    _, rows = run(tmp_path, samples, "el2n", 0.3, *flags)
    table = pd.read_parquet(rows)
    assert table["row"].tolist() == [4, 5, 6] and table.attrs["refused"] == [7, 8, 9]
    assert "3 samples chosen; 3 could not be: refused by a model" in capsys.readouterr().err
    with pytest.raises(ValueError, match="8 samples are wanted, but of 10 samples 3 are refused"):
        run(tmp_path, samples, "el2n", 0.8, *flags)


def write_gate(folder, gated, refused=()):
    """Write a gate of the ten samples; return its flag."""
    table = pd.DataFrame({"row": range(10), "group": "x", "loss": 1.0, "gated": False})
    table.loc[gated, "gated"] = True
    naming(table, np.array(refused, dtype=np.int64)).to_parquet(folder / "gate.parquet")
    return ["--gate", str(folder / "gate.parquet")]


def best_first(folder):
    """Write scores, higher in earlier rows; return the flags of a method that goes by them."""
    scores = pd.DataFrame({"row": range(10), "score": -np.arange(10, dtype=np.float32)})
    scores.to_parquet(folder / "scores.parquet")
    return ["--signal", "scores", str(folder / "scores.parquet"), "--parameters", '{"keep": "top"}']


def test_a_gate_that_is_open_changes_no_byte(tmp_path, samples):
    before = [path.read_bytes() for path in run(tmp_path, samples, "random", 0.5)]
    after = run(tmp_path, samples, "random", 0.5, *write_gate(tmp_path, []))
    assert [path.read_bytes() for path in after] == before


def test_gated_samples_are_not_chosen_and_counted(tmp_path, samples, capsys):
    for seed in map(str, range(8)):
        flags = ["--seed", seed, *write_gate(tmp_path, [0, 3, 9])]
        table = pd.read_parquet(run(tmp_path, samples, "random", 0.7, *flags)[1])
        assert table["row"].tolist() == [1, 2, 4, 5, 6, 7, 8]
    flags = [*best_first(tmp_path), *write_gate(tmp_path, [0, 2, 3], refused=[4])]
    table = pd.read_parquet(run(tmp_path, samples, "el2n", 0.3, *flags)[1])
    assert table["row"].tolist() == [1, 5, 6]
    assert table.attrs == {"refused": [4], "gated": 3}
    said = "3 samples chosen; 1 could not be: refused by a model; 3 are gated"
    assert said in capsys.readouterr().err
    with pytest.raises(
        InfeasibleError, match="of 10 samples 1 are refused .* 'el2n' reads; 3 are gated"
    ):
        run(tmp_path, samples, "el2n", 0.7, *flags)


def test_what_is_refused_is_not_gated_too(tmp_path, samples):
    flags = [*best_first(tmp_path), *write_gate(tmp_path, [0, 2], refused=[2])]
    table = pd.read_parquet(run(tmp_path, samples, "el2n", 0.3, *flags)[1])
    assert table["row"].tolist() == [1, 3, 4] and table.attrs == {"refused": [2], "gated": 1}


def test_a_gate_within_constraints(tmp_path, samples, limits):
    # as in test_constraints_give_reasons; row 9 (s-08) is to be kept although it is gated
    bounds = ("--bounds", json.dumps({"minimum": {"y": 0.5}, "maximum": {"y": 3}}))
    flags = [*best_first(tmp_path), *limits, *bounds, *write_gate(tmp_path, [3, 8, 9])]
    table = pd.read_parquet(run(tmp_path, samples, "el2n", 0.5, *flags)[1]).sort_values("rank")
    assert table["row"].tolist() == [9, 5, 7, 4, 6]
    assert table["reason"].tolist() == ["keep", "minimum", "minimum", "method", "method"]
    assert table.attrs["gated"] == 2
    with pytest.raises(InfeasibleError, match="source 'y': 3 samples wanted, 2 eligible"):
        flags = [*best_first(tmp_path), *bounds, *write_gate(tmp_path, [1, 3, 5])]
        run(tmp_path, samples, "el2n", 0.6, *flags)
    with pytest.raises(InputError, match="a model that the method reads refuses 's-08'"):
        flags = [*best_first(tmp_path), *limits, *write_gate(tmp_path, [], refused=[9])]
        run(tmp_path, samples, "el2n", 0.5, *flags)


def test_a_gate_and_a_budget_in_tokens(tmp_path, samples, limits):
    out = ["--out-records", str(tmp_path / "o.json"), "--out-rows", str(tmp_path / "o.parquet")]
    flags = ["--method", "random", "--samples", str(samples), *out, "--budget", "tokens-49"]
    flags += ["--tokens", str(tmp_path / "tokens.parquet"), *write_gate(tmp_path, [*range(6)])]
    select_subset.main([*usual(select_subset), *flags])
    table = pd.read_parquet(tmp_path / "o.parquet")
    assert table["row"].tolist() == [6, 7, 8, 9] and table["tokens"].sum() == 40
