"""Small models of families that the adapter refuses, or that need settings of their own."""

from collections.abc import Iterable

import torch
import transformers as hf
from family_tokenizers import byte_level, fast, sentence_piece
from model_families import SQUARE, VISION, qwen_processor, qwen_settings, text_settings
from templates import SMOLVLM


def qwen3_5(texts: Iterable[str], layers: int, hidden: int):
    """Qwen3.5: only every fourth layer has self-attention, the others mix tokens linearly."""
    processor = qwen_processor(hf.Qwen3VLProcessor, "Qwen3VLVideoProcessor", texts)
    tokenizer = processor.tokenizer
    linear = {"linear_key_head_dim": 8, "linear_value_head_dim": 8}
    linear |= {"linear_num_key_heads": 2, "linear_num_value_heads": 4}
    config = hf.Qwen3_5Config(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 8,
            "num_position_embeddings": 16,
            "out_hidden_size": hidden,
        },
        text_config={
            **text_settings(tokenizer, layers, hidden),
            **linear,
            "head_dim": hidden // 4,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 1.0,
                "mrope_section": [2, 1, 1],
            },
        },
        **qwen_settings(tokenizer),
    )
    return processor, hf.Qwen3_5ForConditionalGeneration(config)


def idefics2(texts: Iterable[str], layers: int, hidden: int):
    """Idefics2: resampled images between two fake tokens. The adapter refuses it."""
    special = ["<|endoftext|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>"]
    tokenizer = fast(
        byte_level(texts, special),
        pad_token="<|endoftext|>",
        bos_token="<|endoftext|>",
        eos_token="<end_of_utterance>",
        image_token="<image>",
        image_boundary_token="<fake_token_around_image>",
    )
    images = hf.Idefics2ImageProcessorPil(
        size={"longest_edge": 32, "shortest_edge": 16}, do_image_splitting=False
    )
    processor = hf.Idefics2Processor(images, tokenizer, image_seq_len=4, chat_template=SMOLVLM)
    config = hf.Idefics2Config(
        vision_config={**VISION, "patch_size": 8},
        perceiver_config={"resampler_n_latents": 4, "resampler_depth": 1, "hidden_size": hidden},
        text_config=hf.MistralConfig(**text_settings(tokenizer, layers, hidden)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    with torch.device("meta"):
        return processor, hf.Idefics2ForConditionalGeneration(config)


def paligemma(texts: Iterable[str], layers: int, hidden: int):
    """PaliGemma: no conversations; its processor writes into the text. The adapter refuses it."""
    tokenizer = fast(
        sentence_piece(texts, ["<eos>", "<pad>", "<image>"], "<bos>", prefix=False),
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        image_token="<image>",
    )
    images = hf.SiglipImageProcessorPil(size=SQUARE)
    images.image_seq_length = 4
    processor = hf.PaliGemmaProcessor(image_processor=images, tokenizer=tokenizer)
    config = hf.PaliGemmaConfig(
        vision_config=hf.SiglipVisionConfig(**VISION, vision_use_head=False, projection_dim=hidden),
        text_config=hf.GemmaConfig(
            **text_settings(tokenizer, layers, hidden), head_dim=hidden // 4
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=hidden,
    )
    return processor, hf.PaliGemmaForConditionalGeneration(config)
