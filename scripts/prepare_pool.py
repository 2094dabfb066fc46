"""Check every record of the pool: accept it as a sample, or reject it with a reason.

Writes the samples in the records' order (a mixture's part by part), the rejected records with their
reasons, and counts with the digests of the files; accepted + rejected = read. Fails if a file
cannot be read or no record of a part is accepted. A trial checks only some of the records: accepted
+ rejected = taken.

With held-out sets, records that copy theirs are rejected too, or are an error that lists them.
"""

import argparse
import logging
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from vlselect.config.record_files import by_part, image_location, record_files
from vlselect.core import log, store
from vlselect.core.digests import file_digest, unchanged
from vlselect.core.errors import InputError
from vlselect.pool import contamination
from vlselect.pool.folder_root import FOLLOW_LINKS
from vlselect.pool.image_roots import ImageRoots
from vlselect.pool.intake import (
    REPEATED_IDS,
    Outcome,
    Tally,
    examine,
    read_location,
    require_key,
    seek_keys,
)
from vlselect.pool.records import ID_KEY, Record, parse_record
from vlselect.pool.samples import REJECTED, RejectionWriter, SamplesWriter, read_ids, unknown_ids
from vlselect.pool.trial_choice import choose, places
from vlselect.tables import contamination as contamination_table

logger = logging.getLogger(__name__)
Parsers = dict[str | None, Callable[[str], Record]]  # of each part


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    where = "file, glob or folder of records; of a mixture, <part>=<location> for each part"
    parser.add_argument("--records", nargs="+", required=True, help=where)
    where = "folder, tars or tables of images, or <part>=<location> for each part"
    parser.add_argument(
        "--images", nargs="*", default=[], help=f"{where}; by default the records' tables"
    )
    what = "links out of a folder of images to follow: those in it, or those behind them too"
    parser.add_argument("--follow-links", choices=FOLLOW_LINKS, help=what)
    parser.add_argument("--max-pixels", type=int, required=True, help="largest image accepted")
    what = "key of a record that names its source; of a mixture, <part>=<key>"
    parser.add_argument("--source-key", nargs="*", default=[], help=what)
    what = f"key of a record's id, likewise; absent: {ID_KEY}"
    parser.add_argument("--id-key", nargs="*", default=[], help=what)
    what = "texts that no turn may contain"
    parser.add_argument("--forbidden", nargs="*", default=[], metavar="TEXT", help=what)
    what = "reject a record with an earlier one's id, or rename it to <id>#2"
    parser.add_argument("--repeated-ids", choices=REPEATED_IDS, required=True, help=what)
    parser.add_argument("--exclude", type=Path, nargs="?", help="ids; see samples.read_ids")
    contamination.add_held_out_argument(parser)
    what = "reject copies of held-out records, or end with an error"
    parser.add_argument("--on-contamination", choices=contamination.ACTIONS, help=what)
    what = "contamination.csv to write, with held-out sets"
    parser.add_argument("--contamination", type=Path, nargs="?", help=what)
    what = "so many records only, each source in its share; absent: all"
    parser.add_argument("--trial", type=int, nargs="?", help=what)
    parser.add_argument("--workers", type=int, default=1, help="threads that decode images")
    parser.add_argument("--samples", type=Path, required=True, help="Parquet to write")
    parser.add_argument("--rejected", type=Path, required=True, help="CSV to write")
    parser.add_argument("--summary", type=Path, required=True, help="JSON of counts to write")
    return parser


def image_roots(args: argparse.Namespace) -> ImageRoots:
    """Return where the images of each part are; checks that all flags are about the same parts."""
    records = by_part(args.records)
    locations = {part: image_location(records[part]) for part in records} | by_part(args.images)
    keys = by_part(args.source_key).keys() | by_part(args.id_key).keys()
    unknown = (locations.keys() | keys) - records.keys()
    if unknown:
        raise InputError(f"no records are given for {', '.join(map(repr, unknown))}")
    roots = ImageRoots(locations, args.follow_links)
    roots.require()
    return roots


def parsers(args: argparse.Namespace, roots: ImageRoots) -> Parsers:
    """Return what reads a record of each part."""
    source_keys, id_keys = by_part(args.source_key), by_part(args.id_key)
    return {
        part: partial(
            parse_record,
            source_key=source_keys.get(part),
            part=part,
            forbidden=args.forbidden,
            id_key=id_keys.get(part, ID_KEY),
            locate=roots.locator(part, location),
        )
        for part, location in by_part(args.records).items()
    }


def take(
    args: argparse.Namespace, parse: Parsers
) -> tuple[set[tuple[str | None, int]] | None, int]:
    """Choose (part, position) of the records of a trial, and count all; None where all count."""
    if args.trial is None:
        return None, 0
    images = by_part(args.images)
    found = (
        places(read_location(location, images.get(part)), parse[part], part)
        for part, location in by_part(args.records).items()
    )
    return choose(chain.from_iterable(found), lambda _: args.trial)


