"""Measure this machine's best rates: reading a file, multiplying matrices, parsing JSON.

Prints JSON: `disk` in bytes a second (of the given file, dropped from the cache first), `float32`
and `float64` in operations a second of one thread's product of two square matrices, `json` in
bytes a second of json.loads over the records of the given file. The last three use processor
seconds, so that they are the same on a busy machine.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from measure import forget
from threadpoolctl import threadpool_limits

SIDE = 2048
CHUNK = 8 << 20
MOST = 1 << 30  # bytes to read at most


def disk(path: Path) -> float:
    """Measure the bytes a second of reading a file from beginning to end."""
    forget([path])
    buffer, done, begin = bytearray(CHUNK), 0, time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while done < MOST and (got := file.readinto(buffer)):
            done += got
    return done / (time.perf_counter() - begin)


def product(dtype: str, side: int = SIDE, repeats: int = 2) -> float:
    """Measure the operations a second of one thread's matrix product; best of several."""
    a, b = np.random.default_rng(0).random((2, side, side), dtype=dtype)
    out = np.empty_like(a)
    times = []
    with threadpool_limits(1):
        for _ in range(repeats):
            begin = time.process_time()
            np.matmul(a, b, out=out)
            times.append(time.process_time() - begin)
    return 2 * side**3 / min(times)


def parsing(path: Path) -> float:
    """Measure the bytes a second of parsing the file's lines, each a record, with json.loads."""
    with path.open(encoding="utf-8") as file:
        texts = [line.rstrip(",\n") for line in file.readlines(32 << 20) if line.startswith("{")]
    begin = time.process_time()
    for text in texts:
        json.loads(text)
    return sum(map(len, texts)) / (time.process_time() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("float32", "float64", "json"))
    parser.add_argument("path", type=Path)
    parser.add_argument("side", type=int, help="of the matrices")
    arguments = parser.parse_args()
    kind = arguments.kind
    rate = parsing(arguments.path) if kind == "json" else product(kind, arguments.side)
    print(json.dumps({"disk": disk(arguments.path), kind: rate}))


if __name__ == "__main__":
    main()
