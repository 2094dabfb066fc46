"""The entry make_explorer on the tiny pool."""

import json
import re

import make_explorer
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps
from tiny_inputs import make_records, prepare
from usual_flags import usual

from vlselect.explorer.columns import LONGEST, longest_shown
from vlselect.explorer.page import encode
from vlselect.explorer.sheets import ACROSS, TILE, write_sheets
from vlselect.pool import images
from vlselect.pool.samples import Samples

N, RUN = 24, "icons/ratio-0.2_seed-0"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "subsets/icons").mkdir(parents=True)
    chosen = pd.DataFrame({"row": [3, 9, 20], "rank": [2, 1, 3], "score": [2.0, 2.0, 1.0]})
    chosen.to_parquet(tmp_path / f"subsets/{RUN}.parquet")
    rng = np.random.default_rng(0)
    votes = pd.DataFrame({"row": range(N), "p": rng.integers(0, 2, N), "q": 1})
    votes.assign(votes=votes["p"] + 1, mean_rank=0.5).to_parquet(tmp_path / "votes.parquet")
    pd.DataFrame({"row": range(N), "cluster": np.arange(N) % 4}).to_parquet(tmp_path / "c.parquet")
    scores = pd.DataFrame({"row": range(N), "score": rng.normal(size=N)})
    scores.loc[5, "score"] = np.nan
    scores.to_parquet(tmp_path / "el2n.parquet")
    return tmp_path


def run(pool, folder, *more):
    make_explorer.main(
        [
            *usual(make_explorer),
            *("--samples", str(pool / "samples.parquet"), "--images", str(pool / "images")),
            *("--run", "tiny", "--subsets", str(folder / "subsets"), "--runs", RUN),
            *("--scores", "el2n", str(folder / "el2n.parquet")),
            *("--votes", str(folder / "votes.parquet"), "--clusters", str(folder / "c.parquet")),
            *("--out", str(folder / "explorer.html"), "--out-images", str(folder / "sheets")),
            *more,
        ]
    )
    page = (folder / "explorer.html").read_text()
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(block)


def test_page_holds_what_the_files_say(tiny_pool, folder):
    data = run(tiny_pool, folder)
    samples = Samples(tiny_pool / "samples.parquet")
    records = samples.records(range(N))
    assert data["id"] == [record.sample_id for record in records]
    assert data["turns"] == [[[t.role, t.text] for t in record.turns] for record in records]
    ranks = data["subsets"][RUN]["rank"]
    assert {row: rank for row, rank in enumerate(ranks) if rank is not None} == {3: 2, 9: 1, 20: 3}
    assert data["scores"]["el2n"][5] is None and data["scores"]["el2n"][4] is not None
    votes = pd.read_parquet(folder / "votes.parquet")
    assert data["votes"]["tasks"] == ["p", "q"]
    assert data["votes"]["total"] == votes["votes"].tolist()
    assert data["cluster"] == [row % 4 for row in range(N)]


def test_tiles_show_the_images_of_the_samples(tiny_pool, folder):
    data = run(tiny_pool, folder)
    for i, name in enumerate(data["image_names"][:5]):
        with Image.open(folder / "sheets/0.jpg") as sheet:
            left, top = TILE * (i % ACROSS), TILE * (i // ACROSS)
            tile = np.asarray(sheet.crop((left, top, left + TILE, top + TILE)), dtype=float)
        image = images.load(tiny_pool / "images", name, 10**8)
        image.thumbnail((TILE, TILE))
        image = ImageOps.contain(image, (TILE, TILE))
        assert max(image.size) == TILE
        x, y = (TILE - image.width) // 2, (TILE - image.height) // 2
        shown = tile[y : y + image.height, x : x + image.width]
        colour = np.asarray(image, dtype=float).mean(axis=(0, 1))
        assert np.abs(shown.mean(axis=(0, 1)) - colour).max() < 8


def test_a_large_pool_is_drawn_from(tiny_pool, folder):
    data = run(tiny_pool, folder, "--limit", "10")
    assert len(data["id"]) == 10 and data["n_pool"] == N
    assert data["row"] == sorted(set(data["row"]))


def test_long_texts_are_cut_and_say_so(folder):
    records = make_records(24)
    texts = ["short", "x" * 5_000_000, "y" * (LONGEST + 1)]
    for record, text in zip(records, texts, strict=False):
        record["conversations"][1]["value"] = text
    prepare(folder, records)
    page = ("--out", str(folder / "e.html"), "--out-images", str(folder / "s"))
    flags = ("--samples", str(folder / "samples.parquet"), "--images", str(folder / "images"))
    flags += ("--subsets", str(folder / "subsets"), "--runs", RUN)
    make_explorer.main([*usual(make_explorer), "--run", "long", *flags, *page])
    assert (folder / "e.html").stat().st_size < 20 * LONGEST
    block = re.search('id="data">(.*?)</script>', (folder / "e.html").read_text())[1]
    shown = [turns[1][1] for turns in json.loads(block)["turns"][:3]]
    ends = [f"x… ({5_000_000 - LONGEST:,} characters more)", "y… (1 characters more)"]
    assert shown == ["short", "x" * (LONGEST - 1) + ends[0], "y" * (LONGEST - 1) + ends[1]]


def test_a_page_has_an_end_however_long_its_texts_are():
    assert longest_shown([]) == longest_shown([LONGEST] * 2, total=2 * LONGEST) == LONGEST
    lengths = [10, 3000, 10**6] * 100
    longest = longest_shown(lengths, total=10**5)
    assert (
        sum(min(n, longest) for n in lengths) <= 10**5 < sum(min(n, 2 * longest) for n in lengths)
    )


def test_data_cannot_leave_its_block():
    nasty = {"text": "</script><script>alert(1)</script><!-- & \u2028"}
    text = encode(nasty)
    assert not set("<>&\u2028") & set(text) and json.loads(text) == nasty
    with pytest.raises(ValueError):
        encode({"score": float("nan")})


def test_nothing_is_fetched(tiny_pool, folder):
    run(tiny_pool, folder)
    page = (folder / "explorer.html").read_text()
    assert "default-src 'none'" in page and "http" not in re.sub(r"http-equiv", "", page)
    assert "innerHTML" not in page


def test_a_line_of_pixels_is_still_a_picture(tmp_path):
    shapes = {"wide": (1000, 1), "tall": (1, 1000), "dot": (1, 1)}
    drawn = write_sheets(list(shapes), lambda name: Image.new("RGB", shapes[name]), tmp_path, 1024)
    assert list(drawn) == list(shapes.values())
    with Image.open(tmp_path / "0.jpg") as sheet:
        dark = np.asarray(sheet.convert("L")) < 128
    for i, (width, height) in enumerate([(TILE, 1), (1, TILE), (TILE, TILE)]):
        tile = dark[:TILE, TILE * i : TILE * (i + 1)]
        assert tile.any(axis=0).sum() == width and tile.any(axis=1).sum() == height
