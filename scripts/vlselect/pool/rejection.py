"""Why a record is turned away, and how a wrong JSON value is named in the reason."""

import json
import re

_MAY_BE_LONE = re.compile(r"\\u[dD][89a-fA-F]")  # the escape of a surrogate, lone or of a pair


class Rejection(Exception):  # noqa: N818 (an outcome, not always an error)
    """A record is not accepted: `reason` is one of the stable codes, `detail` says why."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def parse_object(raw: str) -> dict:
    """Read a JSON object whose texts are all Unicode and whose numbers are all finite.

    Raises
    ------
    Rejection
        ``invalid_json``, ``not_an_object``, ``invalid_unicode`` or ``bad_number``.
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
    """Name a JSON value's type in a reader's words."""
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    return names.get(type(value), "true or false" if isinstance(value, bool) else "a number")


def shorten(text: str, width: int = 60) -> str:
    """Quote a text, cut to some width."""
    return repr(text if len(text) <= width else text[:width] + "…")


def _finite(literal: str) -> float:
    """Read a number; NaN, infinity and what overflows to it cannot be handed on."""
    number = float(literal)
    if number - number != 0:
        raise Rejection("bad_number", f"{shorten(literal)} is not a finite number")
    return number


def _require_unicode(text: str, what: str) -> None:
    """Refuse lone surrogates: escaped ones, or bytes that stand for what was not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 20) : error.end]
        raise Rejection("invalid_unicode", f"{what}: {ascii(around)}") from error


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)
