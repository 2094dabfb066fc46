"""Normalisation of VQA answers: punctuation, number words, articles and contractions.

The tables are those of the evaluation code of visualqa.org, including its quirks, because published
scores depend on them.
"""

import re

# Correct forms; a word is corrected if it lacks exactly one of the form's apostrophes.
_FORMS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
    haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've
    might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
    shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
    someone's something'd something'd've something'll that's there'd there'd've there're there's
    they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're
    what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're
    why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're
    you've
"""
_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_ARTICLES = {"a", "an", "the"}
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")
_FULL_STOPS_REMOVED = 32  # at most: the published programs pass re.UNICODE as the count


def _misspellings(form: str) -> dict[str, str]:
    return {form[:i] + form[i + 1 :]: form for i, character in enumerate(form) if character == "'"}


CONTRACTIONS = {
    wrong: form for correct in _FORMS.split() for wrong, form in _misspellings(correct).items()
}
CONTRACTIONS["somebody'd"] = "somebodyd"  # the one entry that goes the other way
NUMBER_WORDS = {"none": "0"} | {word: str(number) for number, word in enumerate(_NUMBERS)}


def normalise_vqa(text: str) -> str:
    """Normalise an answer as the VQA evaluation code does.

    References
    ----------
    Antol et al., VQA, ICCV 2015 (arXiv 1505.00468); evaluation code of visualqa.org.
    """
    text = text.replace("\n", " ").replace("\t", " ").strip()
    return _words(_without_punctuation(text))


def normalise_textvqa(text: str) -> str:
    """Normalise an answer as TextVQA's evaluation code does.

    Before VQA's rules it lower-cases, drops commas and question marks, and splits off a possessive
    's.

    References
    ----------
    Singh et al., TextVQA, CVPR 2019 (arXiv 1904.08920); evaluation code of MMF (M4C).
    """
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return normalise_vqa(text)


def _without_punctuation(text: str) -> str:
    """Remove marks next to a blank, or all if a number has a comma; blank the others."""
    joined = _DIGIT_COMMA.search(text) is not None
    out = text
    for mark in _PUNCTUATION:
        touching = f"{mark} " in text or f" {mark}" in text
        out = out.replace(mark, "" if joined or touching else " ")
    return _FULL_STOP.sub("", out, count=_FULL_STOPS_REMOVED)


def _words(text: str) -> str:
    """Lower-case; digits for number words; no articles; apostrophes restored in contractions."""
    words = (NUMBER_WORDS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)
