"""The pages of `make report` on a finished run, read, filtered and clicked in Chromium."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import make_explorer
import pandas as pd
import prepare_pool
import pytest
from browsing import DESK, PHONE, chromium, needs_chromium, visiting
from mini_input import N_GOOD
from PIL import Image
from running import snakemake, succeeded
from usual_flags import usual

pytestmark = needs_chromium
FIRST, SECOND = "icons/ratio-0.2_seed-0", "coincide/ratio-0.2_seed-0"
CAPTIONED = {  # a figure of each category, and words in its caption
    "Subsets": ("composition", "shares of the sources"),
    "Performance": ("relative_performance", "over seeds and questions"),
    "Votes": ("votes", "Samples of the pool by number of votes"),
    "Clusters": ("clusters", "transferability"),
}


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all pages."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def report(mini_run, tmp_path_factory):
    """The output of `snakemake --report`."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    succeeded(snakemake(mini_run.folder, mini_run.config, "--report", path, root=mini_run.root))
    return path


@pytest.fixture(scope="module")
def explorer(mini_run):
    """The page of samples."""
    arguments = ("--cores", "1", "make_explorer")
    succeeded(snakemake(mini_run.folder, mini_run.config, *arguments, root=mini_run.root))
    return mini_run.results / "explorer.html"


@pytest.fixture(scope="module")
def answer(mini_run):
    """The page that answers first."""
    arguments = ("--cores", "1", "make_answer")
    succeeded(snakemake(mini_run.folder, mini_run.config, *arguments, root=mini_run.root))
    return mini_run.results / "answer.html"


@pytest.fixture(scope="module")
def made(mini_run):
    """A row for each sample of the pool: id, source, votes, and rank in both selections."""
    pool = pd.read_parquet(mini_run.results / "pool/samples.parquet")
    made = pool[["sample_id", "source"]].copy()
    votes = pd.read_parquet(mini_run.results / "votes/seed-0.parquet")
    made[["alpha", "votes"]] = votes[["alpha", "votes"]]
    for name in (FIRST, SECOND):
        chosen = pd.read_parquet(mini_run.results / f"subsets/{name}.parquet")
        made[name] = chosen.set_index("row")["rank"]
    scores = pd.read_parquet(mini_run.results / "scores/scalselect/seed-0.parquet")
    made["score"] = scores["score"]
    return made


def picture(visit, name, tmp_path):
    """Take a screenshot and check that it shows more than a few colours."""
    path = tmp_path / f"{name}.png"
    visit.page.screenshot(path=path)
    with Image.open(path) as image:
        assert len(image.convert("RGB").getcolors(10**7)) > 50


def shown(visit):
    """Return the ids of the first cards, and the line with the counts."""
    cards = visit.page.locator(".card b").all_inner_texts()
    return cards, visit.page.locator("#count").inner_text()


def expect(visit, rows, counts=""):
    """Check that the list shows these rows of `made`, in order, and their number."""
    cards, line = shown(visit)
    assert line == f"{len(rows)} of {N_GOOD} samples{counts}"
    assert cards == rows["sample_id"].tolist()[: len(cards)] and bool(cards) == bool(len(rows))


def test_report_has_a_caption_for_every_figure(browser, report, tmp_path):
    with visiting(browser, report) as visit:
        page = visit.page
        page.get_by_text("Run mini").wait_for()
        assert "Seeds: 0, 1 (n = 2" in page.inner_text("body")
        picture(visit, "report", tmp_path)
        for category, (figure, words) in CAPTIONED.items():
            page.get_by_text(category, exact=True).click()
            row = page.locator("tr", has_text=re.compile(figure.replace("_", "[_ ]")))
            row.locator("[iconname=eye]").click()
            image = page.locator(f"img[src*='{figure}.png']")
            image.wait_for()
            assert image.evaluate("image => image.naturalWidth") > 500
            row.locator("[iconname=information-circle]").click()
            page.get_by_text("Description").wait_for()
            caption = page.inner_text("body")
            for text in (words, "Model: target. Seeds: 0, 1.", "n = 330"):
                assert text in caption
            picture(visit, f"report-{category}", tmp_path)
            page.get_by_text("Results", exact=True).click()


def test_the_report_leads_to_the_other_pages(browser, report):
    with visiting(browser, report) as visit:
        for name in ("answer.html", "explorer.html"):
            link = visit.page.get_by_role("link", name=name)
            link.wait_for()
            assert link.evaluate("link => link.href") == (report.parent / name).as_uri()


