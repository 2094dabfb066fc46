"""Names of the GPUs that jobs share."""

import os

import pytest

from vlselect.models import local_gpus


@pytest.mark.parametrize(
    ("found", "visible", "names"),
    [
        (2, None, "0,1"),
        (2, "3, 1", "3,1"),
        (1, "GPU-5ebe9f43", "GPU-5ebe9f43"),
        (1, "1,-1,0", "1"),
        (0, "", ""),
        (0, None, ""),
    ],
)
def test_names_are_those_that_cuda_takes(found, visible, names, monkeypatch):
    monkeypatch.setattr(local_gpus, "visible_gpus", lambda: found)
    monkeypatch.setenv("VLSELECT_GPUS", "other")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert local_gpus.hand_out() == found
    assert os.environ["VLSELECT_GPUS"] == names
