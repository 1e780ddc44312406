"""What a provider of OpenAI's wire wants otherwise than OpenAI, as data: applied only where a request holds the field.

A request that means what OpenAI's reference says should not fail because of where it goes. What is merely named otherwise is
renamed; what only colours an answer is left out and named to the caller. What changes its meaning (`n`, `logprobs`, `stop`)
stays, and the provider's own refusal reaches the caller.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, cast

import msgspec

Object = dict[str, Any]

_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}\Z")
_UNKEPT = "(The reasoning was not kept.)"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class Quirk(msgspec.Struct, frozen=True):
    """One field that a provider wants otherwise.

    Attributes:
        field: As OpenAI calls it, in the body's outermost object.
        becomes: What the provider calls it; empty: it refuses the field, which is left out.
        models: Only models whose name this pattern finds.
        stays: A value that the provider takes.
        is_silent: Leaving it out changes nothing, so nobody is warned.
        mend: Changes the field's value instead; returns None where nothing is to be done.
        sign: What in a body shows that `mend` may have to do something: few requests should be looked into.
        warning: What the caller is told when `mend` did something.
    """

    field: str
    becomes: str = ""
    models: str = ""
    stays: Any = None
    is_silent: bool = False
    mend: Callable[[Any], Any] | None = None
    sign: str = ""
    warning: str = ""

    def concerns(self, model: str) -> bool:
        """Whether requests to `model` are held to it."""
        return not self.models or re.search(self.models, model) is not None


Marked = tuple[tuple[bytes, Quirk], ...]
"""Quirks, each with what shows it in a body."""


def marked(quirks: tuple[Quirk, ...], model: str) -> Marked:
    """The quirks that concern `model`, ready to be looked for."""
    return tuple((b'"%s"' % (quirk.sign or quirk.field).encode(), quirk) for quirk in quirks if quirk.concerns(model))


def mended(body: bytes, quirks: Marked, warnings: list[str]) -> bytes:
    """The body as the provider takes it; the very bytes where none of its quirks is met. Other members stay to the byte."""
    met = [quirk for marker, quirk in quirks if marker in body]
    if not met:
        return body
    members = _members.decode(body)
    has_changed = False
    for quirk in met:
        given = members.get(quirk.field)
        if given is None:  # the marker stood further in
            continue
        has_changed = _apply(quirk, members, given, warnings) or has_changed
    return _encode(members) if has_changed else body


def _apply(quirk: Quirk, members: dict[str, msgspec.Raw], given: msgspec.Raw, warnings: list[str]) -> bool:
    value: Any = msgspec.json.decode(given)
    if quirk.mend is not None:
        changed = quirk.mend(value)
        if changed is not None:
            members[quirk.field] = msgspec.Raw(_encode(changed))
            warnings += [quirk.warning] if quirk.warning else []
        return changed is not None
    if quirk.stays is not None and value == quirk.stays:
        return False
    del members[quirk.field]
    if quirk.becomes:
        members.setdefault(quirk.becomes, given)
    elif value is not None and not quirk.is_silent:
        warnings.append(quirk.field)
    return True


def nine_letters(messages: Any) -> Any:
    """Call ids in the only form that Mistral takes; always the same for the same id."""
    return _rewritten(messages, _with_short_ids)


def _with_short_ids(message: Object) -> Object | None:
    changes: Object = {}
    calls: Any = message.get("tool_calls")
    if isinstance(calls, list) and any(not _is_short(call) for call in cast(list[Any], calls)):
        changes["tool_calls"] = [_short(call) for call in cast(list[Any], calls)]
    answered: Any = message.get("tool_call_id")
    if isinstance(answered, str) and not _CALL_ID.match(answered):
        changes["tool_call_id"] = _short_id(answered)
    return {**message, **changes} if changes else None


def _is_short(call: Any) -> bool:
    return not isinstance(call, dict) or _CALL_ID.match(str(cast(Object, call).get("id"))) is not None


def _short(call: Any) -> Any:
    return call if _is_short(call) else {**call, "id": _short_id(str(call.get("id")))}


def _short_id(given: str) -> str:
    return hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:9]


def reasoning_kept(messages: Any) -> Any:
    """A word in place of the thoughts that a client did not keep: DeepSeek refuses a turn with calls and without thoughts."""
    return _rewritten(messages, _with_thoughts)


def _with_thoughts(message: Object) -> Object | None:
    return (
        {**message, "reasoning_content": _UNKEPT} if message.get("tool_calls") and not message.get("reasoning_content") else None
    )


def _rewritten(messages: Any, rewrite: Callable[[Object], Object | None]) -> Any:
    """The messages, those rewritten that `rewrite` changes; None if it changes none."""
    if not isinstance(messages, list):
        return None
    listed = cast(list[Any], messages)
    changed = [rewrite(cast(Object, each)) if isinstance(each, dict) else None for each in listed]
    if all(each is None for each in changed):
        return None
    return [new if new is not None else old for new, old in zip(changed, listed, strict=True)]
