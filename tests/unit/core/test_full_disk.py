"""A disk that takes no more: nothing half written is left, and the error names what was written.

Here the system limits the size of a file, which needs no disk of its own; `make test-faults` fills
real ones.
"""

import errno
import os
from pathlib import Path

import pytest
from disk_faults import WRITERS, content, files_of_at_most

from vlselect.core import store
from vlselect.core.errors import InputError


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_named_and_leaves_what_was_there(tmp_path, name, share):
    WRITERS[name](tmp_path / name)
    before = content(tmp_path / name)
    problem = pytest.raises(InputError, match=rf"{name}.* cannot be written: File too large")
    with problem, files_of_at_most(int(share * max(map(len, before.values())))):
        WRITERS[name](tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert content(tmp_path / name) == before


def test_a_read_only_disk_is_named_though_nothing_can_be_removed(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path))

    monkeypatch.setattr(Path, "unlink", refuse)  # also of a file that is not there
    problem = pytest.raises(InputError, match="table.csv cannot be written: Read-only file system")
    with problem, store.replacing(tmp_path / "table.csv"):
        refuse()
