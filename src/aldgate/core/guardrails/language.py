"""Tells in which languages a text may be: by its script, and where many share one, by the commonest words of each.

No library: those that tell a hundred languages apart bring megabytes of tables or a model, and a cap on languages needs to know
only what is clearly none of those allowed. What is not clear passes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache, lru_cache

LEAST_LETTERS = 20
"""Shorter texts are in no language."""
LEAST_WORDS = 4
"""So many common words must be found, and a third more of one language than of any other."""
_SCRIPTS = {
    "ar": "ARABIC", "fa": "ARABIC", "ur": "ARABIC", "he": "HEBREW", "el": "GREEK", "hy": "ARMENIAN", "ka": "GEORGIAN",
    "ru": "CYRILLIC", "uk": "CYRILLIC", "bg": "CYRILLIC", "sr": "CYRILLIC", "be": "CYRILLIC", "mk": "CYRILLIC",
    "kk": "CYRILLIC", "hi": "DEVANAGARI", "mr": "DEVANAGARI", "ne": "DEVANAGARI", "bn": "BENGALI", "ta": "TAMIL",
    "te": "TELUGU", "kn": "KANNADA", "ml": "MALAYALAM", "gu": "GUJARATI", "pa": "GURMUKHI", "th": "THAI", "lo": "LAO",
    "my": "MYANMAR", "km": "KHMER", "am": "ETHIOPIC", "zh": "CJK", "ja": "KANA", "ko": "HANGUL",
}  # fmt: skip
"""The script of each language that is not written in Latin letters."""
_WORDS = {
    "en": "the and of to in is that it was for with as on are this be have you not from they what which will would can",
    "de": "der die und das ist nicht ein eine zu den mit von sich auf für auch dem wie ich wir sie es im oder aber wird kann",
    "fr": "le la les et des est une que pas pour dans qui sur plus par avec ce il je vous nous sont mais ou être cette du",
    "es": "el la los las y que de en una es por con para no se lo como más pero sus este ha del al muy también está",
    "it": "il di che è la un per non una sono con si come ma anche le gli della questo nel più ho hanno delle essere cosa",
    "pt": "o que não uma os para com em é do da se por mais as dos como mas foi ao ele das tem você são isso também",
    "nl": "de het een van en is dat niet op te voor met zijn aan er maar om ook als dan naar wordt deze kan bij heeft",
    "pl": "i w nie na się że z do to jest jak ale po co tak za od tego przez są być dla czy który już ma",
    "sv": "och att det som en är på för med av till inte den har jag om ett de men var så vi kan från eller",
    "da": "og at det er en til på som af for med ikke den de har jeg der et om var men vi kan fra eller skal",
    "no": "og det er i som på at en av for til med ikke den har jeg et om var men vi kan fra eller skal være",
    "fi": "ja on ei että se oli hän mutta kun niin ovat ole mitä tämä sen joka myös mukaan voi kuin jos tai minä",
    "cs": "a se na je že to v s z do ale jako by pro jsem jsou není tak po co když nebo byl bylo také už",
    "ro": "și de la în nu este o să cu care pe un pentru din mai sunt ca dar a fi dacă sau această",
    "tr": "bir ve bu için ile da de çok ne daha gibi ama olan var mi ben olarak değil kadar sonra ya her",
    "hu": "a az és hogy nem is egy van volt de ez csak meg már mint vagy azt ha még ki kell lehet",
    "id": "yang dan di ini itu untuk dengan tidak dari dalam akan pada adalah ke saya kita bisa ada juga atau karena",
    "vi": "và là của có không được cho một những với này trong người các đã khi để đến cũng như ở thì",
}
"""The commonest words of languages in Latin letters."""
_KANA = frozenset({"HIRAGANA", "KATAKANA"})
_WORD = re.compile(r"[^\W\d_]+")


@cache
def known_languages() -> frozenset[str]:
    """Codes of the languages that are told apart."""
    return frozenset(_SCRIPTS) | frozenset(_WORDS)


@cache
def _vocabulary() -> dict[str, tuple[str, ...]]:
    """Word -> the languages that it is common in."""
    found: dict[str, tuple[str, ...]] = {}
    for language, words in _WORDS.items():
        for word in words.split():
            found[word] = (*found.get(word, ()), language)
    return found


@lru_cache(maxsize=20_000)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0].split("-")[0]


def languages_of(text: str) -> frozenset[str]:
    """The languages that it may be in; empty where that cannot be told."""
    scripts = Counter(_script(letter) for letter in text if letter.isalpha())
    total = scripts.total()
    if total < LEAST_LETTERS:
        return frozenset()
    kana = sum(scripts.pop(name, 0) for name in _KANA)
    if kana * 20 > total:  # Japanese writes with Chinese characters, too
        kana += scripts.pop("CJK", 0)
    scripts["KANA"] = kana
    script, count = scripts.most_common(1)[0]
    if count * 3 < total * 2:
        return frozenset()
    if script == "LATIN":
        return _by_words(text)
    return frozenset(language for language, own in _SCRIPTS.items() if own == script)


def _by_words(text: str) -> frozenset[str]:
    vocabulary = _vocabulary()
    counts = Counter(language for word in _WORD.findall(text.lower()) for language in vocabulary.get(word, ()))
    ranked = counts.most_common(2)
    if not ranked or ranked[0][1] < LEAST_WORDS:
        return frozenset()
    best = ranked[0][1]
    return frozenset(language for language, count in counts.items() if count * 4 > best * 3)
