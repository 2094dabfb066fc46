"""Write whole folders atomically, as `store.replacing` does for files."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing_directory(path: str | Path) -> Iterator[Path]:
    """Yield a new directory beside `path` that takes its place if the block succeeds.

    Readers never see half a folder. Whatever was at `path` before is removed.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
