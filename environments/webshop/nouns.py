"""Nouns of product titles, which the reward compares: a rule, and spaCy as the exact mode.

The original asks spaCy's tagger. In titles, where nearly every word begins with a capital letter,
that tagger calls nearly every word a proper noun; so the rule takes every word but function words
and numbers. It needs no model and gives the same answer everywhere. How often the two lead to
different rewards is measured in tests/environments/test_webshop_scoring.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Literal

from lamer_bench.errors import MissingExtraError

Tagger = Literal["rule", "spacy"]
FindNouns = Callable[[str], tuple[str, ...]]
"""A title -> its nouns in lower case and in order, repeats included."""

SPACY_MODEL = "en_core_web_lg"
"""The model that the original uses."""

_WORD = re.compile(r"(?:(?!['’]s\b)[^\s,;:()\[\]/|+&\"“”‘’*!?'-])+")
_FUNCTION_WORDS = """
    a an the this that these those some any all both each every no not other
    and or nor but so yet plus as if than
    of in on at to for from by with without within into onto over under up down out off about
    above across after against along among around before behind below beneath beside between
    during inside near outside per since through throughout toward until upon via
    i you he she it we they me him her us them my your his its our their who which what
    is are was were be been am do does did has have had can will would should may might must
    very too also just only ever even more most much many quite really
    one two three four five six seven eight nine ten eleven twelve dozen hundred thousand
    x s c
"""
_NO_NOUNS = frozenset(_FUNCTION_WORDS.split())


@lru_cache(maxsize=16_384)
def by_rule(title: str) -> tuple[str, ...]:
    """Every word that holds a letter and is neither a function word nor a number word."""
    words = [word.strip(".%").lower() for word in _WORD.findall(title)]
    return tuple(word for word in words if word not in _NO_NOUNS and any(map(str.isalpha, word)))


@cache
def finder(tagger: Tagger, model: str = SPACY_MODEL) -> FindNouns:
    """The function that finds nouns; `MissingExtraError` where spaCy or its model is absent."""
    return by_rule if tagger == "rule" else _with_spacy(model)


def _with_spacy(model: str) -> FindNouns:
    try:
        import spacy

        language = spacy.load(model, disable=["ner", "lemmatizer"])
    except (ImportError, OSError) as error:
        raise MissingExtraError(
            f'nouns="spacy" needs spaCy and its model {model!r}, one of which is missing. Install '
            f'them: pip install spacy && python -m spacy download {model}; or use nouns="rule".'
        ) from error

    @lru_cache(maxsize=16_384)
    def by_spacy(title: str) -> tuple[str, ...]:
        tagged = language(title)
        return tuple(token.text.lower() for token in tagged if token.pos_ in ("NOUN", "PROPN"))

    return by_spacy
