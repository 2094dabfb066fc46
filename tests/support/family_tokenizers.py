"""Tokenizers of the kinds that language models use, trained on a few texts."""

import json
from collections.abc import Iterable

import transformers as hf
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

WORDS = r"(?:'[a-z]+)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"


def byte_level(texts: Iterable[str], special: list[str], size: int = 600) -> Tokenizer:
    """Byte pairs as in GPT-2, Qwen and SmolLM: every byte has a token, words start with a space."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _finish(tokenizer, special)


def sentence_piece(
    texts: Iterable[str], special: list[str], bos: str, prefix: bool, size: int = 600
) -> Tokenizer:
    """Byte pairs as in Mistral (with a leading space) and Gemma: spaces are ▁, bytes a fallback."""
    blanks = [normalizers.Replace(" ", "▁")]
    draft = Tokenizer(models.BPE())
    draft.normalizer = normalizers.Sequence(blanks)
    draft.pre_tokenizer = pre_tokenizers.Split(Regex(r"▁?[^▁\n]+|\n+|▁"), behavior="isolated")
    draft.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, show_progress=False))
    learnt = json.loads(draft.to_str())["model"]
    pieces = ["<unk>", *(f"<0x{i:02X}>" for i in range(256)), *learnt["vocab"]]
    tokenizer = Tokenizer(
        models.BPE(
            {piece: i for i, piece in enumerate(pieces)},
            [tuple(pair) for pair in learnt["merges"]],
            byte_fallback=True,
            unk_token="<unk>",
            fuse_unk=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), *blanks] if prefix else blanks
    )
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    tokenizer = _finish(tokenizer, ["<unk>", bos, *special])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    return tokenizer


def _finish(tokenizer: Tokenizer, special: list[str]) -> Tokenizer:
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    return tokenizer


def fast(tokenizer: Tokenizer, **names: str) -> hf.PreTrainedTokenizerFast:
    """Wrap a tokenizer; extra keyword names are those that a processor needs."""
    usual = {k: names.pop(k) for k in ("pad_token", "bos_token", "eos_token") if k in names}
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, extra_special_tokens=names, padding_side="left", **usual
    )


def chatml(texts: Iterable[str], *special: str, **names: str) -> hf.PreTrainedTokenizerFast:
    """A Qwen-like tokenizer: no token starts a text, <|im_end|> ends a turn."""
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special]
    return fast(
        byte_level(texts, tokens), pad_token="<|endoftext|>", eos_token="<|im_end|>", **names
    )
