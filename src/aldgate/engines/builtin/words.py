"""Words, which are the builtin engines' tokens."""

import re
from typing import Literal

_WORD = re.compile(r"\s*\S+(?:\s+\Z)?|\s+")


def split_words(text: str) -> list[str]:
    """Cut `text` into words that join to it again: space goes with the word after it, at the end with the last one."""
    return _WORD.findall(text)


def count_words(text: str) -> int:
    """How many words `split_words` gives."""
    return len(text.split()) or (1 if text else 0)


def cut_text(text: str, stop: str | list[str] | None, cap: int | None) -> tuple[str, int, Literal["stop", "length"]]:
    """End `text` before the first stop string, then after `cap` words.

    Returns:
        What is left, its words, and why it ended there. An empty stop string stops nothing.
    """
    for sequence in [stop] if isinstance(stop, str) else stop or ():
        text = text.partition(sequence)[0] if sequence else text
    words = count_words(text)
    if cap is None or words <= cap:
        return text, words, "stop"
    return "".join(split_words(text)[:cap]), cap, "length"
