"""Which deployment answered a conversation before: it has the prompt in its cache, and can read what it encrypted itself."""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import blake2b

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.routes import Deployment

MOST_CONVERSATIONS = 20_000
TTL_S = 3_600.0
"""Providers keep a cached prompt for minutes up to an hour."""

_SYSTEM = re.compile(rb'"role"\s*:\s*"(?:system|developer)"')


class _Conversation(msgspec.Struct):
    prompt_cache_key: str | None = None
    messages: list[msgspec.Raw] | None = None
    contents: list[msgspec.Raw] | None = None
    input: msgspec.Raw = msgspec.Raw(b"")


_conversation = msgspec.json.Decoder(_Conversation)
_items = msgspec.json.Decoder(list[msgspec.Raw])


class Served(msgspec.Struct, frozen=True):
    """Who answered, and until when that is worth knowing (monotonic seconds)."""

    deployment: str
    backend: str
    until: float


class Affinity:
    """The last deployment of each conversation, as long as it is young and there are not too many."""

    def __init__(self) -> None:
        self._served: OrderedDict[bytes, Served] = OrderedDict()

    def recall(self, key: bytes | None, now: float) -> Served | None:
        """Who answered last; None if nobody knows."""
        served = self._served.get(key) if key is not None else None
        return served if served is not None and now < served.until else None

    def remember(self, key: bytes | None, deployment: Deployment, now: float) -> None:
        """`deployment` answers now."""
        if key is None:
            return
        self._served[key] = Served(deployment.id, deployment.backend, now + TTL_S)
        self._served.move_to_end(key)
        if len(self._served) > MOST_CONVERSATIONS:
            self._served.popitem(last=False)


def conversation_key(principal_id: str, peek: Peek) -> bytes | None:
    """A name for the conversation that a request continues: the caller's own word for its prompt, or how it begins.

    None: it has no beginning that a later request would repeat.
    """
    try:
        seen = _conversation.decode(peek.body)
        beginning = [seen.prompt_cache_key.encode()] if seen.prompt_cache_key else _beginning(seen)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if not beginning:
        return None
    return blake2b(b"\0".join([principal_id.encode(), peek.model.encode(), *beginning]), digest_size=16).digest()


def _beginning(seen: _Conversation) -> list[bytes]:
    """The first message, and the next one where that is the system's: both are there in every later turn."""
    turns = seen.messages or seen.contents
    if not turns:
        said = bytes(seen.input)
        if not said.startswith(b"["):
            return [said] if said else []
        turns = _items.decode(said)
    first = [bytes(turn) for turn in turns[:2]]
    return first if first and _SYSTEM.search(first[0]) else first[:1]
