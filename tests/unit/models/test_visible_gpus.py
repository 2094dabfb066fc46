"""GPUs are counted from device files and CUDA_VISIBLE_DEVICES, without torch."""

import pytest

from vlselect.models.visible_gpus import visible_gpus


@pytest.mark.parametrize(
    ("files", "named", "expected"),
    [
        ([], None, 0),
        ([], "0,1", 0),
        (["nvidiactl", "nvidia-uvm"], None, 0),
        (["nvidia0", "nvidiactl"], None, 1),
        (["nvidia0", "nvidia1"], None, 2),
        (["nvidia0", "nvidia1"], "1", 1),
        (["nvidia0", "nvidia1"], "0, 1", 2),
        (["nvidia0", "nvidia1"], "", 0),
        (["nvidia0", "nvidia1"], "-1", 0),
        (["nvidia0", "nvidia1"], "1,-1,0", 1),
        (["nvidia0"], "0,1,2", 1),
        (["nvidia0"], "MIG-a,MIG-b", 2),
        (["dri/renderD128", "dri/card0"], None, 0),
        (["kfd", "dri/renderD128", "dri/renderD129"], None, 2),
        (["dxg"], None, 1),
    ],
)
def test_gpus_are_counted(tmp_path, files, named, expected):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    environment = {} if named is None else {"CUDA_VISIBLE_DEVICES": named}
    assert visible_gpus(environment, tmp_path) == expected
