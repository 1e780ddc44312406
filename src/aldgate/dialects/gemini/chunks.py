"""A `GenerateContentResponse`, whole or a piece of a stream, as events: both have one shape and one reading.

https://ai.google.dev/api/generate-content#generatecontentresponse
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from aldgate.core.conversation import Media, Opaque
from aldgate.core.errors import UpstreamError, UpstreamInvalid
from aldgate.core.events import (
    AnswerTurned,
    ArgumentsDelta,
    Event,
    Failed,
    Finished,
    LogprobsGiven,
    PartEnded,
    PartGiven,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
)
from aldgate.core.usage import Usage
from aldgate.dialects.gemini.contents import kind_of
from aldgate.dialects.gemini.errors import Status, error_in_reply
from aldgate.dialects.gemini.finish import FAILURES, finish_of
from aldgate.dialects.gemini.logprobs import LogprobsResult
from aldgate.dialects.gemini.signatures import ORIGIN
from aldgate.dialects.gemini.usage import UsageMetadata

Object = dict[str, Any]


class FunctionCall(msgspec.Struct):
    """A call, as a rule whole."""

    name: str = ""
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw(b"{}")


class Blob(msgspec.Struct, rename="camel"):
    """Media within the answer."""

    data: str = ""
    mime_type: str | None = None


class FilePart(msgspec.Struct, rename="camel"):
    """Media at a URI."""

    file_uri: str = ""
    mime_type: str | None = None


class ResponsePart(msgspec.Struct, rename="camel"):
    """One part of a candidate's content."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    file_data: FilePart | None = None
    executable_code: Object | None = None
    code_execution_result: Object | None = None
    tool_call: Object | None = None
    tool_response: Object | None = None

    def own(self) -> Opaque | None:
        """What only Gemini knows."""
        named = (
            ("executableCode", self.executable_code),
            ("codeExecutionResult", self.code_execution_result),
            ("toolCall", self.tool_call),
            ("toolResponse", self.tool_response),
        )
        return next((Opaque(ORIGIN, name, {name: held}) for name, held in named if held is not None), None)


class ResponseContent(msgspec.Struct):
    """What a candidate said."""

    parts: list[ResponsePart] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """One answer. The last of a stream may be nothing but a reason."""

    content: ResponseContent | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None
    logprobs_result: LogprobsResult | None = None


class PromptFeedback(msgspec.Struct, rename="camel"):
    """Why a prompt was not answered."""

    block_reason: str | None = None


