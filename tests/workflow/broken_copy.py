"""A copy of a mixture with one record spoilt for each reason that a record can be rejected for."""

import copy
import json
import shutil
from pathlib import Path

from PIL import Image


def spoil(mixture: Path, images: Path, folder: Path) -> tuple[list[dict], dict[str, str]]:
    """Write ``mixture.json`` and ``images/`` into `folder`; give the good records and the bad ids.

    Returns
    -------
    good : list of dict
        Records that have to survive, in order.
    bad : dict of str to str
        Expected reason by the sample id in ``rejected.csv`` ("" where there is none).
    """
    good = json.loads(mixture.read_text(encoding="utf-8"))
    base = next(r for r in good if isinstance(r.get("image"), str) and len(r["conversations"]) == 2)
    root = folder / "images"
    shutil.copytree(images, root)  # links would lead out of the image root
    return good, _add_bad(good, base, root, folder)


def _add_bad(good: list[dict], base: dict, root: Path, folder: Path) -> dict[str, str]:
    whole = (root / base["image"]).read_bytes()
    (root / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "unreadable.jpg").write_bytes(b"this is not an image")
    Image.new("1", (9000, 9000)).save(root / "oversized.png")
    (folder / "outside.jpg").write_bytes(whole)
    (root / "link.jpg").symlink_to(folder / "outside.jpg")
    human, answer = base["conversations"]

    def variant(reason: str, **changes) -> dict:
        return {**copy.deepcopy(base), "id": f"bad-{reason}", **changes}

    bad = {
        "not_an_object": "just a string",
        "no_id": {k: v for k, v in base.items() if k != "id"},
        "duplicate_id": copy.deepcopy(base),
        "empty_conversation": variant("empty_conversation", conversations=[]),
        "one_sided_conversation": variant("one_sided_conversation", conversations=[human]),
        "wrong_turn_order": variant("wrong_turn_order", conversations=[answer, human]),
        "empty_turn": variant("empty_turn", conversations=[human, {"from": "gpt", "value": " "}]),
        "image_count_mismatch": variant("image_count_mismatch", image=[base["image"]] * 2),
        "missing_image": variant("missing_image", image="no/such/file.jpg"),
        "unreadable_image": variant("unreadable_image", image="unreadable.jpg"),
        "truncated_image": variant("truncated_image", image="truncated.jpg"),
        "oversized_image": variant("oversized_image", image="oversized.png"),
        "image_outside_root": variant("image_outside_root", image="../outside.jpg"),
    }
    linked = variant("image_outside_root-link", image="link.jpg")
    mixed = list(good)
    for i, record in enumerate([*bad.values(), linked]):
        mixed.insert((i + 2) * 37, record)
    (folder / "mixture.json").write_text(json.dumps(mixed), encoding="utf-8")
    expected = {r["id"]: reason for reason, r in bad.items() if isinstance(r, dict) and "id" in r}
    return {**expected, linked["id"]: "image_outside_root"}
