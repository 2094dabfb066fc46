"""The fingerprint of a random projection, and a check that all shards have the same one.

Inner products of projected vectors are meaningful only if both were projected by the same map. The
header of every shard of projected gradients therefore identifies its map, and code that combines
shards checks it here first. Torch-free.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from vlselect.core.errors import InputError
from vlselect.core.shard_files import open_shard

KEY = "projection"  # in a shard's header
PROBE = "probe"  # in a fingerprint: what the map does, rather than what it was made from


def encode(fingerprint: Mapping[str, object]) -> str:
    """Return a fingerprint as JSON text for a shard's header, keys sorted."""
    return json.dumps(dict(fingerprint), sort_keys=True, separators=(",", ":"))


def require_same(
    headers: Sequence[Mapping[str, str]], names: Sequence[str] | None = None
) -> dict[str, object]:
    """Return the fingerprint that all shards share.

    `names` of the shards, such as their paths, are for errors; the default is part and rows in
    their headers.

    Raises
    ------
    ValueError
        If there are no shards, one has no fingerprint, or two differ: names both shards and the
        differing keys with their values.
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
                f"{_differences(first, fingerprint)}; collect them again with one configuration"
            )
    return first


def require_like_finished(path: str | Path, header: Mapping[str, str]) -> None:
    """Check, before a shard is computed, that those beside it were projected by the same map.

    Only finished shards of the same job count, with the same code, model and settings: of another
    one, they are about to be replaced. Theirs can differ where the map depends on the device:
    fast_jl's does on a GPU's number of multiprocessors. InputError names such a shard.
    """
    own = json.loads(header[KEY])
    for other in sorted(set(Path(path).parent.glob("shard-*-of-*.safetensors")) - {Path(path)}):
        found = open_shard(other).metadata
        theirs = json.loads(found.get(KEY, "{}"))
        same = all(found.get(key) == header[key] for key in header if key != KEY)
        if same and theirs != own and theirs | {PROBE: ""} == own | {PROBE: ""}:
            cure = "is the same everywhere, so the file is not what it was: remove it"
            if own["type"] not in ("shifted", "sjlt"):
                cure = (
                    "depends on the kind of GPU: collect all shards on one kind, or set "
                    "gradients.projection.type to shifted"
                )
            raise InputError(
                f"{other} was projected by another map, although its settings are the same: "
                f"{own['type']} {cure}"
            )


def _differences(one: Mapping[str, object], other: Mapping[str, object]) -> str:
    keys = [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
    return ", ".join(f"{key} ({one.get(key)!r}, {other.get(key)!r})" for key in keys)
