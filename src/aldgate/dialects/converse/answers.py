"""A whole answer of Converse, and why answers end.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax
"""

from typing import Any

import msgspec

from aldgate.core.conversation import Answer, Finish, Media, Opaque, Part, Reasoning, Text, ToolCall
from aldgate.core.errors import UpstreamInvalid
from aldgate.dialects.converse.usage import TokenUsage, usage_of

ORIGIN = "anthropic"
"""In whose words signatures are: only Claude signs its thoughts here, and its signatures are good on Anthropic's API too."""
_FINISH: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_KNOWN = frozenset({"text", "toolUse", "reasoningContent", "citationsContent", "image"})


class _Message(msgspec.Struct):
    content: list[dict[str, Any]]


class _Output(msgspec.Struct):
    message: _Message


class _Cited(msgspec.Struct):
    text: str = ""


class _Whole(msgspec.Struct):
    output: _Output
    stopReason: str
    usage: TokenUsage | None = None


_whole = msgspec.json.Decoder(_Whole)


def finish_of(stop_reason: str, *, has_calls: bool) -> Finish:
    """Why an answer ended.

    Raises:
        UpstreamInvalid: The model wrote what the provider could not read.
    """
    if stop_reason.startswith("malformed"):
        raise UpstreamInvalid("The model wrote what its provider could not read.", upstream_code=stop_reason)
    finish = _FINISH.get(stop_reason, "stop")
    return "tool_calls" if finish == "stop" and has_calls else finish


def read_answer(body: bytes) -> Answer:
    """The answer in `body`.

    Raises:
        UpstreamInvalid: There is none.
    """
    try:
        whole = _whole.decode(body)
        parts = [part for block in whole.output.message.content for part in _parts(block)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid("The provider's reply is no answer of Converse.") from None
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    usage = None if whole.usage is None else usage_of(whole.usage)
    return Answer(parts, finish_of(whole.stopReason, has_calls=has_calls), usage)


def _parts(block: dict[str, Any]) -> list[Part]:
    match block:
        case {"text": str(text)}:
            return [Text(text)] if text else []
        case {"toolUse": {"toolUseId": str(call_id), "name": str(name), **rest}}:
            return [ToolCall(call_id, name, msgspec.json.encode(rest.get("input", {})).decode())]
        case {"reasoningContent": {"redactedContent": str(redacted)}}:
            return [Reasoning(redacted=redacted, origin=ORIGIN)]
        case {"reasoningContent": {"reasoningText": {"text": str(text), "signature": str(signature)}}}:
            return [Reasoning(text, signature, origin=ORIGIN)]
        case {"reasoningContent": {"reasoningText": {"text": str(text)}}}:
            return [Reasoning(text)]
        case {"citationsContent": {"content": cited}}:
            pieces = msgspec.convert(cited, list[_Cited])
            return [Text("".join(piece.text for piece in pieces))]
        case {"image": {"format": str(form), "source": {"bytes": str(data)}}}:
            return [Media("image", f"image/{form}", data)]
        case _ if _KNOWN.isdisjoint(block):
            return [Opaque("converse", next(iter(block), ""), block)]
        case _:
            raise UpstreamInvalid("A block of the provider's reply cannot be read.")
