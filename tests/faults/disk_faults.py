"""Trials of disks that are full, read-only or beyond a quota: files are whole, or errors name them.

Needs a small tmpfs or a btrfs in a file, which only the superuser mounts; unit tests limit the size
of files instead.
"""

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
from fault_trials import READ, REFUSED, Trials
from matplotlib.figure import Figure
from PIL import Image
from safetensors.numpy import save_file

from vlselect.core import store
from vlselect.core.errors import InputError
from vlselect.explorer.sheets import write_sheets
from vlselect.pool.records import parse_record
from vlselect.pool.samples import RejectionWriter, SamplesWriter

VALUES = np.random.default_rng(0).normal(size=(640, 200)).astype(np.float32)
FRAME = pd.DataFrame({"row": range(40_000), "score": np.random.default_rng(1).normal(size=40_000)})
RAW = '{"id": "%d", "messages": [{"role": "user", "content": "%s"}, '
RAW += '{"role": "assistant", "content": "a"}]}'
RECORDS = [RAW % (i, np.random.default_rng(i).bytes(300).hex()) for i in range(1500)]


def write_shard(path: Path) -> None:
    """Write a shard, half of it refused."""
    with store.ShardWriter(path, VALUES.shape, VALUES.dtype, {"rows": "0:640"}) as shard:
        shard.write(slice(0, 320), VALUES[:320])
        shard.refuse(np.arange(320, 640), "left_out")


def write_samples(path: Path) -> None:
    """Write a table of samples."""
    with SamplesWriter(path) as samples:
        for raw in RECORDS:
            samples.write(parse_record(raw), raw)


def write_rejected(path: Path) -> None:
    """Write rejected.csv."""
    with RejectionWriter(path) as rejected:
        for i, raw in enumerate(RECORDS):
            rejected.write(i, str(i), "bad_type", raw)


def write_csv(path: Path) -> None:
    """Write a CSV table."""
    with store.replacing(path) as temporary:
        FRAME.to_csv(temporary, index=False)


def write_figure(path: Path) -> None:
    """Write a figure as PNG."""
    figure = Figure(figsize=(6, 6), dpi=100)
    figure.add_subplot().imshow(VALUES)
    with store.replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def write_folder(path: Path) -> None:
    """Write a checkpoint's folder."""
    with store.replacing_directory(path) as folder:
        store.write_json(RECORDS[:10], folder / "config.json")
        save_file({"a": VALUES}, folder / "model.safetensors")


def write_pictures(path: Path) -> None:
    """Write the explorer's sheets of thumbnails, and pictures that are larger than these."""
    noise = (VALUES[:192] * 40 + 128).clip(0, 255).astype(np.uint8)
    with store.replacing_directory(path) as folder:
        for _ in write_sheets(
            [str(i) for i in range(20)], lambda n: Image.fromarray(noise), folder, 1024
        ):
            pass


BTRFS = 512 << 20  # bytes of a whole one, of which trials use a hundredth
WRITERS: dict[str, Callable[[Path], None]] = {
    "shard": write_shard,
    "samples": write_samples,
    "rejected.csv": write_rejected,
    "table": write_csv,
    "parquet": lambda path: store.write_parquet(FRAME, path),
    "json": lambda path: store.write_json(RECORDS, path),
    "figure": write_figure,
    "folder": write_folder,
    "sheets": write_pictures,
}


def kind_of(number: int) -> str:
    """Return what is written."""
    return list(WRITERS)[number % len(WRITERS)]


class DiskTrials(Trials):
    """Trials on a tmpfs in `folder`; `seed` and a trial's number are all that it depends on."""

    def __init__(self, folder: Path, seed: int, size: int = 8 << 20):
        self._disk, self._seed, self._size = folder / "disk", seed, size
        self._disk.mkdir(parents=True)
        self._whole = {}
        for name, write in WRITERS.items():
            write(folder / name)
            self._whole[name] = content(folder / name)

    def __enter__(self) -> "DiskTrials":
        self._mount(f"size={self._size}")
        return self

    def __exit__(self, *error: object) -> None:
        run("umount", self._disk)

    def __call__(self, number: int) -> str:
        random, name = Random(f"{self._seed} {number}"), kind_of(number)
        path, whole = self._disk / name, self._whole[name]
        room = int(random.random() * 2.4 * sum(map(len, whole.values())))
        before = random.random() < 0.3 and name not in ("folder", "sheets")
        self._empty()
        if before:
            path.write_bytes(b"old")
        self._leave(room)
        with self._read_only() if random.random() < 0.1 else contextlib.nullcontext():
            return self._write(name, path, before)

    def _empty(self) -> None:
        """Remove what a trial left."""
        for old in self._disk.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()

    def _leave(self, room: int) -> None:
        """Fill the disk but for so many bytes."""
        with (self._disk / "ballast").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, self._free() - room // 4096 * 4096)

    def _write(self, name: str, path: Path, before: bool) -> str:
        """Write to `path`, which was there `before` or not; return how it ended."""
        try:
            WRITERS[name](path)
        except InputError as error:
            assert str(self._disk) in str(error) and name in str(error), str(error)
            left = {p.name for p in self._disk.iterdir()} - {"ballast"}
            assert left == ({name} if before else set()), left
            assert not before or path.read_bytes() == b"old"
            return REFUSED
        assert content(path) == self._whole[name]
        return READ

    @contextlib.contextmanager
    def _read_only(self) -> Iterator[None]:
        self._mount("remount,ro")
        try:
            yield
        finally:
            self._mount("remount,rw")

    def _mount(self, options: str) -> None:
        run("mount", "-t", "tmpfs", "-o", options, "tmpfs", self._disk)

    def _free(self) -> int:
        found = os.statvfs(self._disk)
        return found.f_bavail * found.f_frsize


class QuotaTrials(DiskTrials):
    """The same in a subvolume of a btrfs, whose quota leaves the room that a full disk would."""

    def __enter__(self) -> "QuotaTrials":
        self._image, self._btrfs = self._disk.with_name("btrfs.img"), self._disk
        with self._image.open("wb") as file:
            file.truncate(BTRFS)
        run("mkfs.btrfs", "-q", self._image)
        run("mount", "-o", "loop", self._image, self._btrfs)
        run("btrfs", "quota", "enable", self._btrfs)
        self._disk = self._btrfs / "limited"
        run("btrfs", "subvolume", "create", self._disk)
        return self

    def __exit__(self, *error: object) -> None:
        run("umount", self._btrfs)

    def _empty(self) -> None:
        self._limit("none")
        super()._empty()

    def _leave(self, room: int) -> None:
        """Limit the subvolume to what it holds and so many bytes."""
        run("btrfs", "filesystem", "sync", self._btrfs)
        shown = run("btrfs", "qgroup", "show", "--raw", "-f", self._disk)
        held = int(shown.splitlines()[-1].split()[1])
        self._limit(str(held + room))

    def _limit(self, most: str) -> None:
        """Set the quota, by a path outside of it: no request fits into one that is used up."""
        number = run("btrfs", "inspect-internal", "rootid", self._disk).strip()
        run("btrfs", "qgroup", "limit", most, f"0/{number}", self._btrfs)

    def _mount(self, options: str) -> None:
        run("mount", "-o", options, self._btrfs)


def run(*command: str | Path) -> str:
    """Run a command, which has to succeed; return what it printed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Limit the size of files in the block, as a full disk does, without one."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def content(path: Path) -> dict[str, bytes]:
    """Return the files of a folder, or of a file alone."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return {str(file.relative_to(path.parent)): file.read_bytes() for file in files}
