"""The plot scripts: every figure from its tables, the same bytes twice, and nothing cut off."""

import functools
import importlib
import re

import numpy as np
import plot_task_agreement
import plot_votes
import pytest
from example_tables import (
    CHOOSERS,
    ELEVEN,
    TASKS,
    write_costs,
    write_subsets,
    write_tables,
    write_votes,
)
from figure_programs import FIGURES, draw, read
from figure_tables import write_tables as write_any
from matplotlib.text import Text

from vlselect.figures.key import METHOD_NAMES, Key
from vlselect.tables import declarations
from vlselect.tables.declarations import Run

CASES = {
    "one ratio": {},
    "three ratios": {"ratios": ("0.05", "0.1", "0.2")},
    "two models": {"models": ("target", "reference"), "ratios": ("0.1", "0.2")},
    "one seed": {"seeds": ("7",)},
    "full at zero": {"zero": ("position",)},
    "full at zero everywhere": {"zero": tuple(TASKS)},
    "eleven methods": {"ratios": ("0.05", "0.1", "0.2"), "choosers": tuple(ELEVEN)},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders with the tables of each case."""

    @functools.cache
    def write(case):
        return write_tables(tmp_path_factory.mktemp("tables"), **CASES[case])

    return write


@pytest.fixture(scope="module")
def drawn(folders):
    """A function that returns a script's figure of a case; cases with the same tables share it."""
    figures = {}

    def draw_once(script, case):
        *tables, key = read(script, folders(case))
        same = script, repr(key), *(table.to_csv() for table in tables)
        if same not in figures:
            figures[same] = draw(script, folders(case))
        return figures[same]

    return draw_once


def assert_nothing_cut(figure):
    """Check that everything drawn, in inches from the lower left corner, is inside the figure."""
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 >= -0.01 and box.y0 >= -0.01, box
    assert box.x1 <= width + 0.01 and box.y1 <= height + 0.01, (box, width, height)


@pytest.mark.parametrize("script", FIGURES)
@pytest.mark.parametrize("case", CASES)
def test_nothing_is_cut_off(script, case, drawn):
    assert_nothing_cut(drawn(script, case))


@pytest.mark.parametrize("script", FIGURES)
def test_writes_the_same_png_and_svg_twice(script, folders, tmp_path):
    folder = folders("one ratio")
    flags = [str(p) for k, t in FIGURES[script].items() for p in (f"--{k}", folder / f"{t}.csv")]
    for name in "ab":
        outputs = ["--png", str(tmp_path / f"{name}.png"), "--svg", str(tmp_path / f"{name}.svg")]
        outputs += ["--methods", *CHOOSERS]
        importlib.import_module(script).main([*flags, *outputs])
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    for suffix in ("png", "svg"):
        first, second = (tmp_path / f"{name}.{suffix}" for name in "ab")
        assert first.read_bytes() == second.read_bytes()


def words(figure):
    """Return every text in a figure, tick labels included."""
    return " | ".join(text.get_text() for text in figure.findobj(match=Text))


def test_relative_performance_names_every_method_and_says_n_and_seeds(tmp_path):
    figure = draw("plot_relative_performance", write_tables(tmp_path))
    seen = words(figure)
    for method in CHOOSERS:
        assert f"{METHOD_NAMES.get(method, method.replace('_', ' '))}, 20 %" in seen
    for part in ("full pool", "no finetuning", "majority answer", "600 questions", "0, 1 and 2"):
        assert part in seen


@pytest.mark.parametrize(
    "script", ["plot_relative_performance", "plot_performance_by_ratio", "plot_cost"]
)
def test_a_mean_over_fewer_benchmarks_says_so(script, drawn):
    seen = words(drawn(script, "one ratio")).replace("\n", " ")
    assert "Mean over 3 benchmarks" in seen and "scores 0" not in seen
    seen = words(drawn(script, "full at zero")).replace("\n", " ")
    assert "over 2 for target, whose full pool scores 0 on position" in seen
    seen = words(drawn(script, "full at zero everywhere")).replace("\n", " ")
    assert "over 0 for target, whose full pool scores 0 on recognition, position and" in seen
    assert "nan" not in seen


def test_relative_performance_claims_no_win_where_the_interval_holds_zero(tmp_path):
    seen = words(draw("plot_relative_performance", write_tables(tmp_path)))
    compared = declarations.read_table(
        tmp_path / "comparison_with_random.csv", "comparison_with_random"
    )
    shown = compared["verdict"].isin([declarations.HIGHER, declarations.LOWER]).sum()
    assert "difference from random" in seen
    assert sum(seen.count(mark) for mark in "\u25b2\u25b3\u25bc\u25bd") == shown


def test_without_random_there_is_no_column_of_differences(tmp_path):
    figure = draw("plot_relative_performance", write_tables(tmp_path, choosers=["icons"]))
    assert "difference from random" not in words(figure)


def test_a_published_total_is_drawn_without_its_parts(tmp_path):
    write_tables(tmp_path)
    cost = declarations.read_table(tmp_path / "cost.csv", "cost")
    known = (cost["level"] == "total") | (cost["name"] == "full")
    declarations.write_table(cost[known], "cost", tmp_path / "cost.csv")
    figure = draw("plot_cost", tmp_path)
    assert "pale bars" in words(figure) and "ICONS, 20 %" in words(figure)


def test_cost_is_hatched_only_where_the_axis_says_so(tmp_path):
    folder = write_tables(tmp_path)
    assert "selection (hatched)" in words(draw("plot_cost", folder))
    cost = declarations.read_table(folder / "cost.csv", "cost")
    published = cost[cost["level"] == "total"]
    declarations.write_table(published, "cost", folder / "cost.csv")
    assert "hatched" not in words(draw("plot_cost", folder))


def test_means_are_written_beside_the_panel_and_not_over_its_lines(tmp_path):
    figure = draw("plot_relative_performance", write_tables(tmp_path))
    (axes,) = figure.axes
    numbers = [t for t in axes.texts if re.fullmatch(r"\d+\.\d", t.get_text())]
    assert len(numbers) == 3 + len(CHOOSERS)
    assert all(t.get_window_extent().x0 > axes.get_window_extent().x1 for t in numbers)


def test_scores_over_decades_are_drawn_on_a_logarithmic_axis(tmp_path):
    figure = draw("plot_score_distribution", write_any(tmp_path, ["perplexity", "el2n", "icons"]))
    scales = {axes.get_title(loc="left"): axes.get_xscale() for axes in figure.axes}
    assert scales["perplexity"] == "log" and scales["EL2N"] == scales["ICONS"] == "linear"
    assert "$" not in words(figure)  # plain numbers, since names are no formulas


def test_a_budget_in_tokens_is_named_as_such_with_the_samples_that_it_takes(tmp_path):
    write_any(tmp_path, ["icons", "random"])
    votes = declarations.read_table(tmp_path / "votes_histogram.csv", "votes_histogram")
    own = votes[votes["ratio"] == "0.182133"]
    share = 100 * own["selected"].sum() / votes.drop_duplicates("votes")["n"].sum()
    size = f"{own['selected'].sum():,} samples ({share:.3g} % of the pool)"
    assert f"250,000 tokens: {size}" in words(draw("plot_votes", tmp_path))
    for script in FIGURES.keys() - {"plot_votes", "plot_task_agreement", "plot_contact_sheet"}:
        seen = words(draw(script, tmp_path)).replace("\n", " ")
        assert "250,000 tokens" in seen and "18.2" not in seen, script


def test_shares_are_bold_by_what_the_subset_takes_of_all_samples(tmp_path):
    rows = [
        {"source": source, "n": 100, "n_scored": 0, "chosen": chosen}
        for source, chosen in {"many": 0.6, "most": 0.5, "few": 0.1}.items()
    ]
    names = {"method": "el2n", "ratio": "0.1", "seed": "0"}  # 0.4 of all samples, 0.1 of tokens
    quantiles = dict.fromkeys(("low", "quarter", "median", "three_quarters", "high"), np.nan)
    table = [names | quantiles | row for row in rows]
    declarations.write_table(table, "score_distribution", tmp_path / "score_distribution.csv")
    figure = draw("plot_score_distribution", tmp_path)
    looks = {t.get_text(): t.get_fontweight() for t in figure.axes[0].texts}
    assert [looks[number] for number in ("60", "50", "10")] == ["normal", "normal", "bold"]


def test_overlap_names_every_pair_and_what_chance_would_give(tmp_path):
    figure = draw("plot_overlap", write_tables(tmp_path))
    numbers = [text for axes in figure.axes for text in axes.texts]
    assert len(numbers) == len(CHOOSERS) * (len(CHOOSERS) - 1) // 2
    assert "20 %\nby chance 0.11" in words(figure)  # 8 of 72 for two of 40 in 200


def test_a_run_without_scores_or_pairs_says_so(tmp_path):
    for table in ("score_distribution", "subset_overlap"):
        declarations.write_table([], table, tmp_path / f"{table}.csv")
    assert "No method" in words(draw("plot_score_distribution", tmp_path))
    assert "No two methods" in words(draw("plot_overlap", tmp_path))


def test_score_distribution_shows_the_largest_sources(tmp_path):
    sources = [f"source_{i:02}" for i in range(30)]
    write_subsets(tmp_path, [Run("", "el2n", "0.2", "0")], sources)
    figure = draw("plot_score_distribution", tmp_path)
    assert "The 14 smallest sources are left out" in words(figure)
    assert_nothing_cut(figure)


def test_unmeasured_costs_are_said_to_be_so(tmp_path):
    write_tables(tmp_path)
    write_costs(tmp_path, [Run("target", "full", "1.0", "0")], measured=False)
    figure = draw("plot_cost", tmp_path)
    assert "No costs were measured" in words(figure)
    assert_nothing_cut(figure)


def test_many_sources_are_drawn_as_twenty(tmp_path):
    sources = [f"source_{i:02}" for i in range(60)]
    write_subsets(tmp_path, [Run("", "random", "0.2", "0")], sources)
    figure = draw("plot_composition", tmp_path)
    assert words(figure).count("source_") == 19
    assert "other sources" in words(figure)
    assert_nothing_cut(figure)


def test_many_tasks(tmp_path):
    tasks = [f"a benchmark {i}" for i in range(24)]
    write_votes(tmp_path, ["0.1"], tasks)
    for script in ("plot_votes", "plot_task_agreement"):
        assert_nothing_cut(draw(script, tmp_path))


def test_without_images_the_contact_sheet_says_so(tmp_path):
    declarations.write_table([], "vote_extremes", tmp_path / "vote_extremes.csv")
    assert "No sample has an image" in words(draw("plot_contact_sheet", tmp_path))


def test_the_same_colour_for_a_method_in_every_figure(tmp_path):
    write_tables(tmp_path)
    expected = Key(CHOOSERS).colour("my_own_method")
    for script in ("plot_relative_performance", "plot_performance_by_ratio", "plot_cost"):
        figure = draw(script, tmp_path)
        drawn = [part.get_color() for axes in figure.axes for part in axes.lines]
        assert expected in drawn


def test_figures_of_selection_say_which_seeds_they_show(tmp_path):
    write_tables(tmp_path, seeds=("2", "10"))
    for script in ("plot_votes", "plot_task_agreement", "plot_composition"):
        assert "mean over selection seeds 2 and 10" in words(draw(script, tmp_path)), script
    for script in ("plot_clusters", "plot_contact_sheet"):
        assert "selection seed 2." in words(draw(script, tmp_path)), script
    assert "12 clusters of" in words(draw("plot_clusters", tmp_path))  # seed 10 has 13
    assert "of the first seed" in words(draw("plot_score_distribution", tmp_path))


def test_agreement_and_votes_are_means_over_seeds(tmp_path):
    write_tables(tmp_path, seeds=("0", "1"))
    agreement = declarations.read_table(tmp_path / "task_agreement.csv", "task_agreement")
    tasks, values = plot_task_agreement.matrix(agreement, "spearman")
    pair = agreement[(agreement["task_a"] == tasks[0]) & (agreement["task_b"] == tasks[1])]
    assert len(pair) == 2 and values[0, 1] == values[1, 0] == pair["spearman"].mean()
    histogram = declarations.read_table(tmp_path / "votes_histogram.csv", "votes_histogram")
    ((_, own),) = plot_votes.mean_subsets(histogram)
    expected = histogram.groupby("votes")["n"].mean()
    assert len(set(histogram["n"])) > len(expected)
    assert (own.set_index("votes")["n"] - expected).abs().max() <= 0.5
