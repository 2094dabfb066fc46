"""Sharded arrays on disk for tests."""

from vlselect import store


def write_shards(folder, values, shards=1, **metadata):
    """Write an array as shards; give their paths, the last one first."""
    paths = []
    for number in range(1, shards + 1):
        shard = f"{number}-of-{shards}"
        rows = store.shard_rows(len(values), shard)
        path = folder / f"shard-{shard}.safetensors"
        header = {"rows": f"{rows.start}:{rows.stop}", **metadata}
        shape = (len(rows), *values.shape[1:])
        with store.ShardWriter(path, shape, values.dtype, header) as writer:
            writer.write(slice(None), values[rows.start : rows.stop])
        paths.append(path)
    return paths[::-1]
