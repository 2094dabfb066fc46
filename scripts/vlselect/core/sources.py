"""Find the source files of a script from its import statements, without running it.

Used by the workflow (``code()`` in rules/functions/common.smk) to make code an input of each rule,
and by scripts to record the digest of the code that wrote a file. Standard library only.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2]
PACKAGE = "vlselect"


def imported_sources(*entries: str | Path) -> list[Path]:
    """List the given files and every module of this project that they import, transitively.

    Entries are files, absolute or relative to ``scripts/``; modules imported by a computed name
    (methods, metrics) must be listed beside the script. Returns absolute paths: the entries in
    their order, then the imported modules, sorted. Raises FileNotFoundError if an entry does not
    exist.
    """
    first = [(SCRIPTS / entry).resolve() for entry in entries]
    for path in first:
        if not path.is_file():
            raise FileNotFoundError(f"no such source file: {path}")
    seen, queue = set(first), list(first)
    while queue:
        for path in _imports(queue.pop()):
            if path not in seen:
                seen.add(path)
                queue.append(path)
    return first + sorted(seen - set(first))


def code_digest(paths: Iterable[Path]) -> str:
    """Return the sha256 (hex) of names, relative to ``scripts/``, and contents of source files."""
    total = hashlib.sha256()
    for path in sorted(paths):
        name = path.relative_to(SCRIPTS).as_posix() if path.is_relative_to(SCRIPTS) else path.name
        total.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _imports(path: Path) -> tuple[Path, ...]:
    """Return the project's files that one file imports, at any depth of its code."""
    return _imports_at(path, path.stat().st_mtime_ns)


@cache
def _imports_at(path: Path, _modified: int) -> tuple[Path, ...]:
    """Parse a file once for all rules whose scripts share it, and again if it changes."""
    found = []
    for node in _statements(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.split(".")[0] == PACKAGE:
                stem = SCRIPTS / Path(*name.split("."))
                found += [p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.exists()]
    return tuple(found)


def _statements(block: ast.AST) -> Iterator[ast.AST]:
    """Yield all statements in a block, at any depth; expressions, which most nodes are, are not."""
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        for node in getattr(block, part, ()):
            yield node
            yield from _statements(node)
