"""YAML files, read safely and to the letter, and ``~`` in the paths of a config.

Keys are texts, and none is there twice.

Read by the workflow, so beside the standard library it imports yaml only, and what of ours does so.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from vlselect.config.checks import ConfigError


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """A safe loader that refuses mappings of which YAML would keep a part only."""

    def get_single_node(self) -> yaml.Node | None:
        """Return the file's node, checked before what is merged (<<) adds to its mappings."""
        root = super().get_single_node()
        self._problems: list[str] = []
        self._check(root, set())
        if self._problems:
            raise ConfigError("\n".join(self._problems))
        return root

    def _check(self, node: yaml.Node | None, seen: set[int]) -> None:
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            return
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            parts = node.value
        else:
            self._check_keys([key for key, _ in node.value])
            parts = [value for _, value in node.value]
        for part in parts:
            self._check(part, seen)

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
        ``on`` or a number; or if the file cannot be read. It names file, line and key of each.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        json = text.lstrip().startswith("{")  # where tabs are blanks
        return yaml.load(text.replace("\t", " ") if json else text, _Loader)
    except ConfigError as error:
        raise ConfigError(
            "\n".join(f"{path}: {line}" for line in str(error).splitlines())
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error


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
