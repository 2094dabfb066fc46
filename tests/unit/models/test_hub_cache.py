"""Sizes of models that are on this machine."""

import os

from vlselect.models.hub_cache import weights_mb


def test_sizes_of_a_folder_and_of_a_snapshot(tmp_path, monkeypatch):
    for name, mb in (("a-1-of-2.safetensors", 3), ("a-2-of-2.safetensors", 4), ("a.bin", 7)):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, mb * 10**6)
    assert weights_mb({"path": str(tmp_path)}) == 7
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    model = {"path": "org/tiny", "revision": "abc"}
    assert weights_mb(model) == 0
    snapshot = tmp_path / "models--org--tiny/snapshots/abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to(tmp_path / "a-1-of-2.safetensors")
    assert weights_mb(model) == 3
