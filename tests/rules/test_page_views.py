"""The pages as people use them: by mouse, by keys, with a screen reader, in the dark, on paper."""

import make_answer
import make_explorer
import numpy as np
import pandas as pd
import pytest
from answer_tables import write_tables
from browsing import DESK, PHONE, chromium, needs_chromium, visiting
from PIL import Image, ImageDraw
from tiny_inputs import make_records, prepare
from usual_flags import usual

pytestmark = needs_chromium
N, FIRST, SECOND = 300, "icons/ratio-0.3_seed-0", "random/ratio-0.3_seed-0"
ROWS = np.arange(N)
CHOSEN = {FIRST: ROWS % 3 == 0, SECOND: (ROWS % 2 == 0) & (ROWS < 200)}
CHART, WIDE = 0, 1  # rows with larger images


def chart():
    """Draw bars with numbers of 12 pixels: too small to be read in a thumbnail."""
    image = Image.new("RGB", (900, 600), "white")
    pen = ImageDraw.Draw(image)
    for i, height in enumerate((120, 340, 510, 260, 430, 90)):
        pen.rectangle((60 + 140 * i, 560 - height, 150 + 140 * i, 560), fill=(60, 90 + 20 * i, 170))
        pen.text((90 + 140 * i, 540 - height), f"{height}.5", fill="red")
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both pages, of a pool with two larger images; `pool.csv` says what is on them."""
    folder = tmp_path_factory.mktemp("pages")
    records = make_records(N)
    wide = Image.new("RGB", (3000, 200), "teal")
    pictures = [(records[CHART]["image"], chart()), (records[WIDE]["image"], wide)]
    prepare(folder, records, pictures)
    for name, chosen in CHOSEN.items():
        path = folder / f"subsets/{name}.parquet"
        path.parent.mkdir(parents=True)
        rows = np.flatnonzero(chosen)
        pd.DataFrame({"row": rows, "rank": range(1, len(rows) + 1), "score": 1.0}).to_parquet(path)
    pd.DataFrame({"row": ROWS, "cluster": ROWS % 40}).to_parquet(folder / "clusters.parquet")
    votes = {"row": ROWS, "a": ROWS % 2, "b": ROWS % 3 == 0, "mean_rank": 0.5}
    votes = pd.DataFrame(votes).assign(votes=lambda table: table["a"] + table["b"])
    votes.astype({"b": int}).to_parquet(folder / "votes.parquet")
    tables = write_tables(folder, {"random": 0.0, "icons": 8.0}, 2, "0.3")
    common = ("--run", "views", "--samples", folder / "samples.parquet")
    common += ("--images", folder / "images", "--subsets", folder / "subsets", "--runs", *CHOSEN)
    images = ("--out", folder / "explorer.html", "--out-images", folder / "sheets")
    signals = ("--clusters", folder / "clusters.parquet", "--votes", folder / "votes.parquet")
    flags = (*common, *signals, *images)
    make_explorer.main([*usual(make_explorer), *map(str, flags)])
    flags = (*common, "--composition", folder / "composition.csv", "--compared", *tables)
    flags += ("--out", folder / "answer.html")
    make_answer.main([*map(str, flags)])
    return folder


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def made(folder):
    """Id, source, cluster and both choices of each row."""
    pool = pd.read_parquet(folder / "samples.parquet")[["sample_id", "source"]]
    return pool.assign(cluster=ROWS % 40, first=CHOSEN[FIRST], second=CHOSEN[SECOND])


def focused(page):
    return page.evaluate("document.activeElement.textContent")


def boxes(locator):
    """Return left, top, right and bottom of elements."""
    return locator.evaluate_all(
        "all => all.map(e => { const b = e.getBoundingClientRect();"
        " return [b.left, b.top, b.right, b.bottom]; })"
    )


def overlap(found):
    """Return whether any two of the boxes overlap by more than rounding."""
    return any(
        a[0] < b[2] - 1 and b[0] < a[2] - 1 and a[1] < b[3] - 1 and b[1] < a[3] - 1
        for i, a in enumerate(found)
        for b in found[:i]
    )


@pytest.mark.parametrize(("size", "columns", "least"), [(DESK, 6, 180), (PHONE, 2, 150)])
def test_the_gallery_shows_pictures_side_by_side(browser, folder, made, size, columns, least):
    with visiting(browser, folder / "explorer.html", size) as visit:
        page = visit.page
        page.get_by_text("Gallery").click()
        tiles = page.locator("#items .tile")
        found = boxes(tiles)
        assert len({round(left) for left, *_ in found}) == columns and not overlap(found)
        assert boxes(tiles.locator(".picture"))[0][2] - found[0][0] > least and visit.widest() <= 0
        assert tiles.locator("b").all_inner_texts() == made["sample_id"].tolist()[: len(found)]
        assert len(found) < 60  # only the visible ones exist
        assert tiles.nth(0).locator(".mark").all_inner_texts() == ["#1"]
        assert tiles.nth(1).locator(".mark").count() == 0
        page.locator("#list").evaluate("list => list.scrollTo(0, list.scrollHeight)")
        last = tiles.locator("b", has_text=made["sample_id"].iloc[-1])
        last.wait_for()
        assert 0 < last.bounding_box()["y"] < size[1]


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_a_long_id_leaves_room_for_the_cluster(browser, folder, size):
    with visiting(browser, folder / "explorer.html", size) as visit:
        visit.page.evaluate("data.id[0] = data.source[0] = 'train2017/000000123456.jpg'.repeat(9)")
        visit.page.evaluate("draw()")
        card = visit.page.locator('.card[data-sample="0"]')
        (_, top, right, bottom), *parts = boxes(card.locator(".head, .head > *"))
        assert card.locator(".head").inner_text().endswith("cluster 0\n1 vote") and len(parts) == 4
        assert all(p[1] >= top - 1 and p[2] <= right + 1 and p[3] <= bottom + 1 for p in parts)
        assert not overlap(parts)


def test_the_keyboard_reaches_every_sample(browser, folder, made):
    ids = made["sample_id"].tolist()
    with visiting(browser, folder / "explorer.html") as visit:
        page = visit.page
        page.focus("[value=list]")
        page.keyboard.press("ArrowRight")
        assert page.locator("#items .tile").count()
        page.locator(".name").first.focus()
        for key, at in [("ArrowRight", 1), ("ArrowDown", 7), ("ArrowLeft", 6), ("ArrowUp", 0)]:
            page.keyboard.press(key)
            assert focused(page) == ids[at]
        page.keyboard.press("End")
        assert focused(page) == ids[-1]
        page.keyboard.press("Enter")
        assert page.locator("#detail h2").inner_text() == focused(page) == ids[-1]
        page.keyboard.press("ArrowLeft")
        assert focused(page) == ids[-2] and page.locator("#detail h2").inner_text() == ids[-2]
        page.keyboard.press("Escape")
        assert page.is_hidden("#detail") and focused(page) == ids[-2]
        card = page.locator(".card:focus-within")
        assert card.get_attribute("aria-posinset") == str(N - 1)
        assert card.get_attribute("aria-setsize") == str(N)


def test_opening_a_sample_leaves_the_list_where_it_is(browser, folder, made):
    with visiting(browser, folder / "explorer.html") as visit:
        page = visit.page
        page.locator("#list").evaluate("list => list.scrollTo(0, 5000)")
        page.locator(".card b", has_text=made["sample_id"][30]).click()
        assert page.locator("#list").evaluate("list => list.scrollTop") == 5000
        page.keyboard.press("Escape")
        assert page.locator("#list").evaluate("list => list.scrollTop") == 5000


@pytest.mark.parametrize(
    ("row", "size", "words"),
    [(CHART, [900, 600], "900 × 600"), (WIDE, [1024, 68], "3000 × 200, here 1024 at most")],
)
def test_a_chart_can_be_read(browser, folder, made, row, size, words, tmp_path):
    with visiting(browser, folder / "explorer.html") as visit:
        page = visit.page
        page.locator(".card").nth(row).click()
        assert page.locator(".zoom img").bounding_box()["width"] > 600
        page.click(".zoom")
        image = page.locator("#picture img")
        image.evaluate("image => image.decode()")
        assert image.evaluate("i => [i.naturalWidth, i.naturalHeight]") == size
        assert image.bounding_box()["width"] == size[0]
        assert page.inner_text("#size").endswith(words)
        page.screenshot(path=tmp_path / "full.png")
        page.keyboard.press("Escape")
        assert page.is_hidden("#full") and page.is_visible("#detail")
        page.click("#close")
        page.locator(".card").nth(3).click()
        assert page.locator("#detail .picture").count() and not page.locator(".zoom").count()


def test_large_pictures_are_as_sharp_as_the_originals(folder, made):
    record = make_records(1)[0]
    with Image.open(folder / "images" / record["image"]) as image:
        own = np.asarray(image.convert("RGB"), dtype=float)
    with Image.open(folder / "sheets/large/0.jpg") as image:
        assert image.size == (900, 600)
        assert np.abs(np.asarray(image, dtype=float) - own).max() < 100  # red letters too
    assert sorted(p.name for p in (folder / "sheets/large").iterdir()) == ["0.jpg", "1.jpg"]


def counted(page, title):
    """Return the table below a title: the numbers of each row, by its name."""
    box = page.locator("#compared section", has=page.locator("h2", has_text=title))
    rows = box.locator("tr").filter(has=page.locator("button"))
    cells = [row.locator("th, td").all_inner_texts()[:4] for row in rows.all()]
    return {name: [int(n) for n in numbers] for name, *numbers in cells}


def expected(made, what):
    parts = [made["first"] & ~made["second"], made["first"] & made["second"]]
    parts.append(made["second"] & ~made["first"])
    counts = {str(key): [int(p[own.index].sum()) for p in parts] for key, own in made.groupby(what)}
    return {key: found for key, found in counts.items() if any(found)}


def test_the_difference_of_two_selections(browser, folder, made):
    with visiting(browser, folder / "explorer.html") as visit:
        page = visit.page
        page.get_by_text("Difference").click()
        assert page.input_value("#other") == SECOND  # the next one, where none was chosen
        assert counted(page, "By source") == expected(made, "source")
        clusters, all_clusters = counted(page, "By cluster"), expected(made, "cluster")
        assert len(clusters) == 10 < len(all_clusters)
        assert clusters.items() <= all_clusters.items()
        apart = sorted((abs(a - b) for a, _, b in all_clusters.values()), reverse=True)
        assert [abs(a - b) for a, _, b in clusters.values()] == apart[:10]
        only = made[made["first"] & ~made["second"]]
        pile = page.locator(".pile").first
        assert pile.locator("h2").inner_text() == f"{len(only)} only {FIRST}"
        assert pile.locator("b").all_inner_texts() == only["sample_id"].tolist()[:30]
        for have in range(30, len(only), 30):
            pile.get_by_text(f"Show more ({len(only) - have} left)").click()
        assert pile.locator(".more").is_hidden()
        assert pile.locator("b").all_inner_texts() == only["sample_id"].tolist()
        page.get_by_role("button", name="x", exact=True).click()
        of_x = made[made["source"] == "x"]
        assert counted(page, "By source") == expected(of_x, "source")
        assert page.input_value("#source") == '"x"'
        pile.locator(".card").first.click()
        shown = page.locator("#detail h2").inner_text()
        assert shown == only[only["source"] == "x"]["sample_id"].iloc[0]


def test_one_selection_has_no_difference(browser, folder):
    with visiting(browser, folder / "explorer.html") as visit:
        page = visit.page
        page.get_by_text("Difference").click()
        page.select_option("#other", FIRST)
        assert "Choose two selections" in page.inner_text("#compared")


VIEWS = {
    "list": [],
    "gallery": ["Gallery"],
    "difference": ["Difference"],
    "sample": [".card"],
    "picture": [".card", ".zoom"],
}


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", [*VIEWS, "answer"])
def test_axe_finds_nothing(browser, folder, view, scheme, size):
    page_of = folder / ("answer.html" if view == "answer" else "explorer.html")
    with visiting(browser, page_of, size) as visit:
        visit.page.emulate_media(color_scheme=scheme)
        for what in VIEWS.get(view, []):
            if what[0] == ".":
                visit.page.locator(what).first.click()
            else:
                visit.page.get_by_text(what).click()
        assert visit.violations() == [] and visit.widest() <= 0


@pytest.mark.parametrize("name", ["answer.html", "explorer.html"])
def test_dark_is_dark_and_paper_is_white(browser, folder, name):
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    ink = "getComputedStyle(document.body).color.match(/\\d+/g).map(Number)"
    with visiting(browser, folder / name) as visit:
        page = visit.page
        assert min(page.evaluate(ground)) > 200 and max(page.evaluate(ink)) < 80
        page.emulate_media(color_scheme="dark")
        assert max(page.evaluate(ground)) < 80 and min(page.evaluate(ink)) > 200
        page.emulate_media(color_scheme="dark", media="print")
        assert min(page.evaluate(ground)) == 255 and max(page.evaluate(ink)) < 80


@pytest.mark.parametrize("view", ["List", "Gallery"])
def test_the_first_samples_are_printed(browser, folder, made, view):
    with visiting(browser, folder / "explorer.html") as visit:
        page = visit.page
        page.get_by_text(view, exact=True).click()
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        cards = page.locator(".card")
        assert cards.locator("b").all_inner_texts() == made["sample_id"].tolist()[:100]
        assert not overlap(boxes(cards)) and page.is_hidden("#controls")
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert cards.count() < 60 and not overlap(boxes(cards))
        page.emulate_media(media="print")
        assert page.pdf().count(b"/Type /Page\n") > 5


def test_an_open_sample_is_printed_alone(browser, folder):
    with visiting(browser, folder / "explorer.html") as visit:
        visit.page.locator(".card").first.click()
        visit.page.emulate_media(media="print")
        assert visit.page.is_visible("#detail h2") and visit.page.is_hidden("#items")
