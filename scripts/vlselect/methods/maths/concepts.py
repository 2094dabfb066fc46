"""Concepts of samples: the content words of their texts, how rare and how connected each one is.

Words are found by a tagger of spaCy or, without one, by their letters: then all are of one type,
function words of English are left out, and neighbours in a sentence stand for words that depend on
each other.

References
----------
.. [1] Wu and Ma, Mapping the Concept Landscape (MCL), arXiv:2608.22858.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.features.token_weights import FUNCTION_WORDS
from vlselect.pool.records import IMAGE_MARKER, Record, Turn

ROWS = 1024  # samples that are read at a time
EDGES = 1 << 20  # that are sorted in among those before at least
LONGEST = 10  # words and numbers of an answer that is a concept together with its question
STEP = 2.0**-32  # importances are multiples of it, so that sums of them are exact
WORD, PAIR = "word", "pair"
TAGGED = {
    **dict.fromkeys(("NOUN", "PROPN"), "entity"),
    **dict.fromkeys(("VERB",), "event"),
    **dict.fromkeys(("ADJ", "ADV"), "attribute"),
}
# Adverbs and light verbs that are no concepts either
_LIGHT = """
again almost already also always away back became become don't done else enough etc even ever few
further get gets getting give given gives go goes going got here how however i'm indeed instead
isn't it's just keep least less let let's likely made make makes many maybe more most much never now
often ones only others otherwise own perhaps please quite rather really same seem seems several
somewhere still that's there's therefore thus together too use used uses using various very well
what's whatever whole why yes
"""
LEFT_OUT = FUNCTION_WORDS | frozenset(_LIGHT.split())
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE = re.compile(r"[.!?;:\n]+(?:\s|$)")

Concept = tuple[str, str]  # type, text
Edge = tuple[Concept, Concept]


class Found(NamedTuple):
    """The concepts of one text, in their order and repeated, and pairs of them that belong."""

    concepts: list[Concept]
    edges: list[Edge]


Read = Callable[[Sequence[str]], Iterable[Found]]


def read_plainly(texts: Sequence[str]) -> Iterator[Found]:
    """Find the content words of each text without a tagger: all are of the type `WORD`.

    They have two letters or more and are no function words of English; case does not count. Two
    that follow each other in a sentence, whatever function words are between them, are an edge.
    """
    for text in texts:
        concepts, edges = [], []
        for sentence in _SENTENCE.split(text):
            words = [(WORD, token) for token in tokens(sentence) if _is_content(token)]
            concepts += words
            edges += zip(words, words[1:], strict=False)
        yield Found(concepts, edges)


def tagged_reader(name: str) -> Read:
    """Return a function that finds content words by a pipeline of spaCy, a name or a folder.

    Raises InputError if spaCy or the pipeline is not installed.
    """
    try:
        import spacy

        pipeline = spacy.load(name, exclude=["ner"])
    except (ImportError, OSError) as error:
        why = "install spaCy and the pipeline beside vlselect, or leave `methods.mcl.tagger` out"
        raise InputError(f"no tagger {name!r} of spaCy: {error}; {why}") from error

    def read(texts: Sequence[str]) -> Iterator[Found]:
        return map(read_tagged, pipeline.pipe(texts))

    return read


def read_tagged(tokens: Iterable) -> Found:
    """Find the content words of a text that spaCy has parsed: entities, events and attributes.

    `tokens` are its tokens: pos_, lemma_, is_stop, is_alpha and head. A word and the one that it
    depends on are an edge if both are content words.
    """
    concepts, edges = [], []
    for token in tokens:
        own = _tagged_concept(token)
        if own is None:
            continue
        concepts.append(own)
        head = _tagged_concept(token.head)
        if head not in (None, own):
            edges.append((own, head))
    return Found(concepts, edges)


def of_samples(
    records: Iterable[Record], read: Read, *, pairs: bool, min_samples: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find the concepts of samples, and describe each one.

    Parameters
    ----------
    records : iterable of Record
        All samples of the pool, in row order; what user and assistant say is read.
    read : callable
        `read_plainly`, or from `tagged_reader`.
    pairs : bool
        Whether each content word of a question together with its answer is a concept, too, of the
        type `PAIR` and without edges. Answers longer than `LONGEST` words make none.
    min_samples : int
        Concepts of fewer samples are left out, with their edges.

    Returns
    -------
    samples : DataFrame
        row; concepts, an int32 array of each sample's concepts, ascending.
    vocabulary : DataFrame
        A row for each concept, by type and text: type, text, samples that have it, degree, and
        importance. Neither depends on the order of the records.
    """
    numbers: dict[Concept, int] = {}
    own: list[np.ndarray] = []
    edges, waiting = np.empty(0, np.int64), []
    for block in _blocks(records, read, pairs):
        tied: set[int] = set()
        for concepts, pairs_of_words in block:
            ids = {numbers.setdefault(concept, len(numbers)) for concept in concepts}
            own.append(np.fromiter(ids, np.int32, len(ids)))
            tied |= {_packed(numbers[a], numbers[b]) for a, b in pairs_of_words if a != b}
        waiting.append(np.fromiter(tied, np.int64, len(tied)))
        if sum(map(len, waiting)) > max(len(edges), EDGES):
            edges, waiting = np.unique(np.concatenate([edges, *waiting])), []
    edges = np.unique(np.concatenate([edges, *waiting]))
    frame = pd.DataFrame(list(numbers), columns=["type", "text"])
    frame["samples"] = np.bincount(np.concatenate([*own, []]).astype(int), minlength=len(frame))
    kept = frame[frame["samples"] >= min_samples].sort_values(["type", "text"])
    place = np.full(len(frame), -1, np.int32)
    place[kept.index] = np.arange(len(kept))
    ends = place[np.stack([edges >> 32, edges & 0xFFFFFFFF])]  # (2, edges)
    ends = ends[:, (ends >= 0).all(axis=0)]
    vocabulary = kept.reset_index(drop=True)
    vocabulary["degree"] = np.bincount(ends.ravel(), minlength=len(kept))
    vocabulary["importance"] = importance(vocabulary)
    found = [np.sort(ids[ids >= 0]) for ids in (place[ids] for ids in own)]
    return pd.DataFrame({"row": np.arange(len(own)), "concepts": found}), vocabulary


