"""Signatures of other dialects in the one place a Gemini client keeps for such things.

A client sends `thoughtSignature` back as it came, but only base64 survives it: Google's libraries hold it as bytes. So what
another provider signed travels wrapped, with its dialect's name, and is unwrapped when it returns.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from aldgate.core.conversation import Reasoning

ORIGIN = "gemini"
PLACEHOLDER = "skip_thought_signature_validator"
"""Google's own word for a call whose signature was lost or never made; newer models refuse a call without any
(https://ai.google.dev/gemini-api/docs/thought-signatures)."""
_MARK = b"aldgate:"


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
