"""Sharded arrays on disk for tests."""

import numpy as np
from safetensors.numpy import save_file

from vlselect.core import store
from vlselect.core.shard_files import shard_rows


def write_shards(folder, values, shards=1, refused=(), **metadata):
    """Write an array as shards, with rows refused; return their paths, the last one first."""
    paths = []
    for number in range(1, shards + 1):
        shard = f"{number}-of-{shards}"
        rows = shard_rows(len(values), shard)
        path = folder / f"shard-{shard}.safetensors"
        header = {"rows": f"{rows.start}:{rows.stop}", **metadata}
        shape = (len(rows), *values.shape[1:])
        with store.ShardWriter(path, shape, values.dtype, header) as writer:
            writer.write(slice(None), values[rows.start : rows.stop])
            own = [row - rows.start for row in refused if row in rows]
            if own:
                writer.refuse(np.array(own), "left_out")
        paths.append(path)
    return paths[::-1]


def poison(array, row):
    """Put a NaN into the only file of an array without using the writer."""
    (path,), values = array.paths, array[:]
    values[row, 0] = np.nan
    header = {key: text for key, text in array.metadata[0].items() if key != store.CHECKSUMS}
    save_file({store.TENSOR: values}, path, header)
    return store.ShardedArray([path])
