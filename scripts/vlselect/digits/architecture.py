"""Tiny vision-language models of real architectures, built from their config classes.

Everything is local: a tokenizer of whole words, a PIL image processor, a chat template, and models
with fresh weights. `save_pretrained` turns them into models that load like any published one.
"""

from collections.abc import Sequence

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

# CLIP takes an end token with id 2 for an old config, and then pools elsewhere: keep 2 free.
SPECIAL_TOKENS = ("<pad>", "<s>", "<unk>", "</s>", "<image>", "USER:", "ASSISTANT:")
IMAGE_TOKEN = "<image>"
FEATURE_LAYER = -2  # layer of the vision tower that the language model sees
CHAT_TEMPLATE = """\
{%- for message in messages -%}
  {%- if message['role'] == 'user' -%}{{ 'USER: ' }}
  {%- elif message['role'] == 'assistant' -%}{{ 'ASSISTANT: ' }}
  {%- endif -%}
  {%- if message['content'] is string -%}{{ message['content'] }}
  {%- else -%}
    {%- for part in message['content'] -%}
      {%- if part['type'] == 'image' -%}{{ '<image>\\n' }}
      {%- else -%}{{ part['text'] }}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
  {%- if message['role'] == 'assistant' -%}{{ eos_token }}
  {%- else -%}{{ ' ' }}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'ASSISTANT: ' }}{%- endif -%}
"""


def build_tokenizer(
    words: Sequence[str], *, closed: bool = False, padding_side: str = "left"
) -> PreTrainedTokenizerFast:
    """Build a tokenizer of whole words and punctuation marks.

    Parameters
    ----------
    words : sequence of str
        Vocabulary beside the special tokens; other words become ``<unk>``.
    closed : bool
        Whether every text ends with ``</s>``, as CLIP's text model needs; all begin with ``<s>``.
    padding_side : {"left", "right"}
        Left suits generation, right suits models with absolute positions.
    """
    ids = {token: i for i, token in enumerate(dict.fromkeys([*SPECIAL_TOKENS, *words]))}
    core = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>" if closed else "<s> $A",
        special_tokens=[(token, ids[token]) for token in ("<s>", "</s>")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": IMAGE_TOKEN},
        padding_side=padding_side,
    )


def build_image_processor(image_size: int) -> CLIPImageProcessorPil:
    """Build CLIP's image processor for square images of `image_size` pixels."""
    return CLIPImageProcessorPil(
        size={"shortest_edge": image_size},
        crop_size={"height": image_size, "width": image_size},
    )


def build_processor(words: Sequence[str], image_size: int, patch_size: int) -> LlavaProcessor:
    """Build a LLaVA processor with a chat template.

    An image of `image_size` pixels becomes ``(image_size // patch_size) ** 2`` tokens.
    """
    return LlavaProcessor(
        image_processor=build_image_processor(image_size),
        tokenizer=build_tokenizer(words),
        patch_size=patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_model(
    processor: LlavaProcessor,
    *,
    hidden: int = 96,
    layers: int = 3,
    heads: int = 3,
    vision: CLIPVisionConfig | None = None,
    initial_spread: float = 0.08,
    seed: int = 0,
) -> LlavaForConditionalGeneration:
    """Build a LLaVA with fresh weights for the vocabulary and image size of a processor.

    Parameters
    ----------
    hidden, layers, heads : int
        Width, decoder layers and attention heads of the language model; its MLP is twice as wide.
    vision : CLIPVisionConfig, optional
        Architecture of the vision tower; by default that of `vision_config`.
    initial_spread : float
        Standard deviation of the language model's initial weights. Models this small hardly begin
        to learn at the usual 0.02.
    """
    tokenizer = processor.tokenizer
    side = processor.image_processor.crop_size["height"]
    vision = vision or vision_config(image_size=side, patch_size=processor.patch_size)
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=256,
        initializer_range=initial_spread,
        **_token_ids(tokenizer),
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        image_seq_length=(side // processor.patch_size) ** 2,
        vision_feature_layer=FEATURE_LAYER,
        vision_feature_select_strategy="default",
    )
    config.initializer_range = initial_spread
    torch.manual_seed(seed)
    return LlavaForConditionalGeneration(config)


def build_clip_processor(words: Sequence[str], image_size: int) -> CLIPProcessor:
    """Build a CLIP processor: texts begin with ``<s>``, end with ``</s>`` and are padded right."""
    tokenizer = build_tokenizer(words, closed=True, padding_side="right")
    tokenizer.model_max_length = 64
    return CLIPProcessor(
        image_processor=build_image_processor(image_size),
        tokenizer=tokenizer,
    )


def build_clip(processor: CLIPProcessor, vision: CLIPVisionConfig, *, seed: int = 0) -> CLIPModel:
    """Build a CLIP with fresh weights: the given vision tower and a small causal text model."""
    text = CLIPTextConfig(
        vocab_size=len(processor.tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=processor.tokenizer.model_max_length,
        projection_dim=vision.projection_dim,
        **_token_ids(processor.tokenizer),
    )
    config = CLIPConfig(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        projection_dim=vision.projection_dim,
    )
    torch.manual_seed(seed)
    return CLIPModel(config)


def vision_config(
    image_size: int, patch_size: int, *, hidden: int = 96, layers: int = 3, heads: int = 4
) -> CLIPVisionConfig:
    """Return the config of a small vision transformer; its MLP is twice as wide as the rest."""
    return CLIPVisionConfig(
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        image_size=image_size,
        patch_size=patch_size,
        projection_dim=64,
    )


def _token_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
