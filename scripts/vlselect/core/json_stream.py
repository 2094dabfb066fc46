"""Read records one by one from a JSON list or JSON lines of any size, each as its own JSON text.

The texts are cut out of the file, not rebuilt from parsed values, so number literals, escapes and
key order are unchanged, and an error in the file is reported with its exact byte position. (The C
backend of ijson 3.6 replaces lone surrogates by question marks and, when asked for floats, refuses
integers over 64 bits, so it could not pass records on unchanged.) Files compressed with gzip or
Zstandard are read the same way; bytes are then counted in the text.
"""

import codecs
import json
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NoReturn

from vlselect.core.compressed import open_text
from vlselect.core.errors import InputError

CHUNK = 1 << 20  # bytes read at a time
LONGEST = 1 << 26  # characters or bytes of one record; anything longer means a broken file
_NEAR_END = 16  # characters: the longest token that looks like an error when it is cut off
_SPACE = re.compile(r"[ \t\n\r]*")
_LINE_BREAK = re.compile(r"\n[ \t\r\n]*")  # never inside a JSON string
_RETURN = re.compile(r"[\r\n][ \t\r\n]*")
# The values are discarded; float parses any number, whereas int stops at 4,300 digits.
_DECODER = json.JSONDecoder(parse_int=float)


class RecordsFileError(InputError):
    """A file cannot be read as records; `position` is the byte of the error, counted from 0."""

    def __init__(self, path: str | Path, position: int, problem: str):
        super().__init__(f"{path}, byte {position}: {problem}")
        self.path, self.position = Path(path), position


def read_records(path: str | Path) -> Iterator[tuple[int, str]]:
    """Iterate over the records of a file, with only one record and one chunk in memory.

    A file (UTF-8, with or without a byte order mark) whose first byte, apart from white space, is
    ``[`` is a JSON list; one that starts with ``{`` is JSON lines, with one object per line. It may
    be compressed (`open_text`). The suffix of the name is ignored.

    Yields
    ------
    (int, str)
        Position of the record, counted from 0 without blank lines, and its JSON text on one line.
        A line of JSON lines may be invalid JSON, and bytes that are not UTF-8 become lone
        surrogates (``surrogateescape``), which make the parser reject the record.

    Raises
    ------
    RecordsFileError
        If the file is neither, or a JSON list is broken; names the byte.
    InputError
        If it is no text, or compressed data are broken; names the file.
    """
    path = Path(path)
    with open_text(path) as file:
        start = len(file.read(3)) if file.peek(3).startswith(codecs.BOM_UTF8) else 0
        start, first = _skip_space(file, start)
        if first == b"{":
            lines = _lines(file, path, start)
            begin = list(islice(lines, 2))
            _require_lines(begin, path)
            yield from enumerate(text for _, text in chain(begin, lines))
        else:
            yield from _read_list(_Window(file, path, start))


