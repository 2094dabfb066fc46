"""Small models of every family the adapter is tested with, saved like a user's models.

Weights are random, made from config classes; processors are each family's own class; chat
templates have the form of the family's released checkpoints. Images become few tokens each.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
import transformers as hf
from family_tokenizers import byte_level, chatml, fast, sentence_piece
from templates import CHATML, GEMMA, INTERNVL, MISTRAL, QWEN, SMOLVLM, VICUNA
from usual_models import make_vlm

from vlselect.models.processors import NoVideos, load_processor, without_videos
from vlselect.models.vlm import VLM

# Training texts of the tokenizers: enough for longer words, with other scripts as bytes.
TEXTS = [
    "USER: what is in the image? ASSISTANT: a red digit. tell me more please, yes or no\n\n",
    "user\nwhich is this: one, two, three? assistant\nthe second one is very green. and blue",
    "cat dog house tree car is there a one two three? yes, no. The Image Shows A Digit 0123456789",
] * 4

GRID = [[32, 64], [64, 32], [64, 64], [32, 96]]  # tilings of any-resolution models


def text_settings(tokenizer: hf.PreTrainedTokenizerFast, layers: int, hidden: int) -> dict:
    """Return the settings that all language models share; a large spread makes signals show."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "initializer_range": 0.2,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": False,
    }


VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 16,
    "initializer_range": 0.2,
}
SQUARE = {"height": 32, "width": 32}


def llama_tokenizer(texts: Iterable[str]) -> hf.PreTrainedTokenizerFast:
    """Return a tokenizer like Llama's, with a token for images."""
    return fast(
        sentence_piece(texts, ["</s>", "<pad>", "<image>"], "<s>", prefix=True),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        image_token="<image>",
    )


