"""A model that cannot be loaded ends in one line that names the cause and the cure."""

import json
import shutil
from pathlib import Path

import pytest
from model_families import TEXTS, save_family
from published_models import FOLDER
from transformers import CLIPConfig, CLIPModel
from usual_models import load_vlm

from vlselect.core.errors import InputError
from vlselect.models.failures import explained, find_fault
from vlselect.models.loading import is_quantised
from vlselect.models.processors import load_processor

GRANITE = FOLDER / "granite-docling-258m"
CASE = Path(__file__).parents[4] / "shared/cases/9/processor_config.json"


def edit(name, **changes):
    """Return a change of a JSON file: values to set, or to leave out where they are None."""

    def change(folder):
        values = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(
            json.dumps({key: value for key, value in values.items() if value is not None})
        )

    return change


def cut(name, n_bytes):
    def change(folder):
        (folder / name).write_bytes((folder / name).read_bytes()[:-n_bytes])

    return change


def remove(pattern):
    def change(folder):
        for path in folder.glob(pattern):
            path.unlink()

    return change


def put(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def make_unreadable(name):
    """Put a folder in the file's place, which not even root can read as a file."""

    def change(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


def dangle(name):
    """Put a link in the file's place whose target is not there, as in a moved cache of the hub."""

    def change(folder):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(f"../../blobs/{name}")

    return change


def split_tokenizer(merges=None):
    """Keep a tokenizer's vocabulary in files of its own, as older checkpoints do."""

    def change(folder):
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        (folder / "tokenizer.json").unlink()
        edit("tokenizer_config.json", tokenizer_class="GPT2Tokenizer")(folder)
        (folder / "vocab.json").write_text(json.dumps(tokenizer["model"]["vocab"]))
        if merges is not None:
            (folder / "merges.txt").write_text(merges)

    return change


def become_adapter(folder):
    remove("*")(folder)
    put("adapter_config.json", b'{"peft_type": "LORA", "base_model_name_or_path": "a/b"}')(folder)
    put("adapter_model.safetensors", b"")(folder)


def lie_deeper(folder):
    below = folder / "snapshots/abc"
    below.mkdir(parents=True)
    for path in [path for path in folder.iterdir() if path.is_file()]:
        path.rename(below / path.name)


def lack_a_shard(folder):
    (folder / "model.safetensors").rename(folder / "model-1-of-2.safetensors")
    shards = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))


def become_gguf(folder):
    remove("*")(folder)
    put("model-Q4_K_M.gguf", b"GGUF")(folder)


def hold_text_from_gguf(folder):
    config = json.loads((folder / "config.json").read_text())
    saved = {"quant_method": "gguf", "gguf_file": "model.gguf", "dequantize": False}
    config["text_config"]["quantization_config"] = saved
    (folder / "config.json").write_text(json.dumps(config))


def become_clip(folder):
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    small |= {"num_attention_heads": 2}
    config = CLIPConfig(text_config=small, vision_config=small, projection_dim=16)
    CLIPModel(config).save_pretrained(folder)