class _Window:
    """The part of a text file that is in memory, and its position in the file."""

    def __init__(self, file: BinaryIO, path: Path, start: int):
        self._file, self._path = file, path
        self._read = self._base = start  # bytes read so far; byte position of text[0]
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.text, self.at, self.ended = "", 0, False

    def more(self) -> bool:
        """Drop the text before `at` and read on; False if nothing is left to read."""
        if self.ended:
            return False
        self._base += len(self.text[: self.at].encode())
        self.text, self.at = self.text[self.at :], 0
        if len(self.text) > LONGEST:
            self.fail(f"the record that begins here is longer than {LONGEST} characters", 0)
        # Read as much again as is held, so the time for a long record stays linear in its length.
        data = self._file.read(max(CHUNK, len(self.text)))
        self.ended = not data
        pending = len(self._decoder.getstate()[0])
        try:
            self.text += self._decoder.decode(data, final=self.ended)
        except UnicodeDecodeError as error:
            position = self._read - pending + error.start
            cure = "not UTF-8; if it is in another encoding, as LATIN1: iconv -f LATIN1 -t UTF-8"
            raise RecordsFileError(self._path, position, f"{cure} FILE > NEW") from error
        self._read += len(data)
        return True

    def peek(self) -> str:
        """Skip white space and return the next character, "" at the end of the file."""
        while True:
            self.at = _SPACE.match(self.text, self.at).end()
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def value(self) -> str:
        """Move past one JSON value and return its text."""
        self.peek()
        while True:
            problem, where, certain = self._scan()
            if certain and problem:
                self.fail(problem, where)
            if certain:
                text, self.at = self.text[self.at : where], where
                return text
            self.more()

    def _scan(self) -> tuple[str, int, bool]:
        """Try to parse a value: (problem, position, whether more text cannot change this)."""
        try:
            _, end = _DECODER.raw_decode(self.text, self.at)
        except json.JSONDecodeError as error:
            cut_off = error.msg.startswith("Unterminated string")
            cut_off = cut_off or error.pos > len(self.text) - _NEAR_END
            at_end = error.pos == len(self.text)
            problem = "the file ends inside the list" if at_end else error.msg
            return problem, error.pos, self.ended or not cut_off
        except RecursionError:
            return "values are nested too deeply", self.at, True
        # The rest of a number may not be read yet: so far 1e-5 may be "1", "1e" or "1e-".
        return "", end, self.ended or end + 2 < len(self.text)

    def fail(self, problem: str, where: int) -> NoReturn:
        """Raise an error at a character of the window, with its byte position in the file."""
        position = self._base + len(self.text[:where].encode())
        raise RecordsFileError(self._path, position, problem)


def _read_list(window: _Window) -> Iterator[tuple[int, str]]:
    """Yield the elements of a JSON list."""
    first = window.peek()
    if first != "[":
        problem = f"{first!r} begins neither a JSON list nor a line with a JSON object"
        window.fail(problem if first else "the file is empty", window.at)
    window.at += 1
    separator = "," if window.peek() != "]" else "]"
    position = 0
    while separator == ",":
        yield position, _on_one_line(window.value())
        position += 1
        separator = window.peek()
        if not separator:
            window.fail("the file ends inside the list", window.at)
        if separator not in ",]":
            window.fail(f"expected ',' or ']' after a record, found {separator!r}", window.at)
        window.at += separator == ","
    window.at += 1
    if window.peek():
        window.fail("text after the end of the list", window.at)


def _on_one_line(text: str) -> str:
    """Replace each line break between tokens, with its indentation, by a space."""
    pattern = _RETURN if "\r" in text else _LINE_BREAK  # a fixed first character is faster to find
    return pattern.sub(" ", text)


def _skip_space(file: BinaryIO, position: int) -> tuple[int, bytes]:
    """Read up to the first byte that is not white space; return its position and the byte."""
    while block := file.peek(1):
        blank = len(block) - len(block.lstrip(b" \t\r\n"))
        position += len(file.read(blank))
        if blank < len(block):
            return position, block[blank : blank + 1]
    return position, b""


def _lines(file: BinaryIO, path: Path, position: int) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, each with the position of its first byte."""
    while line := file.readline(LONGEST + 1):
        if len(line) > LONGEST:
            raise RecordsFileError(path, position, f"a line of more than {LONGEST} bytes")
        if text := line.strip(b" \t\r\n"):
            skipped = len(line) - len(line.lstrip(b" \t\r\n"))
            yield position + skipped, text.decode("utf-8", "surrogateescape")
        position += len(line)


def _require_lines(lines: list[tuple[int, str]], path: Path) -> None:
    """Reject a file that has no complete object on `lines`, its first two.

    One broken line is a broken record, but a JSON object spread over several lines is not a file of
    records.
    """
    problem = None
    for position, text in lines:
        try:
            if isinstance(json.JSONDecoder(parse_int=float).decode(text), dict):
                return
        except json.JSONDecodeError as error:
            where = position + len(text[: error.pos].encode("utf-8", "surrogateescape"))
            what = "neither a JSON list nor JSON lines, with one object on each line"
            whole = "; if the file is one JSON object, write the list of its records alone"
            problem = problem or (where, f"{what}: {error.msg}{whole}")
        except RecursionError:
            problem = problem or (position, "values are nested too deeply")
    raise RecordsFileError(path, *problem)
