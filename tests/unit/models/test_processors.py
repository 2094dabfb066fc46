"""Processors of models that accept videos, loaded where videos cannot be decoded."""

import json
import shutil

import pytest
from family_tokenizers import byte_level, chatml, fast
from model_families import TEXTS, save_family
from running import ROOT
from transformers.utils import is_torchvision_available

from vlselect.core.errors import InputError
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


def save_files(folder, tokenizer, **files):
    """Save a tokenizer beside JSON files; enough for a processor that cannot be loaded."""
    tokenizer.save_pretrained(folder)
    for name, values in files.items():
        (folder / f"{name}.json").write_text(json.dumps(values))


def smolvlm2(folder):
    """SmolVLM's own processor, unlike that of Idefics3, spells out numbers."""
    save_family("smolvlm", folder, TEXTS, layers=2)
    for name, kind in (("config.json", "smolvlm"), ("processor_config.json", "SmolVLMProcessor")):
        settings = json.loads((folder / name).read_text())
        settings["model_type" if name == "config.json" else "processor_class"] = kind
        settings["video_processor"] = {"video_processor_type": "SmolVLMVideoProcessor"}
        (folder / name).write_text(json.dumps(settings))


def pixtral(folder, model_type="llava"):
    kind = {"processor_class": "PixtralProcessor", "patch_size": 16}
    save_files(
        folder,
        fast(byte_level(TEXTS, ["<s>", "</s>", "[IMG]"]), bos_token="<s>", eos_token="</s>"),
        config={"model_type": model_type},
        processor_config=kind,
        preprocessor_config={**kind, "image_processor_type": "PixtralImageProcessor"},
    )


def mistral_small(folder):
    pixtral(folder, "mistral3")


def minicpm(folder):
    around = ("image_start", "image_end", "slice_start", "slice_end", "image_id_start")
    names = {f"{name}_token": f"<{name}>" for name in (*around, "image_id_end", "image", "video")}
    kind = {"processor_class": "MiniCPMV4_6Processor"}
    save_files(
        folder,
        chatml(TEXTS, *names.values(), **names),
        config={"model_type": "minicpmv4_6"},
        preprocessor_config={**kind, "image_processor_type": "MiniCPMV4_6ImageProcessor"},
    )


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision loads these")
@pytest.mark.parametrize("save", [smolvlm2, pixtral, mistral_small, minicpm])
def test_another_missing_library_is_named_with_the_cure(save, tmp_path):
    save(tmp_path)
    with pytest.raises(InputError, match="num2words|orchvision") as caught:
        load_processor(str(tmp_path))
    message = str(caught.value)
    assert "`pip install -r envs/requirements-families.txt`" in message and "\n" not in message
    assert str(tmp_path) in message and len(message) < 400
    cure = (ROOT / "envs/requirements-families.txt").read_text()
    assert "num2words==" in cure and "torchvision==" in cure
