"""`contents[]` of a Gemini request as neutral messages (https://ai.google.dev/api/caching#Content)."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from mimetypes import guess_type
from typing import Any, Literal, cast

import msgspec

from aldgate.core.conversation import Media, Message, Opaque, Part, Text, ToolCall, ToolResult
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.gemini import signatures
from aldgate.dialects.gemini.keys import Object

MediaKind = Literal["image", "audio", "video", "document"]

_OWN = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
_SAID = ("output", "result")
"""Keys under which a function response holds what the function gave
(https://ai.google.dev/api/caching#FunctionResponse); libraries use both."""


def messages_of(contents: list[Object], system: Object | None) -> list[Message]:
    """The conversation's messages, the system instruction first."""
    reading = _Reading()
    messages = [message for content in contents for message in reading.messages(content)]
    instruction: list[Part] = [Text(part["text"]) for part in system.get("parts", ()) if part.get("text")] if system else []
    return [Message("system", instruction), *messages] if instruction else messages


def kind_of(media_type: str | None) -> MediaKind:
    """What a media type is to a model."""
    head = (media_type or "").partition("/")[0]
    return cast(MediaKind, head) if head in ("image", "audio", "video") else "document"


class _Reading:
    """Gives calls without an id one, and results without one their call's, in the order of the calls of that function."""

    def __init__(self) -> None:
        self._calls = 0
        self._open: defaultdict[str, deque[str]] = defaultdict(deque)

    def messages(self, content: Object) -> Iterator[Message]:
        """A turn; a user's may hold results and words, which are messages of their own."""
        role = content.get("role", "user")
        if role not in ("user", "model", "function"):
            raise InvalidRequest(f"`role` cannot be `{role}`.", param="contents")
        said: list[Part] = []
        for part in content.get("parts", ()):
            said += self._parts(part)
        if role == "model":
            yield Message("assistant", said)
            return
        results: list[Part] = [part for part in said if isinstance(part, ToolResult)]
        spoken: list[Part] = [part for part in said if not isinstance(part, ToolResult)]
        if results:
            yield Message("tool", results)
        if spoken or not results:
            yield Message("user", spoken)

    def _parts(self, part: Object) -> list[Part]:
        match part:
            case {"text": str(text)}:
                return _spoken(text, part)
            case {"functionCall": call}:
                return [self._call(call, part.get("thoughtSignature"))]
            case {"functionResponse": response}:
                return [self._result(response)]
            case {"inlineData": blob}:
                media_type = blob.get("mimeType")
                return [Media(kind_of(media_type), media_type, blob["data"], name=blob.get("displayName"))]
            case {"fileData": file}:
                return [_filed(file)]
            case {"thoughtSignature": str(sent)}:
                return [signatures.thought("", sent)]
            case _:
                name = next((name for name in _OWN if name in part), None)
                if name is None:
                    raise InvalidRequest(f"A part cannot be made of {sorted(part)}.", param="contents")
                return [Opaque(signatures.ORIGIN, name, part)]

    def _call(self, call: Object, sent: str | None) -> ToolCall:
        name = call["name"]
        call_id = call.get("id") or f"call_{self._calls}"
        self._open[name].append(call_id)
        self._calls += 1
        arguments = msgspec.json.encode(call.get("args", {})).decode()
        proof = signatures.thought("", sent)
        if proof.signature in (None, signatures.PLACEHOLDER):
            return ToolCall(call_id, name, arguments)
        return ToolCall(call_id, name, arguments, signature=proof.signature, origin=proof.origin)

    def _result(self, response: Object) -> ToolResult:
        name = response["name"]
        call_id = self._answered(name, response.get("id"))
        said, is_error = _given(response.get("response", {}))
        parts: list[Text | Media] = [Text(said)] if said else []
        for part in response.get("parts", ()):
            parts += [each for each in self._parts(part) if isinstance(each, Media)]
        return ToolResult(call_id, parts or [Text("")], is_error, name)

    def _answered(self, name: str, call_id: str | None) -> str:
        """Which call a response is for: libraries may leave out the id that the call came with."""
        waiting = self._open[name]
        if call_id:
            if call_id in waiting:
                waiting.remove(call_id)
            return call_id
        if not waiting:
            raise InvalidRequest(f"There is a response of the function `{name}`, but no call of it before.", param="contents")
        return waiting.popleft()


def _spoken(text: str, part: Object) -> list[Part]:
    """Text or a thought. Text may be signed as well: then its proof follows it as a thought of no words."""
    sent: str | None = part.get("thoughtSignature")
    if part.get("thought") is True:
        return [signatures.thought(text, sent)]
    said: list[Part] = [Text(text)] if text or not sent else []
    return [*said, signatures.thought("", sent)] if sent else said


def _filed(file: Object) -> Media:
    uri = file["fileUri"]
    media_type = file.get("mimeType") or guess_type(uri)[0]
    kind = "video" if "youtube.com/" in uri or "youtu.be/" in uri else kind_of(media_type)
    if uri.startswith("https://") and "generativelanguage.googleapis.com" not in uri:
        return Media(kind, media_type, url=uri, name=file.get("displayName"))
    return Media(kind, media_type, file_id=uri, name=file.get("displayName"))


def _given(response: Any) -> tuple[str, bool]:
    """What a function gave, as text, and whether it failed."""
    if isinstance(response, dict) and len(cast(Object, response)) == 1:
        key, value = next(iter(cast(Object, response).items()))
        if key in _SAID or key == "error":
            said = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            return said, key == "error"
    return msgspec.json.encode(response).decode(), False
