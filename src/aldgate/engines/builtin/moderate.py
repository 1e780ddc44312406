"""`builtin/moderate`: a word list in the shape of OpenAI's moderations, to try out what an application does with a verdict.

It is no judge of anything: it knows a handful of words, and each category's own name in square brackets (`[hate]`).
Wire: https://platform.openai.com/docs/api-reference/moderations
"""

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from aldgate.core.calls import Attempt
from aldgate.core.errors import InvalidRequest
from aldgate.engines.builtin.frames import encoder
from aldgate.engines.builtin.pause import Later, Pause, call_later
from aldgate.engines.builtin.reply import JSON, Reply
from aldgate.engines.builtin.request import decode

CATEGORIES: dict[str, tuple[str, ...]] = {
    "harassment": ("idiot", "loser", "moron"),
    "harassment/threatening": (),
    "hate": (),
    "hate/threatening": (),
    "illicit": ("counterfeit", "launder"),
    "illicit/violent": ("pipe bomb",),
    "self-harm": ("suicide",),
    "self-harm/intent": ("kill myself",),
    "self-harm/instructions": (),
    "sexual": ("porn",),
    "sexual/minors": (),
    "violence": ("kill", "murder", "stab"),
    "violence/graphic": ("dismember", "gore"),
}
"""All of OpenAI's categories, each with the words that are looked for."""
_FOUND = {
    category: re.compile("|".join((re.escape(f"[{category}]"), *(rf"\b{re.escape(word)}\b" for word in words))))
    for category, words in CATEGORIES.items()
}
_MOST_INPUTS = 1_000


class ModerateOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast moderation is, so that it can stand in for a model in a load test. Milliseconds; 0 is at once."""

    first_byte_ms: Annotated[float, Meta(ge=0)] = 0
    """Until the reply."""


class _Part(Struct):
    type: str
    text: str | None = None


class _Request(Struct):
    input: str | list[str | _Part]


_request = msgspec.json.Decoder(_Request)


class Moderate:
    """The word list.

    Args:
        options: Its pace.
        later: Where waiting comes from.
    """

    def __init__(self, options: ModerateOptions, *, later: Later = call_later) -> None:
        self._first_byte_s = options.first_byte_ms / 1000
        self._later = later

    async def start(self, attempt: Attempt) -> Reply:
        """Look for the words.

        Raises:
            InvalidRequest: The body is not such a request, or there is too much of it.
        """
        texts = _texts(decode(_request, attempt.body).input)
        if self._first_byte_s:
            await Pause(self._later).wait(self._first_byte_s)
        call_id = attempt.call_id.removeprefix("req-")
        body = {"id": f"modr-{call_id}", "model": attempt.deployment.id, "results": [_result(text) for text in texts]}
        return Reply(iter(((0, encoder.encode(body)),)), JSON)


def _texts(given: str | list[str | _Part]) -> list[str]:
    """A verdict for each text; parts are one message together, of which pictures are not looked at."""
    if isinstance(given, str):
        return [given]
    if not given or len(given) > _MOST_INPUTS:
        raise InvalidRequest(f"`input` must hold between 1 and {_MOST_INPUTS} texts.", param="input")
    texts = [each for each in given if isinstance(each, str)]
    if len(texts) not in (0, len(given)):
        raise InvalidRequest("`input` mixes texts and parts.", param="input")
    return texts or ["\n".join(part.text or "" for part in given if isinstance(part, _Part))]


def _result(text: str) -> dict[str, Any]:
    folded = text.casefold()
    counts = {category: len(found.findall(folded)) for category, found in _FOUND.items()}
    return {
        "flagged": any(counts.values()),
        "categories": {category: count > 0 for category, count in counts.items()},
        "category_scores": {category: count / (count + 1) for category, count in counts.items()},
        "category_applied_input_types": {category: ["text"] for category in counts},
    }
