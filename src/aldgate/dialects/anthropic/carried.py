"""Other providers' proofs, carried through callers of this dialect.

A provider that signs its thoughts (or, like Gemini, its tool calls) refuses the next turn without the signature. Callers keep
Anthropic's `thinking` blocks and send them back unread, so a foreign signature travels in theirs, marked with where it is
from; one of a call's is a `redacted_thinking` block before the call. To Anthropic itself such blocks are never sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from aldgate.core.conversation import Part, Reasoning, ToolCall

Object = dict[str, Any]

ORIGIN = "anthropic"
_MARK = "aldgate:"
_OF_CALL = "aldgate-call:"
_MARKED = b'"aldgate'


def carried(origin: str, signature: str | None) -> str:
    """A signature as callers of this dialect get it. Anthropic's own is base64, without a colon."""
    return signature or "" if origin == ORIGIN else f"{_MARK}{origin}:{signature or ''}"


def carried_of_call(call_origin: str, signature: str) -> Object:
    """The block before a call that has a proof of its own."""
    return {"type": "redacted_thinking", "data": f"{_OF_CALL}{call_origin}:{signature}"}


def uncarried(signature: str) -> tuple[str, str]:
    """Origin and signature again."""
    if not signature.startswith(_MARK):
        return ORIGIN, signature
    origin, _, foreign = signature.removeprefix(_MARK).partition(":")
    return origin, foreign


def with_proofs(parts: Iterable[Part]) -> list[Part]:
    """The parts, with the proofs of calls put back into the calls that follow them."""
    kept: list[Part] = []
    proof: tuple[str, str] | None = None
    for part in parts:
        if isinstance(part, Reasoning) and (part.redacted or "").startswith(_OF_CALL):
            origin, _, signature = (part.redacted or "").removeprefix(_OF_CALL).partition(":")
            proof = origin, signature
            continue
        if proof is not None and isinstance(part, ToolCall):
            part.origin, part.signature = proof
            proof = None
        kept.append(part)
    return kept


def without_foreign(body: bytes) -> bytes:
    """A request without thoughts that are not Anthropic's own, as it refuses them. Others are left as they are, to the byte."""
    if _MARKED not in body:
        return body
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    messages = msgspec.json.decode(members.get("messages", b"[]"), type=list[Any])
    for message in messages:
        if isinstance(message, dict) and isinstance(cast(Object, message).get("content"), list):
            cast(Object, message)["content"] = [block for block in cast(Object, message)["content"] if not _is_foreign(block)]
    return msgspec.json.encode({**members, "messages": messages})


def _is_foreign(block: Any) -> bool:
    match block:
        case {"type": "thinking", "signature": str(proof)} | {"type": "redacted_thinking", "data": str(proof)}:
            return proof.startswith((_MARK, _OF_CALL))
        case _:
            return False
