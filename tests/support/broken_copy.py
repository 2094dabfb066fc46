"""A copy of a mixture with one spoilt record for each reason of rejection."""

import json
import shutil
from pathlib import Path

from PIL import Image


def spoil(
    mixture: Path, images: Path, folder: Path, *, lines: bool = False
) -> tuple[list[dict], list[tuple]]:
    """Write ``mixture.json`` and ``images/`` into `folder`, with bad records among the good.

    With `lines` the file is JSON lines, and one line is not JSON.

    Returns
    -------
    good : list of dict
        Records that must be accepted, in order.
    bad : list of (int, str, str)
        Position in the mixture, sample id ("" if it has none) and reason of every other record.
    """
    good = json.loads(mixture.read_text(encoding="utf-8"))
    base = next(r for r in good if "image" in r and len(r["conversations"]) == 2)
    shutil.copytree(images, folder / "images")  # links to single files would lead out of the root
    _add_bad_images(folder, (folder / "images" / base["image"]).read_bytes())
    mixed, bad = list(good), []
    for place, (reason, record) in enumerate(_bad_records(base), start=2):
        position = place * 37  # from 0, and after the base, so that its duplicate comes second
        mixed.insert(position, record)
        name = record.get("id", "") if isinstance(record, dict) else ""
        bad.append((position, name if isinstance(name, str) else "", reason))
    text = json.dumps(mixed)
    if lines:
        bad.append((len(mixed), "", "invalid_json"))
        text = "".join(json.dumps(record) + "\n" for record in mixed) + '{"id": "cut off", "conv\n'
    (folder / "mixture.json").write_text(text, encoding="utf-8")
    return good, bad


def _add_bad_images(folder: Path, whole: bytes) -> None:
    root = folder / "images"
    (root / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "unreadable.jpg").write_bytes(b"this is not an image")
    Image.new("1", (9000, 9000)).save(root / "oversized.png")
    (folder / "outside.jpg").write_bytes(whole)


def _bad_records(base: dict) -> list[tuple[str, object]]:
    """Return one or more (reason, record) for each reason, made from a good one-image record."""
    human, answer = base["conversations"]
    mixed_up = [{**human, "from": "narrator"}, answer]
    number = {**answer, "value": 1e999}

    def variant(reason: str, **changes: object) -> tuple[str, dict]:
        return reason, {**base, "id": f"bad-{reason}-{'-'.join(changes)}", **changes}

    return [
        ("not_an_object", "just a text"),
        ("no_id", {**base, "id": ""}),
        ("duplicate_id", dict(base)),
        variant("bad_type", conversations="a text"),
        ("bad_type", {**base, "id": ["a list"]}),
        variant("bad_number", conversations=[human, number]),
        variant("invalid_unicode", conversations=[human, {**answer, "value": "\ud800"}]),
        variant("unsupported_media", video="film.mp4"),
        variant("unknown_role", conversations=mixed_up),
        variant("empty_conversation", conversations=[]),
        variant("one_sided_conversation", conversations=[human]),
        variant("wrong_turn_order", conversations=[answer, human]),
        variant("empty_turn", conversations=[human, {**answer, "value": " "}]),
        variant("image_count_mismatch", image=[base["image"]] * 2),
        variant("missing_image", image="no/such/file.jpg"),
        variant("unreadable_image", image="unreadable.jpg"),
        variant("truncated_image", image="truncated.jpg"),
        variant("oversized_image", image="oversized.png"),
        variant("image_outside_root", image="../outside.jpg"),
        ("image_outside_root", {**base, "id": "bad-absolute", "image": "/etc/hostname"}),
    ]