def test_the_answer_says_what_the_tables_say(browser, answer, mini_run, tmp_path):
    compared = pd.read_csv(mini_run.results / "tables/comparison_with_random.csv")
    with visiting(browser, answer) as visit:
        text = visit.page.inner_text("body")
        for row in compared.to_dict("records"):
            shown = visit.page.locator("tr", has_text=row["method"]).first.inner_text()
            assert f"{row['difference']:+.1f}" in shown
        assert f"of {N_GOOD} samples" in visit.page.inner_text("h1") or "take random" in text
        assert "3 of 333 records (" in text and "No exact copy" in text
        file = visit.page.locator(".file a").first
        chosen = Path(urlsplit(file.evaluate("link => link.href")).path)
        assert len(json.loads(chosen.read_text())) == round(0.2 * N_GOOD)
        assert f"results/mini/{chosen.relative_to(mini_run.results)}" == file.inner_text()
        picture(visit, "answer", tmp_path)


def test_filters_show_what_the_files_say(browser, explorer, made, tmp_path):
    with visiting(browser, explorer) as visit:
        page = visit.page
        expect(visit, made)
        page.select_option("#selection", FIRST)
        page.select_option("#chosen", "in")
        expect(visit, made[made[FIRST].notna()])
        page.select_option("#chosen", "out")
        expect(visit, made[made[FIRST].isna()])
        page.select_option("#source", '"charts"')
        expect(visit, made[made[FIRST].isna() & (made["source"] == "charts")])
        page.select_option("#chosen", "all")
        page.fill("#votes", "2")
        expect(visit, made[(made["votes"] >= 2) & (made["source"] == "charts")])
        page.fill("#votes", "0")
        page.select_option("#voter", label="alpha")
        expect(visit, made[(made["alpha"] == 1) & (made["source"] == "charts")])
        page.fill("#text", "POOL-00")
        few = made["sample_id"].str.startswith("pool-00")
        expect(visit, made[(made["alpha"] == 1) & (made["source"] == "charts") & few])
        picture(visit, "filtered", tmp_path)
        page.fill("#text", "no such words")
        expect(visit, made[:0])


def test_sorting(browser, explorer, made):
    with visiting(browser, explorer) as visit:
        page = visit.page
        page.select_option("#sort", label=f"rank: {FIRST}")
        expect(visit, made.sort_values(FIRST, kind="stable"))
        page.check("#reversed")
        expect(visit, made.sort_values(FIRST, kind="stable", ascending=False))
        page.uncheck("#reversed")
        page.select_option("#sort", label="votes")
        expect(visit, made.sort_values("votes", kind="stable", ascending=False))
        page.select_option("#sort", label="score: scalselect")
        cards, _ = shown(visit)
        scores = made.set_index("sample_id")["score"]
        assert scores[cards].is_monotonic_decreasing and scores[cards[0]] == scores.max()


def test_two_selections_side_by_side(browser, explorer, made, tmp_path):
    first, second = made[FIRST].notna(), made[SECOND].notna()
    parts = {
        "both": first & second,
        "first": first & ~second,
        "second": second & ~first,
        "neither": ~first & ~second,
    }
    sizes = {name: int(part.sum()) for name, part in parts.items()}
    assert min(sizes.values()) > 0
    line = (
        f": {sizes['both']} chosen by both, {sizes['first']} only by {FIRST},"
        f" {sizes['second']} only by {SECOND}, {sizes['neither']} by neither"
    )
    with visiting(browser, explorer) as visit:
        page = visit.page
        assert page.is_disabled("#difference")
        page.select_option("#selection", FIRST)
        page.select_option("#other", SECOND)
        expect(visit, made, line)
        for name, part in parts.items():
            page.select_option("#difference", name)
            what = f" shown; of {N_GOOD} that match the other filters{line}"
            expect(visit, made[part], what)
        page.select_option("#difference", "both")
        best = made[parts["both"]].iloc[0]
        marks = page.locator(".card").first.locator(".first, .second").all_inner_texts()
        assert marks == [f"#{best[name]:.0f} {name}" for name in (FIRST, SECOND)]
        picture(visit, "compared", tmp_path)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_one_sample_in_full(browser, explorer, mini_run, made, size, tmp_path):
    pool = json.loads((mini_run.folder / "data/mixture.json").read_text())
    records = {record["id"]: record for record in reversed(pool)}
    with visiting(browser, explorer, size) as visit:
        page = visit.page
        assert page.is_visible("#controls") == (size == DESK)
        if size == PHONE:
            page.click("summary")
            assert visit.widest() <= 0
        page.select_option("#selection", FIRST)
        page.select_option("#chosen", "in")
        page.select_option("#sort", label=f"rank: {FIRST}")
        if size == PHONE:
            page.click("summary")
        ranked = made.sort_values(FIRST)
        page.locator(".card").first.click()
        for place, step in ((0, "ArrowRight"), (1, "ArrowRight"), (2, "ArrowLeft")):
            sample = ranked.iloc[place]
            about = page.locator("#about")
            assert about.locator("h2").inner_text() == sample["sample_id"]
            turns = records[sample["sample_id"]]["conversations"]
            texts = about.locator(".turn").evaluate_all("turns => turns.map(t => t.textContent)")
            assert texts == [turn["value"] for turn in turns]
            cells = about.locator("tr", has_text=FIRST).locator("td").all_inner_texts()
            assert cells[:2] == [FIRST, str(place + 1)]
            assert f"Votes: {sample['votes']} of 2" in about.inner_text()
            assert about.locator(".picture").count() == ("image" in records[sample["sample_id"]])
            page.keyboard.press(step)
        assert page.locator("#about h2").inner_text() == ranked.iloc[1]["sample_id"]
        assert visit.widest() <= 0 and page.locator("#detail").bounding_box()["width"] > 380
        picture(visit, "sample", tmp_path)
        page.click("#close")
        assert page.is_hidden("#detail")


