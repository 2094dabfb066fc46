"""The entry import_published: from a published CSV to tables for the figures."""

import import_published
import pytest

from vlselect.tables import declarations

SCORES = "method,gqa,mme,rel\nfull,50,1500,100\nrandom,40,1350,85\nicons,45,1500,95.0\n"
HOURS = "level,method,ratio,hours\nfinetuning,full,1.0,50\ntotal,icons,0.2,15\n"


@pytest.fixture
def convert(tmp_path):
    def run(scores=SCORES, *more):
        (tmp_path / "scores.csv").write_text(scores)
        (tmp_path / "hours.csv").write_text(HOURS)
        flags = ["--scores", str(tmp_path / "scores.csv"), "--stated", "rel"]
        flags += ["--model", "llava", "--ratio", "0.2", "--out", str(tmp_path / "tables")]
        import_published.main([*flags, *more])
        return tmp_path / "tables"

    return run


def test_tables(convert, tmp_path):
    folder = convert(SCORES, "--hours", str(tmp_path / "hours.csv"))
    names = sorted(path.stem for path in folder.iterdir())
    assert names == sorted(
        [
            *("benchmark_scores", "relative_by_seed", "relative_performance"),
            *("comparison_with_random", "cost"),
        ]
    )
    content = {name: declarations.read_table(folder / f"{name}.csv", name) for name in names}
    compared = content["comparison_with_random"]
    assert compared["difference"].tolist() == [10.0]
    assert compared["verdict"].tolist() == ["no difference shown"]
    assert content["cost"]["relative_to_full"].tolist() == [100, 0, 100, 30]


def test_without_hours_there_are_no_costs(convert):
    assert not (convert() / "cost.csv").exists()


def test_a_stated_mean_that_the_scores_do_not_give_is_an_error(convert, tmp_path):
    with pytest.raises(ValueError, match="icons: stated 97, computed 95"):
        convert(SCORES.replace("95.0", "97"))
    assert not (tmp_path / "tables").exists()
