"""Make a static page to browse the samples, with each method's scores and choices.

Writes one HTML file and, beside it, a folder of thumbnail sheets; both work offline, in any folder.
Of a pool larger than --limit, the page shows samples drawn by a hash of their ids.
"""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from vlselect.core import log, store
from vlselect.core.store import read_parquet
from vlselect.explorer.columns import collect, shown_rows
from vlselect.explorer.page import fill_page
from vlselect.explorer.sheets import ACROSS, TILE, write_sheets
from vlselect.pool import images
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_samples_arguments(parser)
    parser.add_argument("--run", required=True, help="name of the run, for the title")
    parser.add_argument("--limit", type=int, required=True, help="most samples to show")
    parser.add_argument("--pixels", type=int, required=True, help="of an image in full size")
    parser.add_argument("--subsets", type=Path, required=True, help="folder of subsets")
    parser.add_argument("--runs", nargs="+", required=True, help="<method>/<name> of each subset")
    parser.add_argument(
        "--scores", nargs=2, action="append", default=[], metavar=("METHOD", "PATH")
    )
    parser.add_argument("--votes", nargs="?", help="votes/seed-<s>.parquet, if any")
    parser.add_argument("--clusters", nargs="?", help="clusters/assignments.parquet, if any")
    parser.add_argument("--out", type=Path, required=True, help="HTML to write")
    parser.add_argument("--out-images", type=Path, required=True, help="folder of sheets beside it")
    return parser


def read(args: argparse.Namespace) -> tuple[dict, dict[str, int]]:
    """Read what the page shows: its columns, and the checksum of each image by its name."""
    samples = Samples(args.samples)
    rows = shown_rows(samples, args.limit)
    logger.info("%d of %d samples", len(rows), len(samples))
    records = samples.records(rows)
    data = collect(
        records,
        rows,
        n_pool=len(samples),
        subsets={name: read_parquet(args.subsets / f"{name}.parquet") for name in args.runs},
        scores={method: read_parquet(path) for method, path in args.scores},
        votes=read_parquet(args.votes) if args.votes else None,
        clusters=read_parquet(args.clusters) if args.clusters else None,
    )
    return data, {name: c for r in records for name, c in zip(r.images, r.checksums, strict=False)}


def write_thumbnails(
    args: argparse.Namespace, names: list[str], checksums: Mapping[str, int]
) -> list[tuple[int, int]]:
    """Write the sheets into a new folder and replace the old one with it; return images' sizes."""

    def load(name: str) -> Image.Image:
        return images.load(args.images, name, args.max_pixels, checksums.get(name))

    with store.replacing_directory(args.out_images) as folder:
        drawn = write_sheets(names, load, folder, args.pixels)
        return list(log.progress(drawn, total=len(names), description="thumbnails"))


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    data, checksums = read(args)
    with log.timed("thumbnails"):
        sizes = write_thumbnails(args, data["image_names"], checksums)
    data |= {"run": args.run, "sheets": args.out_images.name, "across": ACROSS, "tile": TILE}
    data |= {"sizes": sizes, "pixels": args.pixels}
    with store.replacing(args.out) as path:
        path.write_text(fill_page(data), encoding="utf-8")


if __name__ == "__main__":
    main()
