"""What other providers want back with a thought or a call, carried through `encrypted_content`.

A Responses caller replays one opaque string with a thought. OpenAI's own is passed on as it is; any other provider's proof is
wrapped together with its origin, so that it reaches that provider again and no other. Nothing in it is secret from the caller.
"""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from aldgate.core.conversation import Reasoning, ToolCall
from aldgate.core.errors import InvalidRequest

ORIGIN = "responses"
T = TypeVar("T")
PREFIX = "aldgate-1."
"""Begins what was wrapped here."""


class Proof(msgspec.Struct, omit_defaults=True):
    """An opaque string and whose it is. `call`: it belongs to the tool call with this id, not to a thought."""

    origin: str
    signature: str | None = None
    redacted: str | None = None
    call: str | None = None


def seal_thought(thought: Reasoning) -> str | None:
    """The `encrypted_content` of a thought, None if nothing proves it."""
    if thought.signature is None and thought.redacted is None:
        return None
    if thought.origin == ORIGIN:
        return thought.signature
    return _sealed(Proof(thought.origin, thought.signature, thought.redacted))


def seal_call(call: ToolCall) -> str | None:
    """The `encrypted_content` of a thought that stands before a call only to carry its proof; None if there is none."""
    return None if call.signature is None else _sealed(Proof(call.origin, call.signature, call=call.id))


def unseal(content: str) -> Proof:
    """Whose proof an `encrypted_content` is.

    Raises:
        InvalidRequest: It was wrapped here, and damaged since.
    """
    return _opened(content, Proof) if content.startswith(PREFIX) else Proof(ORIGIN, content)


def _opened(content: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(content[len(PREFIX) :]), type=kind)
    except (binascii.Error, ValueError):  # what msgspec raises is a ValueError too
        raise InvalidRequest("An item's `encrypted_content` is damaged; send it as it came.", param="input") from None


class _Summary(msgspec.Struct):
    summary: str


def seal_summary(text: str) -> str:
    """The `encrypted_content` of a compaction item of the gate's own making."""
    return _sealed(_Summary(text))


def summary_in(content: str) -> str | None:
    """The summary in a compaction item; None if the gate did not write it.

    Raises:
        InvalidRequest: It did, and the item was damaged since.
    """
    return _opened(content, _Summary).summary if content.startswith(PREFIX) else None


def recalled(summary: str) -> str:
    """A summary as a message for whoever is to go on with the conversation."""
    return f"Summary of the conversation so far:\n\n{summary}"


def _sealed(proof: Proof | _Summary) -> str:
    return PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(proof)).decode()