def judge_parts(
    args: argparse.Namespace,
    parse: Parsers,
    roots: ImageRoots,
    taken: set[tuple[str | None, int]] | None,
    excluded: frozenset[str],
) -> Iterator[tuple[str | None, Iterator[Outcome]]]:
    """Yield each part's name and the outcomes of its records, or of those that are taken."""
    images, id_keys = by_part(args.images), by_part(args.id_key)
    source_keys = {part: key for part, key in by_part(args.source_key).items() if key}
    absent = set(source_keys.values())
    for part, location in by_part(args.records).items():
        texts = read_location(location, images.get(part))
        if taken is not None:
            texts = (text for text in texts if (part, text[0]) in taken)  # noqa: B023 (used below)
        outcomes = examine(
            *(texts, parse[part], roots),
            max_pixels=args.max_pixels,
            workers=args.workers,
            part=part,
            repeated_ids=args.repeated_ids,
            id_key=id_keys.get(part, ID_KEY),
            exclude=excluded,
        )
        yield part, seek_keys(require_key(outcomes, id_keys.get(part, ID_KEY)), absent)
    if absent and taken is None:
        named = (part for part, key in source_keys.items() if key in absent)
        where = ", ".join(by_part(args.records)[part] for part in named)
        names = ", ".join(map(repr, sorted(absent)))
        raise InputError(f"{where}: no record has {names}, the key of sources (source_key)")


def write_part(
    outcomes: Iterator[Outcome],
    part: str | None,
    samples: SamplesWriter,
    rejected: RejectionWriter,
    unknown: set[str],
) -> Tally:
    """Write and count the outcomes of a part's records; take their ids out of the unknown ones."""
    tally = Tally()
    for outcome in log.progress(outcomes, description=f"records of {part}" if part else "records"):
        tally.add(outcome)
        unknown.discard(outcome.sample_id)
        if outcome.rejection is None:
            samples.write(outcome.record, outcome.raw)
        else:
            reason, detail = outcome.rejection.reason, outcome.rejection.detail
            own = [] if part is None else [part]
            rejected.write(outcome.position, outcome.sample_id, reason, detail, *own)
    return tally


def conclude_contamination(
    args: argparse.Namespace, held_out: contamination.HeldOut, copies: contamination.Overlap
) -> None:
    """Write the table of copies, or stop where any is an error."""
    overlaps = [copies, *held_out.overlaps()]
    rows = contamination_table.contamination(held_out.sizes, overlaps)
    if args.on_contamination == "error":
        contamination_table.require_none(rows, overlaps)
    with store.replacing(args.contamination) as path:
        contamination_table.write(rows, path)


def write_parts(
    args: argparse.Namespace,
    parse: Parsers,
    roots: ImageRoots,
    taken: set[tuple[str | None, int]] | None,
    samples: SamplesWriter,
    rejected: RejectionWriter,
) -> dict[str | None, Tally]:
    """Write the records of all parts; return each part's counts."""
    digest = contamination.image_digests(roots)
    held_out = contamination.read_held_out(args.held_out)
    copies = contamination.Overlap(contamination_table.POOL)
    excluded = frozenset(read_ids(args.exclude) if args.exclude else ())
    unknown, tallies = set(excluded), {}
    for part, outcomes in judge_parts(args, parse, roots, taken, excluded):
        if held_out.sizes:
            outcomes = contamination.screen(outcomes, held_out, digest, copies)  # noqa: PLW2901
        tallies[part] = tally = write_part(outcomes, part, samples, rejected, unknown)
        logger.info("%s%s", f"{part}: " if part else "", tally.describe())
        if not tally.accepted and (tally.read or taken is None):
            where = by_part(args.records)[part]
            raise InputError(f"{where}: no record was accepted: {tally.describe()}")
    if unknown and taken is None:
        raise unknown_ids("pool.exclude", sorted(unknown), "of no record")
    if args.on_contamination:
        conclude_contamination(args, held_out, copies)
    return tallies


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    mixture = None not in by_part(args.records)
    roots = image_roots(args)
    parse = parsers(args, roots)
    taken, n_records = take(args, parse)
    files = [file for location in by_part(args.records).values() for file in record_files(location)]
    with (
        log.timed("pool"),
        SamplesWriter(args.samples) as samples,
        RejectionWriter(args.rejected, (*REJECTED, *["part"] * mixture)) as rejected,
        unchanged(files),
    ):
        tallies = write_parts(args, parse, roots, taken, samples, rejected)
        digests = {file: file_digest(Path(file)) for file in files}
    summary = Tally.total(tallies.values()).summary() | {"files_sha256": digests}
    if mixture:
        summary["parts"] = {part: tally.counts() for part, tally in tallies.items()}
    if taken is not None:
        summary |= {"read": n_records, "taken": len(taken)}
        logger.info("a trial: %d of %d records are taken", len(taken), n_records)
    store.write_json(summary, args.summary)


if __name__ == "__main__":
    main()
