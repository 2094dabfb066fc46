"""Write inputs of the selection stages in any size, with structure but without models.

Records are conversations in invented words about a few thousand small images. Gradients and
attended features mix a few hundred common directions of decreasing weight; activations lie around
centres. A block of rows is drawn once and varied for every further one. Each of four shards has a
quarter of the rows, so that one, two and four of them are pools of a quarter, half and all.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from layout import SAMPLES_PER_CLUSTER, SHARDS, TASKS, VALIDATION, WIDTHS, shard_paths
from PIL import Image

from vlselect.core import store

ROWS = 2048  # rows drawn at a time
PICTURES = 2000
WORDS = 99  # in a question or an answer: 665,000 records make 1 GB
LAYERS = 5
FINGERPRINT = json.dumps({"type": "synthetic", "k": 5120})


def write_records(folder: Path, n: int) -> None:
    """Write images and, for all, half and a quarter of the records, a LLaVA JSON list."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for i in range(PICTURES):
        pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8).repeat(12, 0).repeat(12, 1)
        Image.fromarray(pixels).save(folder / f"images/{i}.jpg")
    words = np.array(["".join(rng.choice(list("abcdefghijklmnoprstuvw"), 6)) for _ in range(5000)])
    texts = [" ".join(rng.choice(words, WORDS)) for _ in range(ROWS)]
    quarters = [(folder / f"records-{d}.json").open("w", encoding="utf-8") for d in (1, 2, 4)]
    for i in range(n):
        question, answer = texts[i % ROWS], texts[(7 * i + i // ROWS) % ROWS]
        turns = [("human", f"<image>\n{i} {question}"), ("gpt", f"{answer} {i}")]
        turns = [{"from": role, "value": text} for role, text in turns]
        record = {"id": f"{i:09d}", "image": f"{i % PICTURES}.jpg", "conversations": turns}
        line = ("[\n" if i == 0 else ",\n") + json.dumps(record)
        for file, divisor in zip(quarters, (1, 2, 4), strict=True):
            if i < n // divisor:
                file.write(line)
    for file in quarters:
        file.write("\n]\n")
        file.close()


def write_array(
    folder: Path, n: int, width: int, header: dict[str, str], block: Callable[..., np.ndarray]
) -> None:
    """Write the shards of an array; `block(first, rows)` returns its float32 rows."""
    for path, number in zip(shard_paths(folder, 1), range(SHARDS), strict=True):
        start, stop = number * n // SHARDS, (number + 1) * n // SHARDS
        details = {"rows": f"{start}:{stop}", **header}
        with store.ShardWriter(path, (stop - start, width), np.float16, details) as writer:
            for first in range(start, stop, ROWS):
                rows = min(ROWS, stop - first)
                writer.write(slice(first - start, first - start + rows), block(first, rows))


def mixtures(width: int, seed: int) -> Callable[..., np.ndarray]:
    """Draw rows of about unit length that mix common directions of decreasing weight, and noise."""
    rng = np.random.default_rng(seed)
    rank = min(256, width)
    directions = rng.standard_normal((rank, width), dtype=np.float32) / np.float32(width**0.5)
    directions *= (np.arange(1, rank + 1, dtype=np.float32) ** -0.5)[:, None]
    noise = rng.standard_normal((ROWS, width), dtype=np.float32) * np.float32(0.3 / width**0.5)

    def block(first: int, rows: int) -> np.ndarray:
        own = np.random.default_rng([seed, first])
        values = own.standard_normal((rows, rank), dtype=np.float32) @ directions
        values += np.roll(noise, int(own.integers(ROWS)), axis=0)[:rows]
        return values

    return block


def write_gradients(folder: Path, n: int) -> None:
    """Write gradients of the pool and of the tasks' validation samples."""
    header = {"projection": FINGERPRINT, "model": "synthetic", "revision": "none"}
    width = WIDTHS["gradients"]
    draw = mixtures(width, seed=1)
    write_array(folder / "gradients", n, width, header, draw)
    for task in range(TASKS):
        path = folder / f"validation/task{task}.safetensors"
        with store.ShardWriter(path, (VALIDATION, width), np.float16, header) as writer:
            writer.write(slice(None), draw(n + task * ROWS, VALIDATION))


def write_hidden(folder: Path, n: int) -> None:
    """Write hidden states as wide as those of a model of 0.5 billion weights; a tenth are copies.

    A copy follows its original, and has a cosine of about 0.99 with it.
    """
    width = WIDTHS["hidden"]
    draw = mixtures(width, seed=4)

    def block(first: int, rows: int) -> np.ndarray:
        values = draw(first, rows)
        copies = values[8::10][: len(values[9::10])]
        values[9::10] = copies + np.float32(0.1) * values[9::10]
        return values

    write_array(folder / "hidden", n, width, {}, block)


def write_activations(folder: Path, n: int) -> None:
    """Write activations around centres, and tables of clusters for all, half and a quarter.

    `clusters-<divisor>` has clusters of the average size in a pool of all samples;
    `clusters-many` has as many as such a pool.
    """
    rng = np.random.default_rng(2)
    width, count = WIDTHS["activations"], max(4, round(n / SAMPLES_PER_CLUSTER / 4) * 4)
    scale = np.float32(width**-0.5)
    common = rng.standard_normal(width, dtype=np.float32) * scale
    centres = rng.standard_normal((count, width), dtype=np.float32) * scale + common
    label = rng.integers(0, count, n)
    label[:count] = np.arange(count)  # none is empty, not even in a quarter
    noise = rng.standard_normal((ROWS, width), dtype=np.float32) * np.float32(0.4) * scale

    def block(first: int, rows: int) -> np.ndarray:
        return centres[label[first : first + rows]] + np.roll(noise, first // 7, axis=0)[:rows]

    header = {"run": "size", "model": "synthetic", "revision": "none", "variant": "released"}
    header["layers"] = json.dumps(list(range(LAYERS)))
    write_array(folder / "activations", n, width, header, block)
    for divisor in (1, 2, 4):
        means = centres.reshape(count // divisor, divisor, width).mean(axis=1)
        _write_clusters(folder / f"clusters-{divisor}", label[: n // divisor] // divisor, means)
    fine = label * 10 + rng.integers(0, 10, n)
    _, fine = np.unique(fine, return_inverse=True)
    parents = label[np.unique(fine, return_index=True)[1]]
    shifts = np.roll(noise, 5, axis=1)[np.arange(len(parents)) % ROWS]
    _write_clusters(folder / "clusters-many", fine, centres[parents] + shifts)


def _write_clusters(folder: Path, cluster: np.ndarray, centroids: np.ndarray) -> None:
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    path = folder / "centroids.safetensors"
    with store.ShardWriter(path, centroids.shape, np.float32, {}) as writer:
        writer.write(slice(None), centroids)
    table = {"row": np.arange(len(cluster)), "cluster": cluster.astype(np.int32)}
    store.write_parquet(pd.DataFrame(table), folder / "assignments.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = ("records", "gradients", "attended", "activations", "hidden")
    parser.add_argument("what", choices=kinds)
    parser.add_argument("folder", type=Path)
    parser.add_argument("n", type=int, help="rows, a multiple of 256")
    arguments = parser.parse_args()
    folder, n = arguments.folder, arguments.n
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.what == "records":
        write_records(folder, n)
    elif arguments.what == "gradients":
        write_gradients(folder, n)
    elif arguments.what == "hidden":
        write_hidden(folder, n)
    elif arguments.what == "attended":
        width = WIDTHS["attended"]
        write_array(folder / "attended", n, width, {}, mixtures(width, seed=3))
    else:
        write_activations(folder, n)


if __name__ == "__main__":
    main()
