"""YAML files, read safely and to the letter, and ``~`` in the paths of a config.

Keys are texts, and none is there twice.

Read by the workflow, so beside the standard library it imports yaml only, and what of ours does so.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from vlselect.config.checks import ConfigError

DEEPEST = 64  # lists and mappings in each other; from some thousand on, the C loader crashes
LARGEST = 100_000  # nodes of a file, with what its aliases repeat


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """A safe loader that refuses mappings of which YAML would keep a part only."""

    def get_single_node(self) -> yaml.Node | None:
        """Return the file's node, checked before what is merged (<<) adds to its mappings."""
        root = super().get_single_node()
        self._problems: list[str] = []
        if self._check(root, {}) > LARGEST:
            self._problems.append(f"its aliases make more than {LARGEST} values of it")
        if self._problems:
            raise ConfigError("\n".join(self._problems))
        return root

    def _check(self, node: yaml.Node | None, sizes: dict[int, int | None]) -> int:
        """Check a node; return its size, by which a repeated one counts again."""
        if not isinstance(node, yaml.CollectionNode):
            return 1
        if id(node) not in sizes:
            sizes[id(node)] = None
            if isinstance(node, yaml.SequenceNode):
                parts = node.value
            else:
                self._check_keys([key for key, _ in node.value])
                parts = [value for _, value in node.value]
            sizes[id(node)] = 1 + sum(self._check(part, sizes) for part in parts)
        size = sizes[id(node)]
        if size is None:
            line = node.start_mark.line + 1
            raise ConfigError(f"line {line}: in what begins here is an alias of what it is in")
        return size

    def _check_keys(self, keys: list[yaml.Node]) -> None:
        lines: dict[str, int] = {}
        for key in keys:
            line, kind = key.start_mark.line + 1, key.tag.rpartition(":")[2]
            written = key.value if isinstance(key, yaml.ScalarNode) else "this"
            if kind not in ("str", "merge"):
                self._problems.append(
                    f"line {line}: a key is a text, but YAML reads {written} as {kind}; "
                    f'write it in quotes: "{written}"'
                )
            elif written in lines:
                self._problems.append(
                    f"line {line}: the key {written!r} is in line {lines[written]} already; "
                    "YAML would take the last and drop the others"
                )
            lines[written] = line


def read_yaml(path: str | Path) -> object:
    """Read a YAML file, or a JSON file.

    Raises
    ------
    ConfigError
        If a mapping has a key twice, or one that YAML does not read as text, such as ``yes``,
        ``on`` or a number; if values are nested too deeply, or repeated too often by aliases; or if
        the file cannot be read. It names file, line and key of each.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        if text.lstrip().startswith("{"):  # JSON, where tabs are blanks
            text = text.replace("\t", " ")
        _require_flat(text)
        return yaml.load(text, _Loader)
    except ConfigError as error:
        raise ConfigError(
            "\n".join(f"{path}: {line}" for line in str(error).splitlines())
        ) from error
    except (OSError, ValueError, yaml.YAMLError) as error:  # of a date or number that is none, too
        raise ConfigError(f"{path}: {error}") from error


def _require_flat(text: str) -> None:
    """Check, without recursion, how deep values lie in each other."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            line = event.start_mark.line + 1
            raise ConfigError(f"line {line}: values are nested too deeply, over {DEEPEST} levels")


def expand_home(value: object, schema: Mapping) -> object:
    """Replace ``~`` by the home folder at the beginning of each text whose key is a ``path``.

    Parameters
    ----------
    value : object
        A config or a part of it; changed in place.
    schema : mapping
        Its schema, without references; ``path: true`` marks a key whose texts are paths, also those
        in a list or a mapping.

    Returns
    -------
    object
        The value.
    """
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties") or {}
        marked = {"path": True} if schema.get("path") else {}
        for key, item in value.items():
            value[key] = expand_home(item, {**known.get(key, others), **marked})
    elif isinstance(value, list):
        return [expand_home(item, schema) for item in value]
    elif isinstance(value, str) and schema.get("path"):
        return os.path.expanduser(value)  # noqa: PTH111 (a pattern or a hub id is no Path)
    return value
