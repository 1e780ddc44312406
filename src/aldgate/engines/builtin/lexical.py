"""Lexical vectors: texts that share words, or parts of words, lie closer together than texts that do not.

Each word and each of its three-letter runs is hashed to one of the dimensions and a sign; the counts are added up and the
sum is brought to length 1. Integers until the last step, so that every platform gets the same bits.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

WIDTH = 256
"""Dimensions of a whole vector."""

_TOKEN = re.compile(r"\w{1,64}|[^\w\s]{1,64}")
_WORD_WEIGHT = 3
"""A shared word tells more than a shared run of three letters."""


def tokens(text: str) -> Iterator[str]:
    """Words and runs of marks, without case. What is longer than 64 letters (or has no spaces) comes in several."""
    return (match[0] for match in _TOKEN.finditer(text.casefold()))


def add_tokens(words: Iterable[str], sums: list[int]) -> None:
    """Add the features of `words` to the `WIDTH` sums."""
    for word in words:
        for index, weight in _features(word):
            sums[index] += weight


def unit_vector(sums: list[int], dimensions: int = WIDTH) -> list[float]:
    """The first `dimensions` of the sums, brought to length 1. Nothing at all points along the first axis."""
    part = sums[:dimensions]
    length = math.sqrt(sum(value * value for value in part))
    return [value / length for value in part] if length else [1.0] + [0.0] * (dimensions - 1)


@lru_cache(maxsize=4096)
def _features(word: str) -> tuple[tuple[int, int], ...]:
    padded = f" {word} "
    runs = [padded[start : start + 3] for start in range(len(word))]
    return (_feature(word, _WORD_WEIGHT), *(_feature(run, 1) for run in runs))


def _feature(feature: str, weight: int) -> tuple[int, int]:
    digest = hashlib.blake2b(feature.encode(errors="surrogatepass"), digest_size=4).digest()
    # Three bytes spread over the dimensions, the fourth decides the sign.
    return int.from_bytes(digest[:3], "little") % WIDTH, weight if digest[3] & 1 else -weight
