"""Rejected records: the exception, and how its details describe a wrong JSON value."""

import json
import re

_MAY_BE_LONE = re.compile(r"\\u[dD][89a-fA-F]")  # the escape of a surrogate, alone or in a pair


class Rejection(Exception):  # noqa: N818 (an outcome, not always an error)
    """A record is not accepted: `reason` is one of the stable codes, `detail` explains it."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def parse_object(raw: str) -> dict:
    """Read a JSON object; all its texts must be Unicode and all its numbers finite.

    Raises Rejection: ``invalid_json``, ``not_an_object``, ``invalid_unicode`` or ``bad_number``.
    """
    _require_unicode(raw, "a byte that is not UTF-8")
    try:
        value = _DECODER.decode(raw)
        if _MAY_BE_LONE.search(raw):
            _require_unicode(json.dumps(value, ensure_ascii=False), "a lone surrogate")
    except json.JSONDecodeError as error:
        raise Rejection("invalid_json", f"{error.msg}, character {error.pos}") from error
    except RecursionError as error:
        raise Rejection("invalid_json", "values are nested too deeply") from error
    except ValueError as error:
        raise Rejection("bad_number", "an integer of too many digits") from error
    if not isinstance(value, dict):
        raise Rejection("not_an_object", f"the record is {kind(value)}: {shorten(raw)}")
    return value


def kind(value: object) -> str:
    """Return the type of a JSON value in plain words."""
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    return names.get(type(value), "true or false" if isinstance(value, bool) else "a number")


def shorten(text: str, width: int = 60) -> str:
    """Return a text in quotes, cut to `width` characters."""
    return repr(text if len(text) <= width else text[:width] + "…")


def _finite(literal: str) -> float:
    """Read a number; NaN, infinity and literals that overflow to infinity are rejected."""
    number = float(literal)
    if number - number != 0:
        raise Rejection("bad_number", f"{shorten(literal)} is not a finite number")
    return number


def _require_unicode(text: str, what: str) -> None:
    """Reject lone surrogates: escaped ones, or those that stand for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 20) : error.end]
        raise Rejection("invalid_unicode", f"{what}: {ascii(around)}") from error


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)
