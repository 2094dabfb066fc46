"""The fingerprint of a random projection, and the refusal to mix two of them.

Inner products of projected vectors mean something only where both were projected by the same map.
Every shard of projected gradients therefore says in its header which map made it, and whoever
combines shards asks here first. Torch-free.
"""

import json
from collections.abc import Mapping, Sequence

from vlselect.core.errors import InputError

KEY = "projection"  # of a shard's header


def encode(fingerprint: Mapping[str, object]) -> str:
    """Write a fingerprint as the JSON text that goes into a shard's header, keys sorted."""
    return json.dumps(dict(fingerprint), sort_keys=True, separators=(",", ":"))


def require_same(
    headers: Sequence[Mapping[str, str]], names: Sequence[str] | None = None
) -> dict[str, object]:
    """Raise unless all shards come from one projection.

    Parameters
    ----------
    headers : sequence of mappings
        Headers of the shards; `projection` holds the fingerprint as JSON.
    names : sequence of str, optional
        What to call the shards in an error, their paths say. Where absent, they are called by the
        part and the rows that their headers give.

    Returns
    -------
    dict
        The one fingerprint.

    Raises
    ------
    ValueError
        If there are no shards, one has no fingerprint, or two differ: the error names the keys
        that differ, with their values, and the two shards.
    """
    if not headers:
        raise InputError("no shards to compare the projections of")
    if names is None:
        names = [f"{h.get('part', '?')}[{h.get('rows', '?')}]" for h in headers]
    first: dict[str, object] | None = None
    for header, name in zip(headers, names, strict=True):
        if KEY not in header:
            raise InputError(f"{name} has no projection fingerprint in its header")
        fingerprint = json.loads(header[KEY])
        first = fingerprint if first is None else first
        if fingerprint != first:
            raise InputError(
                f"gradients were projected differently: {names[0]} and {name} differ in "
                f"{_differences(first, fingerprint)}; collect them anew with one configuration"
            )
    return first


def _differences(one: Mapping[str, object], other: Mapping[str, object]) -> str:
    keys = [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
    return ", ".join(f"{key} ({one.get(key)!r}, {other.get(key)!r})" for key in keys)
