"""How a script starts and fails: with a message in its log, or a traceback if unforeseen."""

import subprocess
import sys

import pytest
from running import ROOT

from vlselect.core import errors
from vlselect.pool.image_roots import ImageError
from vlselect.pool.rejection import Rejection

START = "from vlselect.core import log; log.start(); "


def fail(code: str) -> list[str]:
    """Return the stderr lines of a program of ours that fails."""
    done = subprocess.run(
        [sys.executable, "-c", START + code],
        cwd=ROOT / "scripts",
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    return done.stderr.splitlines()


def test_an_error_of_our_own_is_its_message():
    code = "from vlselect.pool.image_roots import ImageRoots as Roots; "
    code += "Roots({None: 'nowhere'}).require()"
    (line,) = fail(code)
    assert line.endswith("ERROR vlselect.core.log: the image root 'nowhere' is not a folder")


def test_an_image_that_cannot_be_used_is_named_without_a_trace(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    code = f"from vlselect.pool.images import load; load({str(tmp_path)!r}, 'a.png', 9)"
    (line,) = fail(code)
    assert "ERROR vlselect.core.log: unreadable_image: 'a.png' (8 bytes) is not one of" in line


def test_what_was_not_foreseen_shows_where_it_happened():
    for code in (
        "from vlselect.core import store; store.write_json({}, None)",  # a mistake in a program
        "from vlselect.core.selection import Selection; Selection([1]).check(2, 9)",  # of a method
        "from vlselect.core import store; store.write_json({}, '/dev/null/x.json')",  # the system's
        "import json; json.loads('{')",  # raised by another library
    ):
        lines = fail(code)
        assert lines[0] == "Traceback (most recent call last):", code


def test_errors_for_users_are_what_they_are_to_python():
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.MissingFileError, FileNotFoundError)
    assert issubclass(ImageError, Rejection) and issubclass(ImageError, errors.InputError)
    assert str(errors.MissingFileError("no such folder")) == "no such folder"


def test_want_of_memory_is_said_in_the_last_line():
    for code in (
        "raise MemoryError",
        "import torch; torch.empty(1 << 50)",  # of the CPU's; torch has the system's words
        "import numpy; numpy.empty(1 << 50)",
        "import errno, os; raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))",
    ):
        lines = fail(code)
        assert lines[0] == "Traceback (most recent call last):", code
        assert "ERROR vlselect.core.log: out of memory: " in lines[-1], lines[-1]


CRAMPED = """
import resource
from pathlib import Path
{prepare}
pages = int(Path("/proc/self/statm").read_text().split()[5])
resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize(),) * 2)
{use}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("prepare", "use"),
    [
        (
            "from tokenizers import Tokenizer, models\n"
            "tokenizer = Tokenizer(models.WordLevel({'a': 0}, unk_token='a'))",
            "tokenizer.encode_batch(['a'] * 100)",
        ),
        ("import threading", "threading.Thread(target=print).start()"),
    ],
)
def test_a_thread_that_has_no_memory_to_start_ends_the_job(monkeypatch, prepare, use):
    monkeypatch.setenv("RUST_BACKTRACE", "1")  # with it, tokenizers wait for themselves for ever
    lines = fail(CRAMPED.format(prepare=prepare, use=use))
    assert "ERROR vlselect.core.log: out of memory: " in lines[-1], lines


WORKER = """
from torch.utils.data import DataLoader, Dataset
from vlselect.core.errors import InputError
from vlselect.pool import images

class Images(Dataset):
    def __len__(self): return 1
    def __getitem__(self, i): {what}

list(DataLoader(Images(), num_workers=1))
"""


def test_workers_are_heard_with_a_long_folder_for_temporary_files(tmp_path, monkeypatch):
    """Tensors of theirs come through sockets in it, whose names are limited."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    sent = WORKER.format(what="import torch; return torch.ones(9)")
    lines = fail(f"\n{sent.replace('list(', 'found, = list(')}\nraise InputError(str(found.sum()))")
    assert lines[-1].endswith("ERROR vlselect.core.log: tensor(9.)")


def test_an_error_in_a_worker_is_its_message(tmp_path):
    missing = WORKER.format(what=f"return images.load({str(tmp_path)!r}, 'a.png', 9)")
    (line,) = fail(f"\n{missing}")
    assert "ERROR vlselect.core.log: missing_image: 'a.png'" in line
    several = WORKER.format(what="raise InputError('two lines:\\nkey.of: no')")
    first, second = fail(f"\n{several}")
    assert first.endswith("ERROR vlselect.core.log: two lines:") and second == "key.of: no"