LACKS = "another number of tokens than the model makes of it; write "
EXTRA = '"num_additional_image_tokens": 1'
COPY = "compare its size with the original's, and copy it again"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n"
FETCH = "is a pointer of Git LFS: run `git lfs pull`"
BROKEN = {
    **{
        f"{name} not fetched": (put(name, POINTER), f"{name} {FETCH}")
        for name in ("tokenizer.json", "config.json", "chat_template.jinja")
    },
    **{
        f"{name} a list": (put(name, b"[]"), f"{name} holds no JSON object: {COPY}")
        for name in ("tokenizer.json", "config.json", "processor_config.json")
    },
    "generation settings cut off": (
        put("generation_config.json", b'{"eos_token'),
        f"generation_config.json is broken, cut off or not readable .*: {COPY}",
    ),
    "a template that renders nothing": (
        put("chat_template.jinja", b"{{ raise_exception('no') }}"),
        "the chat template cannot render the conversation: no",
    ),
    "template cut off": (
        put("chat_template.jinja", b"{% for message in messages %}"),
        "its chat template is broken or cut off .*: compare the file with the original's",
    ),
    "merges not fetched": (split_tokenizer(merges=POINTER.decode()), f"merges.txt {FETCH}"),
    **{
        f"{name} a link to nothing": (dangle(name), f"{name} is a link to .*which is not there; co")
        for name in ("model.safetensors", "processor_config.json", "config.json")
    },
    "pickled weights not fetched": (
        lambda folder: (remove("*.safetensors")(folder), put("pytorch_model.bin", POINTER)(folder)),
        f"pytorch_model.bin {FETCH}",
    ),
    "merges empty": (split_tokenizer(merges=""), f"merges.txt is empty: {COPY}"),
    "no merges": (split_tokenizer(), "has vocab.json, but no merges.txt: put that of the check"),
    "a tokenizer in place of a processor": (
        edit("processor_config.json", processor_class="Another"),
        "has no processor of images and texts, only a .*`processor_class`",
    ),
    "an adapter": (become_adapter, "is an adapter alone: name its base model, or merge"),
    "a cache of the hub": (lie_deeper, "but '.*/snapshots/abc' has: name that folder"),
    "a shard missing": (lack_a_shard, "has model.safetensors.index.json, but no model-2-of-2"),
    "weights cut off": (cut("model.safetensors", 1000), f"model.safetensors is broken.*{COPY}"),
    "weights empty": (put("model.safetensors", b""), f"model.safetensors is broken.*{COPY}"),
    "weights not fetched": (
        put("model.safetensors", POINTER),
        f"model.safetensors {FETCH}",
    ),
    "no weights": (remove("*.safetensors"), "has no weights: put its"),
    "weights in GGUF": (
        lambda folder: (remove("*.safetensors")(folder), put("model.gguf", b"GGUF")(folder)),
        "has no weights: .*GGUF is not read",
    ),
    "weights unreadable": (make_unreadable("model.safetensors"), f"model.safetensors is.*{COPY}"),
    "weights pickled and broken": (
        lambda folder: (remove("*.safetensors")(folder), put("pytorch_model.bin", b"PK")(folder)),
        "cannot be loaded: .*copy it again",
    ),
    "tokenizer cut off": (cut("tokenizer.json", 100), f"tokenizer.json is broken.*{COPY}"),
    "tokenizer unreadable": (make_unreadable("tokenizer.json"), f"tokenizer.json is.*{COPY}"),
    "tokenizer in bytes": (put("tokenizer.json", b"\xff\xfe\x00"), f"tokenizer.json is.*{COPY}"),
    "config cut off": (cut("config.json", 10), f"config.json is broken.*{COPY}"),
    "config unreadable": (make_unreadable("config.json"), f"config.json is broken.*{COPY}"),
    "processor cut off": (cut("processor_config.json", 5), f"processor_config.json is.*{COPY}"),
    "empty": (remove("*"), "is empty: put all files of the checkpoint there, as `hf download"),
    "no config": (remove("config.json"), "has no config.json: put all files"),
    "no tokenizer": (remove("tokenizer*"), "has no tokenizer: put tokenizer.json"),
    "no processor": (remove("*processor*"), "has no processor: put preprocessor_config.json"),
    "no patch size": (edit("processor_config.json", patch_size=None), f'{LACKS}"patch_size": 16 '),
    "no class token": (
        edit("processor_config.json", num_additional_image_tokens=None),
        f"{LACKS}{EXTRA} ",
    ),
    "no strategy": (
        edit("processor_config.json", vision_feature_select_strategy=None),
        f'{LACKS}"vision_feature_select_strategy": "default" ',
    ),
    "no template": (remove("chat_template*"), "no chat template.*put the template.*jinja"),
    "no end": (edit("tokenizer_config.json", eos_token=None), "name an `eos_token` in tokenizer_"),
    "a CLIP": (become_clip, "is a CLIP, not a vision-language model .*; name one, such as"),
    "a text model": (edit("config.json", model_type="llama"), "is a Llama, not a vision-language"),
    "unknown": (edit("config.json", model_type="later"), "architecture that transformers .* does"),
    "GGUF": (become_gguf, "holds GGUF files.*: use the checkpoint that they were made from"),
    "text from GGUF": (hold_text_from_gguf, r"saved quantised \(gguf\).*loaded from GGUF, delete"),
    "quantised": (
        edit("config.json", quantization_config={"quant_method": "awq"}),
        r"saved quantised \(awq\), but `quantisation` is null: use the checkpoint in full",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_one_line_names_the_cause_and_the_cure(kind, tiny_vlm, tmp_path):
    change, expected = BROKEN[kind]
    folder = shutil.copytree(tiny_vlm, tmp_path / "model")
    change(folder)
    with pytest.raises(InputError, match=expected) as caught:
        load_vlm(str(folder), device="cpu")
    message = str(caught.value)
    assert str(folder) in message and "\n" not in message and len(message) < 700


def test_a_folder_that_may_not_be_read(tiny_vlm, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with (
        pytest.raises(InputError, match="is not readable: ask its owner"),
        explained(str(tiny_vlm), None, own_code=False),
    ):
        pass


@pytest.mark.skipif(not GRANITE.is_dir(), reason="no processor files of published checkpoints")
def test_a_tokenizer_without_a_vocabulary(tmp_path):
    """A tokenizer that is made of its added tokens alone drops all other text."""
    missing = shutil.ignore_patterns("vocab.json", "merges.txt")
    folder = shutil.copytree(GRANITE, tmp_path / "model", ignore=missing)
    with pytest.raises(InputError, match="has no vocabulary: put its tokenizer.json, or vocab.js"):
        load_processor(str(folder))


@pytest.mark.skipif(not CASE.is_file(), reason="no small inputs that fail")
def test_a_processor_of_an_older_llava(tiny_vlm, tmp_path):
    folder = shutil.copytree(tiny_vlm, tmp_path / "model")
    shutil.copyfile(CASE, folder / "processor_config.json")
    with pytest.raises(InputError, match=f'{LACKS}"patch_size": 16, {EXTRA}, ".*" into processor_'):
        load_vlm(str(folder), device="cpu")


@pytest.mark.parametrize("family", ["llava", "llava_next", "llava_onevision"])
def test_settings_that_older_processors_lack_are_named_with_their_values(family, tmp_path):
    folder = save_family(family, tmp_path, TEXTS, layers=2)
    path = folder / "processor_config.json"
    settings = json.loads(path.read_text())
    for name in settings.keys() & {"patch_size", "num_image_tokens", "num_additional_image_tokens"}:
        path.write_text(json.dumps({key: settings[key] for key in settings.keys() - {name}}))
        with pytest.raises(InputError, match=f'{LACKS}"{name}": {settings[name]} into'):
            load_vlm(str(folder), device="cpu")
    path.write_text(json.dumps(settings))
    load_vlm(str(folder), device="cpu")


def test_what_the_message_says_cures(tiny_vlm, tmp_path):
    folder = shutil.copytree(tiny_vlm, tmp_path / "model")
    edit("processor_config.json", patch_size=None, num_additional_image_tokens=None)(folder)
    with pytest.raises(InputError) as caught:
        load_vlm(str(folder), device="cpu")
    missing = json.loads("{" + str(caught.value).split("write ")[1].split(" into ")[0] + "}")
    edit("processor_config.json", **missing)(folder)
    load_vlm(str(folder), device="cpu")


def test_weights_that_are_made_plain_numbers_are_loaded(tiny_vlm, tmp_path):
    folder = shutil.copytree(tiny_vlm, tmp_path / "model")
    saved = {"quant_method": "gguf", "gguf_file": "model.gguf", "dequantize": True}
    edit("config.json", quantization_config=saved)(folder)
    assert not is_quantised(load_vlm(str(folder), device="cpu").model)


def test_a_sound_folder_has_no_fault(tiny_vlm):
    assert find_fault(tiny_vlm) is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ImportError("Timm requires the timm library"), "needs a library .*: Timm requires the t"),
        (RuntimeError("CUDA out of memory. Tried"), "not fit into memory: .* `dtype: bfloat16`"),
        (KeyError("x"), "cannot be loaded: KeyError 'x'. A file of it is broken or does not"),
    ],
)
def test_other_errors_name_their_own_cures(tiny_vlm, error, expected):
    with (
        pytest.raises(InputError, match=expected),
        explained(str(tiny_vlm), None, own_code=False),
    ):
        raise error


def test_errors_of_a_models_own_code_stay_unless_a_file_is_broken(tiny_vlm, tmp_path):
    with pytest.raises(KeyError), explained(str(tiny_vlm), None, own_code=True):
        raise KeyError("x")
    folder = shutil.copytree(tiny_vlm, tmp_path / "model")
    cut("model.safetensors", 100)(folder)
    with (
        pytest.raises(InputError, match="model.safetensors is broken"),
        explained(str(folder), None, own_code=True),
    ):
        raise KeyError("x")