class Chunk(msgspec.Struct, rename="camel"):
    """The response."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Status | None = None


_chunk = msgspec.json.Decoder(Chunk | list[Chunk])


def decode(payload: bytes) -> Chunk:
    """A response, or the error in the place of one, which some of Google's servers wrap in an array.

    Raises:
        UpstreamInvalid: It is none.
    """
    try:
        given = _chunk.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamInvalid(f"The provider's reply is not what was asked for: {error}.") from None
    if isinstance(given, Chunk):
        return given
    if len(given) == 1:
        return given[0]
    raise UpstreamInvalid("The provider's reply is a list.")


def is_blocked(chunk: Chunk) -> bool:
    """The prompt was refused. An empty reason is none."""
    return chunk.prompt_feedback is not None and bool(chunk.prompt_feedback.block_reason) and not chunk.candidates


class _Told:
    """What one of the candidates has told so far."""

    __slots__ = ("calls", "message", "reason")

    def __init__(self) -> None:
        self.calls = 0
        self.message = ""
        self.reason = ""

    def finished(self) -> Finished | Failed:
        if self.reason in FAILURES:
            said = f": {self.message}" if self.message else ""
            return Failed(UpstreamError(f"The model gave up ({self.reason}){said}"[:500], upstream_code=self.reason))
        return Finished(finish_of(self.reason, has_calls=self.calls > 0))


class Reading:
    """Turns the responses of one call into events."""

    __slots__ = ("_candidates", "_has_begun", "_id", "_turn", "_usage")

    def __init__(self) -> None:
        self._candidates = {0: _Told()}
        self._turn = 0
        self._id = ""
        self._has_begun = False
        self._usage: Usage | None = None

    @property
    def is_finished(self) -> bool:
        """Every candidate has said why it ended."""
        return all(told.reason for told in self._candidates.values())

    def events(self, chunk: Chunk) -> list[Event]:
        """What `chunk` says. An error is a `Failed`."""
        if chunk.error is not None:
            return [Failed(error_in_reply(chunk.error))]
        events: list[Event] = []
        usage = chunk.usage_metadata.canonical() if chunk.usage_metadata is not None else None
        if not self._has_begun:
            self._has_begun, self._id, self._usage = True, chunk.response_id or "", usage
            events.append(Started(self._id, chunk.model_version or "", usage))
        for candidate in chunk.candidates or ():
            self._candidate(candidate, events)
        if is_blocked(chunk):
            self._candidates[0].reason = "PROHIBITED_CONTENT"
        if usage is not None and usage != self._usage:
            self._usage = usage
            events.append(UsageReported(usage))
        return events

    def _to(self, index: int, events: list[Event]) -> _Told:
        if index != self._turn:
            self._turn = index
            events.append(AnswerTurned(index))
        return self._candidates.setdefault(index, _Told())

    def _candidate(self, candidate: Candidate, events: list[Event]) -> None:
        told = self._to(candidate.index or 0, events)
        if candidate.logprobs_result is not None and (tokens := candidate.logprobs_result.tokens()):
            events.append(LogprobsGiven(tokens))
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._part(part, told, events)
        if candidate.finish_reason:
            told.reason, told.message = candidate.finish_reason, candidate.finish_message or ""

    def _part(self, part: ResponsePart, told: _Told, events: list[Event]) -> None:
        signature = part.thought_signature
        if part.function_call is not None:
            self._call(part.function_call, signature, told, events)
        elif part.thought:
            if part.text or signature:
                events.append(ReasoningDelta(part.text or "", signature, None, ORIGIN))
        elif part.inline_data is not None:
            blob = part.inline_data
            events.append(PartGiven(Media(kind_of(blob.mime_type), blob.mime_type, blob.data)))
        elif part.file_data is not None:
            file = part.file_data
            events.append(PartGiven(Media(kind_of(file.mime_type), file.mime_type, url=file.file_uri)))
        elif part.text or signature:
            if part.text:
                events.append(TextDelta(part.text))
            if signature:  # the proof of what was just said, as a thought of no words
                events += (PartEnded(), ReasoningDelta("", signature, None, ORIGIN), PartEnded())
        elif (own := part.own()) is not None:
            events.append(PartGiven(own))

    def _call(self, call: FunctionCall, signature: str | None, told: _Told, events: list[Event]) -> None:
        arguments = bytes(call.args).decode()
        if arguments == "null":
            arguments = "{}"
        index, told.calls = told.calls, told.calls + 1
        call_id = call.id or _call_id(self._id, (self._turn, index), call.name, arguments)
        origin = ORIGIN if signature else ""
        events += (
            ToolCallStarted(index, call_id, call.name, False, signature, origin),
            ArgumentsDelta(index, arguments),
            PartEnded(),
        )

    def finished(self) -> list[Event]:
        """How the answers ended, once they have."""
        events: list[Event] = []
        for index in self._candidates:
            events.append(self._to(index, events).finished())
        return events


def _call_id(response_id: str, place: tuple[int, int], name: str, arguments: str) -> str:
    """An id for a call that came without: the same whenever the same reply is read."""
    candidate, index = place
    of = f"\0{candidate}" if candidate else ""
    seed = f"{response_id}{of}\0{index}\0{name}\0{arguments}".encode()
    return f"call_{hashlib.blake2b(seed, digest_size=12).hexdigest()}"
