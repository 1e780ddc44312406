"""What a provider said when it failed in the middle, as callers may read it: short, on one line, and without credentials."""

from __future__ import annotations

import re
from typing import TypeVar

from aldgate.core.errors import UpstreamError

E = TypeVar("E", bound=UpstreamError)

MOST_CHARACTERS = 300
_CREDENTIAL = re.compile(
    r"\b(?:bearer|basic)\s+[^\s\"',]+"
    r"|\b(?:sk|pk|rk|gsk|xai|ald|hf|nvapi|pplx|fw|r8|csk|api|key)[-_][\w-]{8,}"
    r"|\b(?:AIza|AKIA|ASIA|ya29\.|eyJ)[\w.-]{12,}"
    r"|(?<=://)[^\s/@]+@"
    r"|(?<=[?&])(?:[\w-]*(?:key|token|secret|signature))=[^&\s]+",
    re.IGNORECASE,
)


def saying(error: E, said: str | None) -> E:
    """The error with the provider's words in it, if it has none of its own to say and they were part of a reply that began well.

    What comes with a status 5xx instead may be a stack trace of the provider's, and is not for callers.
    """
    words = quoted(said or "")
    if words and type(error) is UpstreamError:
        error.message = f"The provider failed: {words}"
        error.args = (error.message,)
    return error


def quoted(said: str) -> str:
    """At most `MOST_CHARACTERS` of it."""
    words = _CREDENTIAL.sub("***", " ".join(said[: 4 * MOST_CHARACTERS].split()))
    return words if len(words) <= MOST_CHARACTERS else f"{words[: MOST_CHARACTERS - 1]}…"
