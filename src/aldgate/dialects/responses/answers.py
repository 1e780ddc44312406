"""Whole Responses objects of a provider, read into neutral answers.

Shape: https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.conversation import Answer, Finish, Media, Part, Reasoning, Refusal, Text, ToolCall
from aldgate.core.errors import UpstreamError, UpstreamInvalid
from aldgate.core.tiers import tier_of
from aldgate.core.usage import Usage
from aldgate.dialects.openai.errors import ErrorBody
from aldgate.dialects.responses.errors import failure_of
from aldgate.dialects.responses.sealed import ORIGIN
from aldgate.dialects.responses.usage import UsageBody


class Piece(msgspec.Struct):
    """A part of a message or of a thought."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None


class Item(msgspec.Struct):
    """An output item, of whatever type."""

    type: str = ""
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None
    input: Any = None
    content: list[Piece] | None = None
    summary: list[Piece] | None = None
    encrypted_content: str | None = None
    result: Any = None

    @property
    def is_call(self) -> bool:
        """It calls a tool of the caller's."""
        return self.type in ("function_call", "custom_tool_call")

    @property
    def said(self) -> str:
        """The arguments of a call, or the text of a thought: the thought itself where it is shown, else what sums it up."""
        if self.is_call:
            given = self.input if self.type == "custom_tool_call" else self.arguments
            return given if isinstance(given, str) else ""
        return "\n\n".join(piece.text or "" for piece in self.content or self.summary or ())


class Details(msgspec.Struct):
    """Why an answer is incomplete."""

    reason: str | None = None


class Body(msgspec.Struct):
    """A response as far as it matters here."""

    id: str = ""
    model: str = ""
    status: str | None = None
    output: list[Item] = []
    usage: UsageBody | None = None
    service_tier: Any = None
    error: ErrorBody | str | None = None
    incomplete_details: Details | None = None

    @property
    def used(self) -> Usage | None:
        """What it used, as the ledger counts, its searches of the web among it."""
        if self.usage is None:
            return None
        searches = sum(item.type == "web_search_call" for item in self.output)
        return msgspec.structs.replace(self.usage.canonical(), searches=searches, tier=tier_of(self.service_tier))

    @property
    def finish(self) -> Finish:
        """Why the model stopped."""
        if self.status == "incomplete":
            reason = self.incomplete_details.reason if self.incomplete_details else None
            return "content_filter" if reason == "content_filter" else "length"
        return "tool_calls" if any(item.is_call for item in self.output) else "stop"


_body = msgspec.json.Decoder(Body)


def read(body: bytes) -> Answer:
    """A whole response.

    Raises:
        UpstreamError: It is none, or tells of a failure.
    """
    response = read_body(body)
    parts = [part for item in response.output for part in parts_of(item)]
    return Answer(parts, response.finish, response.used, response.id, response.model)


def read_body(body: bytes) -> Body:
    """What matters of a whole response.

    Raises:
        UpstreamError: It is none, or tells of a failure.
    """
    try:
        response = _body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamInvalid(f"The provider's reply is not what was asked for: {error}.") from None
    if response.error is not None:
        raise failure_of(response.error)
    if response.status in ("failed", "cancelled"):
        raise UpstreamError(f"The provider's response is {response.status}.")
    return response


def parts_of(item: Item) -> list[Part]:
    """The parts that an item says; none for what OpenAI's own tools did."""
    match item.type:
        case "message":
            return [
                Refusal(piece.refusal or "") if piece.type == "refusal" else Text(piece.text or "")
                for piece in item.content or ()
                if piece.text or piece.refusal
            ]
        case "reasoning":
            thought = Reasoning(item.said, item.encrypted_content, origin=ORIGIN)
            return [thought] if thought.text or thought.signature else []
        case "function_call" | "custom_tool_call":
            return [ToolCall(item.call_id or "", item.name or "", item.said, item.type == "custom_tool_call")]
        case "image_generation_call" if isinstance(item.result, str) and item.result:
            return [Media("image", "image/png", item.result)]
        case _:
            return []
