"""Weights of tokens by the words they are part of, for tokenizers of several kinds."""

import re

import numpy as np
import pytest
from family_tokenizers import byte_level, fast, sentence_piece
from model_families import TEXTS
from tiny_models import word_tokenizer

from vlselect.features.token_weights import (
    FUNCTION_WORDS,
    LITTLE,
    TokenWeights,
    is_function_word,
)

SPECIAL = ["</s>", "<pad>"]
TEXT = "The red digit is not in the image, but there is a three: 3!"
CONTENT = {"red", "digit", "image", "three", "3"}


def tokenizers():
    pieces = fast(sentence_piece(TEXTS, SPECIAL, "<s>", prefix=True), eos_token="</s>")
    yield "sentence piece", pieces
    yield "bytes", fast(byte_level(TEXTS, SPECIAL), eos_token="</s>")
    yield "words", word_tokenizer(re.findall(r"\w+|[^\w\s]", TEXT))


TOKENIZERS = dict(tokenizers())


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param]


def weigh(tokenizer, text, kind="content"):
    ids = tokenizer(text, add_special_tokens=False)
    end = tokenizer.convert_tokens_to_ids("</s>")
    weights = TokenWeights(kind, tokenizer, {end})
    return ids, end, weights


def test_tokens_inherit_their_words_weight(tokenizer):
    encoded = tokenizer(TEXT, add_special_tokens=False, return_offsets_mapping=True)
    _, end, weights = weigh(tokenizer, TEXT)
    got = weights([*encoded["input_ids"], end])
    assert got[-1] == 1 and len(got) == len(encoded["input_ids"]) + 1
    for (start, stop), weight in zip(encoded["offset_mapping"], got, strict=False):
        inside = [w for w in CONTENT if TEXT.find(w) < stop and start < TEXT.find(w) + len(w)]
        assert weight == (1 if inside else LITTLE), TEXT[start:stop]


def test_words_of_several_tokens_are_whole():
    tokenizer = TOKENIZERS["bytes"]
    for word, expected in (("throughout", LITTLE), ("throughouts", 1), ("isn't", LITTLE)):
        ids, _, weights = weigh(tokenizer, f"red {word}")
        assert len(ids["input_ids"]) > 3
        red = len(tokenizer("red", add_special_tokens=False)["input_ids"])
        assert set(weights(ids["input_ids"])[red:]) == {expected}


def test_none_weighs_all_alike(tokenizer):
    ids, end, weights = weigh(tokenizer, TEXT, kind="none")
    np.testing.assert_array_equal(weights([*ids["input_ids"], end]), 1)


def test_a_special_token_parts_words():
    tokenizer = TOKENIZERS["bytes"]
    _, end, weights = weigh(tokenizer, "")
    one = tokenizer("th", add_special_tokens=False)["input_ids"]
    two = tokenizer("e", add_special_tokens=False)["input_ids"]
    assert set(weights([*one, *two])) == {LITTLE}
    assert set(weights([*one, end, *two])) == {1}


@pytest.mark.parametrize("word", ["the", "The", "I", "isn't", "don’t", "it's", "can't", "of", "a"])
def test_function_words(word):
    assert is_function_word(word)


@pytest.mark.parametrize("word", ["A", "B", "D", "yes", "no-one", "dog's", "won", "two", "数字"])
def test_content_words(word):
    assert not is_function_word(word)


def test_the_list_is_of_lower_case_words():
    assert all(word == word.lower() for word in FUNCTION_WORDS) and len(FUNCTION_WORDS) > 150