def test_scrolling_reaches_the_last_sample(browser, explorer, made):
    with visiting(browser, explorer) as visit:
        visit.page.locator("#list").evaluate("list => list.scrollTo(0, list.scrollHeight)")
        last = visit.page.locator(".card b", has_text=made["sample_id"].iloc[-1])
        last.wait_for()
        box = last.bounding_box()
        assert 0 < box["y"] < DESK[1]
        assert visit.page.locator(".card").count() < 20


HOSTILE = [
    "<script>window.hacked = 1; alert(1)</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "</script><script>window.hacked = 1</script>",
    "<svg/onload=alert(1)> &lt;b&gt; {{data.json}} <!--",
    "javascript:alert(1) <a href='http://example.org/'>x</a><iframe srcdoc='<script>alert(1)'>",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A page of samples whose every text tries to be more than text."""
    folder = tmp_path_factory.mktemp("hostile")
    records = []
    for i, text in enumerate(HOSTILE):
        image = f'{i} ") onerror=hacked=1 <img src=x onerror=hacked=1>.png'
        (folder / "images").mkdir(exist_ok=True)
        Image.new("RGB", (30, 20), (200, 40 * i, 0)).save(folder / "images" / image)
        turns = [
            {"from": "human", "value": f"<image>\n{text}"},
            {"from": "gpt", "value": f"{text}?"},
        ]
        records.append({"id": f"{i} {text}", "task": text, "image": image, "conversations": turns})
    (folder / "mixture.json").write_text(json.dumps(records))
    prepare_pool.main(
        [
            *usual(prepare_pool),
            *("--records", str(folder / "mixture.json"), "--images", str(folder / "images")),
            *("--samples", str(folder / "samples.parquet"), "--source-key", "task"),
            *("--rejected", str(folder / "rejected.csv"), "--summary", str(folder / "s.json")),
        ]
    )
    name = "<img src=x onerror=hacked=1>"
    rows = {"row": range(len(HOSTILE))}
    pd.DataFrame({**rows, name: 1, "votes": 1, "mean_rank": 0.5}).to_parquet(folder / "v.parquet")
    ranks = [i + 1 for i in rows["row"]]
    pd.DataFrame({**rows, "rank": ranks, "score": 1.0}).to_parquet(folder / f"{name}.parquet")
    make_explorer.main(
        [
            *usual(make_explorer),
            *("--samples", str(folder / "samples.parquet"), "--images", str(folder / "images")),
            *("--run", HOSTILE[2], "--subsets", str(folder), "--runs", name),
            *("--votes", str(folder / "v.parquet")),
            *("--out", str(folder / "explorer.html"), "--out-images", str(folder / "sheets")),
        ]
    )
    return folder / "explorer.html"


def test_what_users_wrote_is_text_and_nothing_else(browser, hostile, tmp_path):
    with visiting(browser, hostile) as visit:
        page = visit.page
        assert page.inner_text("h1") == page.title() == f"Samples of {HOSTILE[2]}"
        ids = [f"{i} {text}" for i, text in enumerate(HOSTILE)]
        elements = page.locator("script, img, iframe, a, svg").count()
        assert elements == 3  # the data and the script of the page, and its link to the answer
        for i, text in enumerate(HOSTILE):
            page.select_option("#source", json.dumps(text))
            page.locator(".card").first.click()
            assert page.locator("#about h2").inner_text() == ids[i]
            turns = page.locator("#about .turn").evaluate_all("all => all.map(t => t.textContent)")
            assert turns == [f"<image>\n{text}", f"{text}?"]
            assert page.locator("script, img, iframe, a, svg").count() == elements
            picture(visit, f"hostile-{i}", tmp_path)
        assert page.evaluate("window.hacked") is None
