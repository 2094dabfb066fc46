"""Processors of models that accept videos, loaded where videos cannot be decoded."""

import json
import shutil

import pytest
from model_families import TEXTS, save_family
from transformers.utils import is_torchvision_available

from vlselect.models.processors import NoVideos, load_processor


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_family("qwen2_5_vl", tmp_path_factory.mktemp("qwen"), TEXTS, layers=2)


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision loads the whole processor")
def test_the_processor_is_loaded_and_saved_again_without_torchvision(folder, tmp_path):
    processor = load_processor(str(folder))
    assert type(processor).__name__ == "Qwen2_5_VLProcessor"
    assert isinstance(processor.video_processor, NoVideos)
    with pytest.raises(ImportError, match="torchvision"):
        processor.video_processor([])
    processor.save_pretrained(tmp_path)
    for name in ("processor_config.json", "tokenizer.json"):
        assert json.loads((tmp_path / name).read_text()) == json.loads((folder / name).read_text())
    shutil.copy(folder / "config.json", tmp_path)
    template = "chat_template.jinja"
    assert (tmp_path / template).read_text() == (folder / template).read_text()
    assert load_processor(str(tmp_path)).image_processor.merge_size == 2


def test_another_missing_library_is_named(folder, tmp_path):
    """SmolVLM's own processor, unlike that of Idefics3, spells out numbers."""
    save_family("smolvlm", tmp_path, TEXTS, layers=2)
    for name, kind in (("config.json", "smolvlm"), ("processor_config.json", "SmolVLMProcessor")):
        settings = json.loads((tmp_path / name).read_text())
        settings["model_type" if name == "config.json" else "processor_class"] = kind
        settings["video_processor"] = {"video_processor_type": "SmolVLMVideoProcessor"}
        (tmp_path / name).write_text(json.dumps(settings))
    with pytest.raises(ImportError, match="num2words|orchvision"):
        load_processor(str(tmp_path))
