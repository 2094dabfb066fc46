"""Paths in the config that begin with ``~``. Standard library only."""

import os
from collections.abc import Mapping


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
