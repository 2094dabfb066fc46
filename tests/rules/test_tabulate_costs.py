"""The entry tabulate_costs on hand-made benchmark files."""

import json

import tabulate_costs

from vlselect.tables import declarations


def write_job(path, wall, **resources):
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"s": wall, "cpu_time": wall, "max_rss": 10.0, "resources": resources}
    path.write_text(json.dumps(line) + "\n")


def test_table(tmp_path):
    write_job(tmp_path / "costs/extract_features/reference/1-of-1.jsonl", 30.0, gpu=1)
    write_job(tmp_path / "costs/extract_features/target/1-of-1.jsonl", 500.0, gpu=1)
    for method, ratio, wall in (("full", "1.0", 200.0), ("coincide", "0.2", 40.0)):
        name = f"ratio-{ratio}_seed-0.jsonl"
        write_job(tmp_path / f"costs/select_{method}" / name, 2.0)
        write_job(tmp_path / f"costs/train/target/{method}" / name, wall, gpu=2)
    behind = ["extract_features/reference/*-of-1", "select_coincide/{subset}"]
    selections = [
        [["full/ratio-1.0_seed-0"], ["select_full/{subset}"]],
        [["coincide/ratio-0.2_seed-0", "coincide/ratio-0.4_seed-0"], behind],
    ]
    tabulate_costs.main(
        [
            *("--costs", str(tmp_path / "costs"), "--selections", json.dumps(selections)),
            *("--runs", "target/full/ratio-1.0_seed-0", "target/coincide/ratio-0.2_seed-0"),
            *("--finetuning", "train", "--out", str(tmp_path / "cost.csv")),
        ]
    )
    table = declarations.read_table(tmp_path / "cost.csv", "cost")
    assert table["level"].unique().tolist() == ["selection", "finetuning", "total", "rule"]
    rules = table.loc[table["level"] == "rule", "name"].tolist()
    assert rules == ["extract_features", "select_coincide", "select_full", "train"]
    total = table[(table["level"] == "total") & (table["name"] == "coincide")].iloc[0]
    assert total["wall_seconds"] == 30 + 2 + 40
    assert total["device_seconds"] == 30 + 2 + 2 * 40
    assert total["relative_to_full"] == 100 * 112 / 400
    assert total["ratio"] == "0.2" and total["model"] == "target"
