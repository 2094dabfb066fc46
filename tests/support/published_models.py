"""Small models beside the processor files of published checkpoints, see the README beside those.

Vocabulary, special tokens, templates and settings of images are the checkpoints' own; layers are
few and narrow, weights random. The files stay where they are: tests without them are skipped.
"""

import json
import shutil
from pathlib import Path

import torch
from family_tokenizers import byte_level, fast
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig

FOLDER = Path(__file__).parents[3] / "shared/data/processors"
PUBLISHED = (
    "smolvlm-256m-instruct",
    "granite-docling-258m",
    "qwen2.5-vl-7b-instruct",
    "qwen3-vl-instruct",
    "llava-onevision-qwen2-0.5b-ov-hf",
    "llava-v1.6-mistral-7b-hf",
    "glm-4.1v-9b-thinking",
)
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.2,
}
TILES = [[28, 56], [56, 28], [56, 56], [28, 84]]
SPLIT = (
    128,
    {
        "preprocessor_config.json": {
            "size": {"longest_edge": 256},
            "max_image_size": {"longest_edge": 128},
        },
        "processor_config.json": {"image_seq_len": 4},
    },
)
FEW = {"preprocessor_config.json": {"size": {"shortest_edge": 64 * 64, "longest_edge": 96 * 96}}}
SMALL_IMAGES = {  # pixels of a tile, and the settings that make images of few tokens
    "qwen3-vl-instruct": (None, FEW),
    "smolvlm-256m-instruct": SPLIT,
    "granite-docling-258m": SPLIT,
    "llava-v1.6-mistral-7b-hf": (
        28,
        {
            "preprocessor_config.json": {
                "size": {"shortest_edge": 28},
                "crop_size": {"height": 28, "width": 28},
                "image_grid_pinpoints": TILES,
            }
        },
    ),
    "llava-onevision-qwen2-0.5b-ov-hf": (
        28,
        {
            "preprocessor_config.json": {
                "size": {"height": 28, "width": 28},
                "image_grid_pinpoints": TILES,
            },
            "processor_config.json": {"num_image_tokens": 4},
        },
    ),
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "depth": 2,
    "num_attention_heads": 2,
    "num_heads": 2,
    "out_hidden_size": 32,
    "initializer_range": 0.2,
    "fullatt_block_indexes": [1],
    "deepstack_visual_indexes": [0],
}


def save_published(name: str, folder: Path, texts: list[str], layers: int = 2) -> Path:
    """Save a small model of a checkpoint's architecture beside a copy of its processor files.

    Images become few tokens each. GLM's files have no tokenizer: one that is trained on the texts,
    with its added tokens, stands in.
    """
    shutil.copytree(FOLDER / name, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    config = shrink(AutoConfig.from_pretrained(FOLDER / name), layers)
    size, settings = SMALL_IMAGES.get(name, (None, {}))
    for file, values in settings.items():
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values))
        for key in config.to_dict().keys() & values.keys():
            setattr(config, key, values[key])
    if size:
        config.vision_config.image_size = size
    if not (folder / "vocab.json").exists() and not (folder / "tokenizer.json").exists():
        _stand_in(folder, config, texts)
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    return folder


def shrink(config: PreTrainedConfig, layers: int) -> PreTrainedConfig:
    """Make a model's config small: few, narrow layers; vocabulary and special ids are kept."""
    text, vision = config.get_text_config(), config.vision_config
    wide = {"initializer_range": TEXT["initializer_range"]}
    parts = ((config, wide), (text, TEXT | {"num_hidden_layers": layers}), (vision, VISION))
    for part, values in parts:
        for key, value in values.items():
            if hasattr(part, key):
                setattr(part, key, value)
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:layers]
    if config.model_type in ("qwen2_5_vl", "qwen3_vl", "glm4v"):
        pairs = TEXT["head_dim"] // 2  # of rotary dimensions, for time, height and width
        text.rope_parameters["mrope_section"] = [pairs - 2 * (pairs // 3), pairs // 3, pairs // 3]
    return config


def _stand_in(folder: Path, config: PreTrainedConfig, texts: list[str]) -> None:
    """Train a tokenizer, with the checkpoint's added tokens, and give the config their new ids."""
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    added = {int(i): token["content"] for i, token in settings["added_tokens_decoder"].items()}
    names = {key: settings[key] for key in ("pad_token", "eos_token")}
    tokenizer = fast(byte_level(texts, list(added.values())), **names)
    tokenizer.save_pretrained(folder)
    for part in (config, config.get_text_config()):
        part.vocab_size = len(tokenizer)
        for key, old in part.to_dict().items():
            if key.endswith("token_id") and old is not None:
                old = old if isinstance(old, int) else old[0]  # several may end a text
                setattr(part, key, tokenizer.convert_tokens_to_ids(added[old]))