def llava(texts: Iterable[str], layers: int, hidden: int):
    """LLaVA-1.5: four tokens per image, Vicuna's template, which closes no turn."""
    tokenizer = llama_tokenizer(texts)
    processor = hf.LlavaProcessor(
        image_processor=hf.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=SQUARE),
        tokenizer=tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=VICUNA,
    )
    config = hf.LlavaConfig(
        vision_config=hf.CLIPVisionConfig(**VISION),
        text_config=hf.LlamaConfig(**text_settings(tokenizer, layers, hidden)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    return processor, hf.LlavaForConditionalGeneration(config)


def llava_next(texts: Iterable[str], layers: int, hidden: int):
    """LLaVA-NeXT: one tile for the whole image and up to four for its parts, on Mistral."""
    tokenizer = llama_tokenizer(texts)
    processor = hf.LlavaNextProcessor(
        image_processor=hf.LlavaNextImageProcessorPil(
            size={"shortest_edge": 32}, crop_size=SQUARE, image_grid_pinpoints=GRID
        ),
        tokenizer=tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=MISTRAL,
    )
    config = hf.LlavaNextConfig(
        vision_config=hf.CLIPVisionConfig(**VISION),
        text_config=hf.MistralConfig(**text_settings(tokenizer, layers, hidden)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=GRID,
    )
    return processor, hf.LlavaNextForConditionalGeneration(config)


def llava_onevision(texts: Iterable[str], layers: int, hidden: int):
    """LLaVA-OneVision: tiles for a single image, one tile each for several, on Qwen2."""
    tokenizer = chatml(*(texts, "<image>", "<video>"), image_token="<image>", video_token="<video>")
    processor = without_videos(hf.LlavaOnevisionProcessor)(
        image_processor=hf.LlavaOnevisionImageProcessorPil(size=SQUARE, image_grid_pinpoints=GRID),
        tokenizer=tokenizer,
        video_processor=NoVideos({"video_processor_type": "LlavaOnevisionVideoProcessor"}),
        num_image_tokens=4,
        vision_feature_select_strategy="full",
        chat_template=CHATML,
    )
    config = hf.LlavaOnevisionConfig(
        vision_config=hf.SiglipVisionConfig(**VISION, vision_use_head=False),
        text_config=hf.Qwen2Config(**text_settings(tokenizer, layers, hidden)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=GRID,
    )
    return processor, hf.LlavaOnevisionForConditionalGeneration(config)


VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def qwen_settings(tokenizer: hf.PreTrainedTokenizerFast) -> dict:
    """Return the ids of image tokens and of the tokens around images."""
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return dict(zip(names, tokenizer.convert_tokens_to_ids(list(VISION_TOKENS)), strict=True))


def qwen_processor(kind: type, videos: str, texts: Iterable[str]) -> hf.ProcessorMixin:
    """Return a processor of Qwen's kind: 16 pixels a token on each side, up to 16 tokens."""
    size = {"shortest_edge": 16 * 16, "longest_edge": 64 * 64}
    return without_videos(kind)(
        image_processor=hf.Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, size=size),
        tokenizer=chatml(
            texts, *VISION_TOKENS, image_token="<|image_pad|>", video_token="<|video_pad|>"
        ),
        video_processor=NoVideos({"video_processor_type": videos}),
        chat_template=QWEN,
    )


def qwen2_5_vl(texts: Iterable[str], layers: int, hidden: int):
    """Qwen2.5-VL: tokens in proportion to the image's area, positions in three dimensions."""
    processor = qwen_processor(hf.Qwen2_5_VLProcessor, "Qwen2VLVideoProcessor", texts)
    tokenizer = processor.tokenizer
    half = hidden // 8  # rotary pairs of a head of width hidden / 4
    section = [half - 2 * (half // 3), half // 3, half // 3]
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": section}
    text = text_settings(tokenizer, layers, hidden)
    config = hf.Qwen2_5_VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 8,
            "window_size": 32,
            "fullatt_block_indexes": [1],
            "out_hidden_size": hidden,
            "initializer_range": 0.2,
        },
        text_config={**text, "rope_parameters": rope},
        **qwen_settings(tokenizer),
    )
    return processor, hf.Qwen2_5_VLForConditionalGeneration(config)


def smolvlm(texts: Iterable[str], layers: int, hidden: int):
    """Idefics3, the form of SmolVLM: images are split, tokens announce the row and column."""
    special = ["<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>"]
    special += ["<global-img>", "<|endoftext|>"]
    special += [f"<row_{i}_col_{j}>" for i in range(1, 4) for j in range(1, 4)]
    tokenizer = fast(
        byte_level(texts, special),
        pad_token="<|endoftext|>",
        bos_token="<|im_start|>",
        eos_token="<end_of_utterance>",
        image_token="<image>",
    )
    processor = hf.Idefics3Processor(
        image_processor=hf.Idefics3ImageProcessorPil(
            size={"longest_edge": 64}, max_image_size={"longest_edge": 32}
        ),
        tokenizer=tokenizer,
        image_seq_len=4,
        chat_template=SMOLVLM,
    )
    config = hf.Idefics3Config(
        vision_config={**VISION, "patch_size": 8},
        text_config=hf.LlamaConfig(**text_settings(tokenizer, layers, hidden)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    return processor, hf.Idefics3ForConditionalGeneration(config)


def gemma3(texts: Iterable[str], layers: int, hidden: int):
    """Gemma 3: image tokens attend both ways; the template trims and has no system turn."""
    special = ["<eos>", "<pad>", "<start_of_turn>", "<end_of_turn>"]
    special += ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    tokenizer = fast(
        sentence_piece(texts, special, "<bos>", prefix=False),
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
        image_token="<image_soft_token>",
    )
    processor = hf.Gemma3Processor(
        image_processor=hf.Gemma3ImageProcessorPil(size=SQUARE),
        tokenizer=tokenizer,
        image_seq_length=4,
        chat_template=GEMMA,
    )
    ids = tokenizer.convert_tokens_to_ids(special[4:])
    config = hf.Gemma3Config(
        vision_config=hf.SiglipVisionConfig(**{**VISION, "patch_size": 8}, vision_use_head=False),
        text_config=hf.Gemma3TextConfig(
            **text_settings(tokenizer, layers, hidden),
            head_dim=hidden // 4,
            query_pre_attn_scalar=hidden // 4,
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"] * (layers // 2),
        ),
        mm_tokens_per_image=4,
        **dict(zip(("boi_token_index", "eoi_token_index", "image_token_index"), ids, strict=True)),
        tie_word_embeddings=False,
    )
    model = hf.Gemma3ForConditionalGeneration(config)
    # Initialised to zeros, which hide every image.
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.2)
    return processor, model


def internvl(texts: Iterable[str], layers: int, hidden: int):
    """InternVL: as many square crops as the image's shape needs, between <img> and </img>."""
    special = ("<img>", "</img>", "<IMG_CONTEXT>", "<video>")
    names = ("start_image_token", "end_image_token", "context_image_token", "video_token")
    tokenizer = chatml(texts, *special, **dict(zip(names, special, strict=True)))
    processor = without_videos(hf.InternVLProcessor)(
        image_processor=hf.GotOcr2ImageProcessorPil(
            size=SQUARE, crop_to_patches=True, min_patches=1, max_patches=4
        ),
        tokenizer=tokenizer,
        video_processor=NoVideos({"video_processor_type": "InternVLVideoProcessor"}),
        image_seq_length=4,
        chat_template=INTERNVL,
    )
    config = hf.InternVLConfig(
        vision_config={**VISION, "patch_size": 8},
        text_config=hf.Qwen2Config(**text_settings(tokenizer, layers, hidden)),
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )
    return processor, hf.InternVLForConditionalGeneration(config)


FAMILIES = {
    "llava": llava,
    "llava_next": llava_next,
    "llava_onevision": llava_onevision,
    "qwen2_5_vl": qwen2_5_vl,
    "smolvlm": smolvlm,
    "gemma3": gemma3,
    "internvl": internvl,
}


def save_family(
    name: str, folder: Path, texts: Iterable[str], *, layers: int = 4, hidden: int = 32
) -> Path:
    """Save a family's model and processor; its tokenizer is trained on the texts."""
    torch.manual_seed(0)
    processor, model = FAMILIES[name](list(texts), layers, hidden)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def open_family(folder: Path, attention: str | None = None) -> VLM:
    """Load a saved family as `loading.load_vlm` does."""
    model = hf.AutoModelForImageTextToText.from_pretrained(folder, attn_implementation=attention)
    return make_vlm(model, load_processor(str(folder)), str(folder))
