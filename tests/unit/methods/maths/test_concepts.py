"""Concepts of conversations, with and without a tagger, and their importance."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from vlselect.methods.maths import concepts
from vlselect.methods.maths.concepts import PAIR, STEP, WORD, of_samples, read_plainly, read_tagged
from vlselect.pool.records import Record, Turn


def record(*texts, system=None):
    turns = [Turn(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]
    turns = [Turn("system", system), *turns] if system else turns
    return Record("x", "test", (), tuple(turns))


RECORDS = [
    record("<image>\nWhat is the red digit?", "Three"),
    record("What is the green digit?", "three."),
    record("Where is the red dog?", "The dog's at the left. Digit!", system="Be a helpful parrot"),
    record("describe it", "A dog chases the green ball; it runs.", "What runs?", "the dog"),
]


def found(records=RECORDS, pairs=False, min_samples=1):
    samples, vocabulary = of_samples(records, read_plainly, pairs=pairs, min_samples=min_samples)
    names = list(zip(vocabulary["type"], vocabulary["text"], strict=True))
    own = [[names[i] for i in ids] for ids in samples["concepts"]]
    assert samples["row"].tolist() == list(range(len(records)))
    return own, vocabulary.set_index(["type", "text"])


def test_words_are_those_that_are_no_function_words():
    (text,) = read_plainly(["Where's the RED dog’s ball, and 3 of its x-rays? It RUNS: runs."])
    words = ["where's", "red", "dog's", "ball", "rays", "runs", "runs"]
    assert [word for _, word in text.concepts] == words
    ends = [(a[1], b[1]) for a, b in text.edges]
    assert ends == [("where's", "red"), ("red", "dog's"), ("dog's", "ball"), ("ball", "rays")]


def test_samples_have_each_concept_once_and_the_system_prompt_has_none():
    own, vocabulary = found()
    words = [[word for _, word in ids] for ids in own]
    assert words[0] == ["digit", "red", "three"]
    assert words[3] == ["ball", "chases", "describe", "dog", "green", "runs"]
    assert not {"parrot", "image"} & {word for _, word in vocabulary.index}
    assert vocabulary["samples"].to_dict() == {
        (WORD, word): sum(word in ids for ids in words) for ids in words for word in ids
    }


def test_rare_concepts_go_with_their_edges():
    _, vocabulary = found(min_samples=2)
    # dog (two samples; dog's is another word), digit (three), three (two), red, green (two each)
    expected = {"digit": 3, "dog": 2, "green": 2, "red": 2, "three": 2}
    assert {word: n for (_, word), n in vocabulary["samples"].items()} == expected
    # red digit, green digit, red dog; green ball and dog chases went with the other word
    degrees = {"digit": 2, "dog": 1, "green": 1, "red": 2, "three": 0}
    assert {word: n for (_, word), n in vocabulary["degree"].items()} == degrees


def test_a_pair_is_a_word_of_the_question_with_the_whole_answer():
    own, vocabulary = found(pairs=True, min_samples=1)
    pairs = [[text for kind, text in ids if kind == PAIR] for ids in own]
    assert pairs[:2] == [
        ["digit → three", "red → three"],
        ["digit → three", "green → three"],
    ]
    assert pairs[3] == ["describe → a dog chases the green ball it runs", "runs → the dog"]
    assert vocabulary.loc[(PAIR, "digit → three"), ["samples", "degree"]].tolist() == [2, 0]
    long = record("describe it", "word " * (concepts.LONGEST + 1))
    assert not [kind for kind, _ in found([long], pairs=True)[0][0] if kind == PAIR]


def test_importance_is_scaled_within_each_type():
    own, vocabulary = found(pairs=True)
    del own
    for kind in (WORD, PAIR):
        part = vocabulary.loc[kind]
        raw = {
            text: math.log(len(part) / w) * (1 + math.log(max(d, 1)))
            for text, w, d in zip(part.index, part["samples"], part["degree"], strict=True)
        }
        low, high = min(raw.values()), max(raw.values())
        for text, value in raw.items():
            assert part.loc[text, "importance"] == pytest.approx((value - low) / (high - low))
        assert part["importance"].min() == 0 and part["importance"].max() == 1
    assert not np.any(vocabulary["importance"] / STEP % 1)


def test_equal_concepts_all_count_and_no_concept_is_no_error():
    _, vocabulary = found([record("red dog", "blue cat")])
    assert vocabulary["importance"].tolist() == [1.0] * 4
    own, vocabulary = found([record("what is it", "3")])
    assert own == [[]] and len(vocabulary) == 0


def test_the_order_of_the_pool_does_not_matter(monkeypatch):
    monkeypatch.setattr(concepts, "ROWS", 3)
    monkeypatch.setattr(concepts, "EDGES", 2)
    rng = np.random.default_rng(0)
    words = [f"word{'abcdefghij'[i]}" for i in range(10)]
    records = [record(" ".join(rng.choice(words, 5)), rng.choice(words)) for _ in range(40)]
    order = rng.permutation(40)
    own, vocabulary = found(records, pairs=True, min_samples=2)
    other, same = found([records[i] for i in order], pairs=True, min_samples=2)
    assert [own[i] for i in order] == other
    assert vocabulary.equals(same)
    links = {(a, b) for r in records for t in r.turns for a, b in _neighbours(t.text)}
    for (kind, word), row in vocabulary.iterrows():
        if kind == WORD:
            assert row["degree"] == len({b for a, b in links if a == word})


def _neighbours(text):
    words = text.split()
    for a, b in zip(words, words[1:], strict=False):
        if a != b:
            yield from ((a, b), (b, a))


def token(text, pos, stop=False, alpha=True):
    return SimpleNamespace(lemma_=text, pos_=pos, is_stop=stop, is_alpha=alpha)


def test_tags_become_types_and_dependencies_edges():
    """As spaCy parses "The old dog quickly chases 3 Cats"."""
    the, old, dog = token("the", "DET", stop=True), token("old", "ADJ"), token("dog", "NOUN")
    quickly, chases = token("quickly", "ADV"), token("Chase", "VERB")
    three, cats = token("3", "NUM", alpha=False), token("cat", "PROPN")
    heads = {"the": dog, "old": dog, "dog": chases, "quickly": chases, "3": cats, "cat": chases}
    parsed = [the, old, dog, quickly, chases, three, cats]
    for word in parsed:
        word.head = heads.get(word.lemma_, word)
    own, edges = read_tagged(parsed)
    entity, event, attribute = "entity", "event", "attribute"
    assert own == [
        *((attribute, "old"), (entity, "dog"), (attribute, "quickly"), (event, "chase")),
        (entity, "cat"),
    ]
    assert edges == [
        ((attribute, "old"), (entity, "dog")),
        ((entity, "dog"), (event, "chase")),
        ((attribute, "quickly"), (event, "chase")),
        ((entity, "cat"), (event, "chase")),
    ]


def test_a_tagger_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="no tagger 'no_such_pipeline' of spaCy: .*methods.mcl.ta"):
        concepts.tagged_reader("no_such_pipeline")
