"""Rejected records: the exception, the reading of their JSON, how many there may be.

Reasons, by the module that finds them
--------------------------------------
here : invalid_unicode, invalid_json, not_an_object, bad_number
conversations : bad_type, unsupported_media, empty_conversation, unknown_role, empty_turn,
    image_count_mismatch, image_url, missing_image (shown in the text, named nowhere)
records : no_id, bad_id, bad_source, one_sided_conversation, wrong_turn_order, forbidden_text; of
    tasks: no_answer, no_response
images, image_roots, folder_root : missing_image, unreadable_image, truncated_image,
    oversized_image, image_outside_root
intake : duplicate_id, excluded (`pool.exclude`)
contamination : contaminated (`on_contamination`)
../make_task.py : image_in_test (a validation record that shows an image of the test set)
"""

import json
import math
import re
from collections.abc import Iterator, Mapping

from vlselect.core.errors import InputError

DEEPEST = 64  # objects and lists in each other; Python stops at about 1,000, sooner in later stages
LEFT_OUT = ("excluded", "contaminated")  # reasons of rejection that the config asks for

# Keys for which null says that there is none. So does NaN, as pandas writes what is missing.
MAY_BE_NAN = ("conversations", "messages", "texts", "image", "images")
MAY_BE_NAN += ("video", "videos", "audio", "audios")
_MAY_BE_LONE = re.compile(r"\\u[dD][89a-fA-F]")  # the escape of a surrogate, alone or in a pair
_STRING_OR_NAN = re.compile(r'"(?:[^"\\]|\\.)*"|NaN')


class Rejection(Exception):  # noqa: N818 (an outcome, not always an error)
    """A record is not accepted: `reason` is one of the stable codes, `detail` explains it.

    From a DataLoader's worker it comes with one argument, torch's text of it.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class ImageError(Rejection, InputError):
    """An image cannot be used; `reason` and `detail` as for a record, the detail names the path."""


def parse_object(raw: str) -> dict:
    """Read a JSON object; all its texts must be Unicode and all its numbers finite.

    NaN under one of `MAY_BE_NAN` is read as null.

    Raises Rejection: ``invalid_json``, ``not_an_object``, ``invalid_unicode`` or ``bad_number``.
    """
    _require_unicode(raw, "a byte that is not UTF-8")
    try:
        value = _decode(raw)
        if _MAY_BE_LONE.search(raw):
            _require_unicode(json.dumps(value, ensure_ascii=False), "a lone surrogate")
        too_deep = raw.count("[") + raw.count("{") > DEEPEST and _is_deeper(value, DEEPEST)
    except json.JSONDecodeError as error:
        raise Rejection("invalid_json", f"{error.msg}, character {error.pos}") from error
    except RecursionError:
        too_deep = True
    if too_deep:
        raise Rejection("invalid_json", f"values are nested too deeply, over {DEEPEST} levels")
    if not isinstance(value, dict):
        raise Rejection("not_an_object", f"the record is {kind(value)}: {shorten(raw)}")
    return value


def nan_as_null(raw: str) -> str:
    """Return the JSON text with null for each NaN, which JSON does not have; all else as it is."""
    if "NaN" not in raw:
        return raw
    return _STRING_OR_NAN.sub(lambda found: "null" if found[0] == "NaN" else found[0], raw)


def kind(value: object) -> str:
    """Return the type of a JSON value in plain words."""
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    return names.get(type(value), "true or false" if isinstance(value, bool) else "a number")


def shorten(text: str, width: int = 60) -> str:
    """Return a text in quotes, cut to `width` characters."""
    return repr(text if len(text) <= width else text[:width] + "…")


def _is_deeper(value: object, levels: int) -> bool:
    """Return whether more objects and lists than so many lie in each other."""
    level = [value]
    for _ in range(levels + 1):
        parents = (item for item in level if isinstance(item, dict | list))
        level = [x for p in parents for x in (p.values() if isinstance(p, dict) else p)]
        if not level:
            return False
    return True


def _decode(raw: str) -> object:
    """Decode JSON; where a number is not finite, once more to say which, or to read it as null."""
    try:
        return _DECODER.decode(raw)
    except _NotFiniteError:
        pass
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of more digits than Python converts
        pass
    value = _MARKING_DECODER.decode(raw)
    for path, literal in _odd_numbers(value):
        if literal != "NaN" or not path or path[0] not in MAY_BE_NAN:
            where = f"{'.'.join(map(str, path))!r} is " if path else ""
            if literal == "NaN":
                raise Rejection("bad_number", f"{where}NaN; write null for what is missing")
            what = literal if len(literal) < 60 else "of too many digits"
            raise Rejection("bad_number", f"{where}{what}: not a number of finite size")
    return _DECODER.decode(nan_as_null(raw))


class _NotFiniteError(Exception):
    """A number is NaN, infinite, or overflows to infinity."""


class _Literal(str):
    """A number that cannot be read, as it is written."""


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise _NotFiniteError(literal)
    return number


def _marked(literal: str) -> float | _Literal:
    number = float(literal)
    return number if math.isfinite(number) else _Literal(literal)


def _marked_integer(literal: str) -> int | _Literal:
    try:
        return int(literal)
    except ValueError:
        return _Literal(literal)


def _odd_numbers(value: object, path: tuple = ()) -> Iterator[tuple[tuple, str]]:
    """Yield the keys that lead to each `_Literal`, and its text."""
    if isinstance(value, _Literal):
        yield path, str(value)
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _odd_numbers(item, (*path, key))


def _require_unicode(text: str, what: str) -> None:
    """Reject lone surrogates: escaped ones, or those that stand for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 20) : error.end]
        raise Rejection("invalid_unicode", f"{what}: {ascii(around)}") from error


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)
_MARKING_DECODER = json.JSONDecoder(
    parse_float=_marked, parse_int=_marked_integer, parse_constant=_marked
)


def lost_records(summary: Mapping) -> int:
    """Count the rejected records of pool/summary.json that the config did not ask to leave out."""
    reasons = summary["rejected_by_reason"]
    return sum(count for reason, count in reasons.items() if reason not in LEFT_OUT)


def require_few_rejected(summary: Mapping, share: float) -> None:
    """Check that no more than a share of the pool's records was rejected.

    Parameters
    ----------
    summary : mapping
        From `Tally.summary`, as pool/summary.json has it. Records that the config leaves out do not
        count (`lost_records`).
    share : float
        Of the records that were read, or taken in a trial.

    Raises
    ------
    InputError
        With the numbers and reasons.
    """
    n, lost = summary.get("taken", summary["read"]), lost_records(summary)
    if lost > share * n:
        reasons = summary["rejected_by_reason"].items()
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons)
        raise InputError(
            f"{lost} of {n} records were rejected ({counts}; pool/rejected.csv has them all), more "
            f"than the share of {share:g} that the config allows (pool.max_rejected)"
        )
