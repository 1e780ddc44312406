"""Signatures of other dialects in the one place a Gemini client keeps for such things.

A client sends `thoughtSignature` back as it came, but only base64 survives it: Google's libraries hold it as bytes. So what
another provider signed travels wrapped, with its dialect's name, and is unwrapped when it returns.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, cast

import msgspec

from aldgate.core.conversation import Reasoning
from aldgate.dialects.gemini.versions import signs_calls

ORIGIN = "gemini"
PLACEHOLDER = "skip_thought_signature_validator"
"""Google's own word for a call whose signature was lost or never made; newer models refuse a call without any
(https://ai.google.dev/gemini-api/docs/thought-signatures)."""
_MARK = b"aldgate:"
_MARKED = base64.b64encode(_MARK)[:10]
"""How what is wrapped begins, in either alphabet."""


class _Wrapped(msgspec.Struct, array_like=True):
    origin: str
    signature: str | None
    redacted: str | None


_wrapped = msgspec.json.Decoder(_Wrapped)


def written(signature: str | None, redacted: str | None, origin: str) -> str | None:
    """What stands in `thoughtSignature` for it; None if there is nothing to keep."""
    if signature is None and redacted is None:
        return None
    if origin == ORIGIN:
        return signature
    return base64.b64encode(_MARK + msgspec.json.encode(_Wrapped(origin, signature, redacted))).decode()


def thought(text: str, sent: str | None) -> Reasoning:
    """A thought that a client sends back, with what `thoughtSignature` says of it."""
    wrapped = _unwrapped(sent) if sent else None
    if wrapped is not None:
        return Reasoning(text, wrapped.signature, wrapped.redacted, wrapped.origin)
    return Reasoning(text, sent or None, None, ORIGIN)


def _unwrapped(sent: str) -> _Wrapped | None:
    try:
        held = base64.b64decode(sent.replace("-", "+").replace("_", "/") + "=" * (-len(sent) % 4))
        return _wrapped.decode(held[len(_MARK) :]) if held.startswith(_MARK) else None
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None


def without_foreign(body: bytes, model: str) -> bytes:
    """A caller's request without other providers' proofs: their thoughts go, a call that needs a signature says it has none."""
    if _MARKED not in body:
        return body
    asked: dict[str, Any] = msgspec.json.decode(body)
    for content in asked.get("contents") or ():
        parts: Any = cast("dict[str, Any]", content).get("parts") if isinstance(content, dict) else None
        if isinstance(parts, list):  # else its provider says what is wrong with it
            content["parts"] = [kept for part in cast("list[Any]", parts) if (kept := _own(part, model)) is not None]
    return msgspec.json.encode(asked)


def _own(part: Any, model: str) -> dict[str, Any] | None:
    if not isinstance(part, dict):
        return part
    given = cast("dict[str, Any]", part)
    key = "thoughtSignature" if "thoughtSignature" in given else "thought_signature"
    sent = given.get(key)
    if not isinstance(sent, str) or _unwrapped(sent) is None:
        return given
    rest = {name: value for name, value in given.items() if name != key}
    if given.get("thought") or rest == {"text": ""}:
        return None
    is_call = "functionCall" in given or "function_call" in given
    return {**rest, key: PLACEHOLDER} if is_call and signs_calls(model) else rest