def importance(vocabulary: pd.DataFrame) -> np.ndarray:
    """Compute the importance of concepts: float64 in [0, 1], in multiples of `STEP`.

    For a concept in w samples and with d neighbours, log(N / w) · (1 + log d), where N is the
    number of concepts of its type (d at least 1), scaled within the type from its least to 0 and
    its greatest to 1; 1 if all are equal.
    """
    types = vocabulary.groupby("type")["samples"]
    rarity = np.log(types.transform("size") / vocabulary["samples"])
    raw = rarity * (1 + np.log(vocabulary["degree"].clip(lower=1)))
    by_type = raw.groupby(vocabulary["type"])
    low, high = by_type.transform("min"), by_type.transform("max")
    scaled = ((raw - low) / (high - low)).where(high > low, 1.0)
    return np.rint(scaled.to_numpy() / STEP) * STEP


def tokens(text: str) -> list[str]:
    """Return the words and numbers of a text without regard to case."""
    return [token.replace("’", "'") for token in _TOKEN.findall(text.casefold())]


def _blocks(records: Iterable[Record], read: Read, pairs: bool) -> Iterator[list[Found]]:
    """Yield what is found in each sample, a list for each block of them."""
    records = iter(records)
    while block := list(islice(records, ROWS)):
        spoken = [[t for t in record.turns if t.role in ("user", "assistant")] for record in block]
        texts = [[turn.text.replace(IMAGE_MARKER, " ") for turn in turns] for turns in spoken]
        found = iter(read([text for own in texts for text in own]))
        parts = [list(islice(found, len(own))) for own in texts]
        yield [
            Found(
                [c for part in own for c in part.concepts] + (_pairs(turns, own) if pairs else []),
                [edge for part in own for edge in part.edges],
            )
            for turns, own in zip(spoken, parts, strict=True)
        ]


def _pairs(turns: Sequence[Turn], found: Sequence[Found]) -> list[Concept]:
    """Return each content word of a question with the whole answer to it."""
    pairs = []
    for question, turn in zip(found, turns[1:], strict=False):
        answer = tokens(turn.text)
        if turn.role == "assistant" and 0 < len(answer) <= LONGEST:
            pairs += [(PAIR, f"{word} → {' '.join(answer)}") for _, word in question.concepts]
    return pairs


def _is_content(token: str) -> bool:
    return len(token) > 1 and token not in LEFT_OUT and any(map(str.isalpha, token))


def _tagged_concept(token) -> Concept | None:
    if token.is_stop or not token.is_alpha or token.pos_ not in TAGGED:
        return None
    return TAGGED[token.pos_], token.lemma_.casefold()


def _packed(a: int, b: int) -> int:
    """Pack two concepts into one number, the smaller one first."""
    return (min(a, b) << 32) | max(a, b)
