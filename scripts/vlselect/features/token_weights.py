"""Weights of tokens in a loss: content words count fully, function words and punctuation little.

The published weights come from a tagger of parts of speech; here, a list of the English function
words takes its place, so that nothing has to be downloaded. All words that are not on it are taken
for content, also those of other languages.

References
----------
.. [1] Hong et al., DICS, arXiv:2608.30209.
"""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

TOKEN_WEIGHTS = ("none", "content")
LITTLE = 0.1
WORD = re.compile(r"\w+(?:['’]\w+)*")
# Determiners, pronouns, prepositions, auxiliaries, conjunctions and particles.
_ENGLISH = """
a an the this that these those each every either neither some any all both half such what which
whose no another other
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself
she her hers herself it its itself they them their theirs themselves who whom one someone somebody
something anyone anybody anything everyone everybody everything nobody nothing none there
about above across after against along alongside amid among around as at before behind below beneath
beside besides between beyond by despite down during except for from in inside into like near of off
on onto out outside over past per since through throughout till to toward towards under underneath
until unlike up upon via with within without
am is are was were be been being have has had having do does did doing will would shall should can
could may might must ought cannot can't won't shan't
and but or nor so yet if then than because although though unless while whereas whether when
whenever where wherever once not
"""
FUNCTION_WORDS = frozenset(_ENGLISH.split())


def is_function_word(word: str) -> bool:
    """Return whether a word, or what stands before its apostrophe, is on the list.

    A single capital letter but I is none: it is more often an option's letter than an article.
    """
    if len(word) == 1 and word.isupper() and word != "I":
        return False
    plain = word.lower().replace("’", "'")
    stem = plain.removesuffix("n't") if plain.endswith("n't") else plain.partition("'")[0]
    return plain in FUNCTION_WORDS or stem in FUNCTION_WORDS


class Tokenizer(Protocol):
    """What is used of transformers' tokenizers, which are slow to import for the list alone."""

    def decode(self, ids: Sequence[int], **options: bool) -> str:
        """Return the text of tokens."""


class TokenWeights:
    """Weights of the tokens of a text, by the words that they are part of.

    Parameters
    ----------
    kind : {"none", "content"}
        `none`: all tokens weigh 1. `content`: 0.1 in function words and punctuation, 1 in all other
        words and in special tokens.
    tokenizer : Tokenizer
    special : collection of int
        Ids of its special tokens.
    """

    def __init__(self, kind: str, tokenizer: Tokenizer, special: Collection[int]) -> None:
        self._kind, self._tokenizer, self._special = kind, tokenizer, special
        self._piece = lru_cache(maxsize=1 << 18)(self._decode)

    def __call__(self, ids: Sequence[int]) -> np.ndarray:
        """Return the weights of consecutive tokens, float64 (n,)."""
        if self._kind == "none":
            return np.ones(len(ids))
        pieces, before = [], None
        for token in ids:
            pieces.append(" " if token in self._special else self._piece(before, token))
            before = None if token in self._special else token
        text = "".join(pieces)
        content = np.zeros(len(text), dtype=bool)  # characters of content words
        for word in WORD.finditer(text):
            content[slice(*word.span())] = not is_function_word(word[0])
        ends = np.cumsum([len(piece) for piece in pieces])
        weights = [
            1.0 if token in self._special or content[end - len(piece) : end].any() else LITTLE
            for token, piece, end in zip(ids, pieces, ends, strict=True)
        ]
        return np.array(weights)

    def _decode(self, before: int | None, token: int) -> str:
        """Return the characters that a token adds to the text after the token before it.

        A token alone may lose the space that it begins with.
        """
        if before is None:
            return self._tokenizer.decode([token])
        text, known = self._tokenizer.decode([before, token]), self._tokenizer.decode([before])
        return text[len(known) :] if text.startswith(known) else self._tokenizer.decode([token])
