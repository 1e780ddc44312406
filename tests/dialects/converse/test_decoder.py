from typing import Any

import pytest

from aldgate.core.conversation import Finish, Media
from aldgate.core.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
)
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Failed,
    Finished,
    PartEnded,
    PartGiven,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
    fold,
)
from aldgate.core.usage import Usage
from aldgate.dialects.converse.decoder import ConverseDecoder
from aldgate.testing.upstream.converse import frame
from tests.dialects.converse.streams import call, decoded, delta, event, exception, stream, text

REPORTED = UsageReported(Usage(10, 5))
THOUGHT = [
    delta(0, reasoningContent={"text": "Let me "}),
    delta(0, reasoningContent={"text": "see."}),
    delta(0, reasoningContent={"signature": "c2ln"}),
    event("contentBlockStop", contentBlockIndex=0),
]
REDACTED = [delta(1, reasoningContent={"redactedContent": "ZW5j"}), event("contentBlockStop", contentBlockIndex=1)]
WORDS = [TextDelta("Hello"), TextDelta(" you"), PartEnded()]
FULL = stream(
    THOUGHT, REDACTED, text(2, "Hello", " you"), call(3, "t1", "look", '{"a"', ":1}"), call(4, "t2", "go"), stop="tool_use"
)
FULL_EVENTS: list[Event] = [
    Started(),
    ReasoningDelta("Let me "),
    ReasoningDelta("see."),
    ReasoningDelta("", "c2ln", origin="anthropic"),
    PartEnded(),
    ReasoningDelta("", None, "ZW5j", "anthropic"),
    PartEnded(),
    *WORDS,
    ToolCallStarted(0, "t1", "look"),
    ArgumentsDelta(0, '{"a"'),
    ArgumentsDelta(0, ":1}"),
    PartEnded(),
    ToolCallStarted(1, "t2", "go"),
    PartEnded(),
    REPORTED,
    Finished("tool_calls"),
]


def test_a_stream_becomes_events() -> None:
    assert decoded(FULL) == FULL_EVENTS


@pytest.mark.parametrize("step", [1, 2, 7, 100])
def test_a_stream_may_be_cut_anywhere(step: int) -> None:
    assert decoded(FULL, step) == FULL_EVENTS


def test_a_block_that_is_not_closed_ends_where_the_next_begins() -> None:
    frames = [each for each in FULL if b"contentBlockStop" not in each]
    assert decoded(frames) == FULL_EVENTS


@pytest.mark.parametrize(
    ("stop", "blocks", "finish"),
    [
        ("end_turn", [], "stop"),
        ("stop_sequence", [], "stop"),
        ("something_new", [], "stop"),
        ("end_turn", [call(0, "t", "go")], "tool_calls"),
        ("tool_use", [call(0, "t", "go")], "tool_calls"),
        ("max_tokens", [call(0, "t", "go", '{"a')], "length"),
        ("model_context_window_exceeded", [], "length"),
        ("guardrail_intervened", [], "content_filter"),
        ("content_filtered", [], "content_filter"),
    ],
)
def test_why_it_stopped(stop: str, blocks: list[list[bytes]], finish: Finish) -> None:
    assert decoded(stream(*blocks, stop=stop))[-1] == Finished(finish)


def test_what_the_model_garbled_is_a_failure() -> None:
    events = decoded(stream(text(0, "Hi"), stop="malformed_tool_use"))
    assert isinstance(events[-1], Failed) and isinstance(events[-1].error, UpstreamInvalid)


def test_usage_is_inclusive_and_knows_what_is_kept_for_an_hour() -> None:
    usage: dict[str, Any] = {"inputTokens": 3, "outputTokens": 5, "cacheReadInputTokens": 20, "cacheWriteInputTokens": 100}
    usage["cacheDetails"] = [{"ttl": "5m", "inputTokens": 60}, {"ttl": "1h", "inputTokens": 40}]
    events = decoded(stream(usage=usage))
    assert events[-2] == UsageReported(Usage(123, 5, cached_tokens=20, cache_write_tokens=100, cache_write_1h_tokens=40))
    odd = {"inputTokens": -3, "outputTokens": None, "cacheDetails": [{"ttl": "1h", "inputTokens": 9}]}
    assert decoded(stream(usage=odd))[-2] == UsageReported(Usage())


def test_a_stream_without_metadata_is_complete_and_one_without_a_stop_is_not() -> None:
    frames = stream(text(0, "Hello", " you"))
    assert decoded(frames[:-1]) == [Started(), *WORDS, Finished("stop")]
    for cut in range(len(frames) - 1):
        with pytest.raises(UpstreamBroken):
            decoded(frames[:cut])
    with pytest.raises(UpstreamBroken):
        decoded([*frames[:-1], frames[-1][:-1]])


@pytest.mark.parametrize(
    ("kind", "said", "error", "code"),
    [
        ("throttlingException", {"message": "Too many tokens"}, UpstreamLimited, "throttlingException"),
        ("serviceUnavailableException", {"message": "Busy"}, UpstreamOverloaded, "serviceUnavailableException"),
        ("validationException", {"message": "Bad block"}, UpstreamRejected, "validationException"),
        (
            "modelStreamErrorException",
            {"originalMessage": "x", "originalStatusCode": 500},
            UpstreamError,
            "modelStreamErrorException",
        ),
        ("internalServerException", {}, UpstreamError, "internalServerException"),
        ("somethingNewException", {}, UpstreamError, "somethingNewException"),
    ],
)
@pytest.mark.parametrize("before", [0, 2])
def test_an_exception_in_the_stream_is_a_failure_and_the_end(
    before: int, kind: str, said: dict[str, Any], error: type[UpstreamError], code: str
) -> None:
    frames = stream(text(0, "Hello", " you"))
    events = decoded([*frames[:before], exception(kind, **said), *frames[before:]])
    assert len(events) == before + 1 and isinstance(events[-1], Failed)
    failure = events[-1].error
    assert type(failure) is error and isinstance(failure, UpstreamError) and failure.upstream_code == code


def test_an_error_message_is_a_failure() -> None:
    headers = {":message-type": "error", ":error-code": "InternalServerException", ":error-message": "Gone"}
    (failed,) = decoded([frame(headers, b"")])
    assert isinstance(failed, Failed) and failed.error.status == 502


def test_images_come_whole() -> None:
    start = event("contentBlockStart", contentBlockIndex=0, start={"image": {"format": "png"}})
    frames = [start, delta(0, image={"source": {"bytes": "iVBO"}}), delta(0, image={"source": {"bytes": "Rw=="}})]
    events = decoded(stream([*frames, event("contentBlockStop", contentBlockIndex=0)]))
    assert events[1] == PartGiven(Media("image", "image/png", "iVBORw=="))


def test_what_is_not_known_is_passed_over() -> None:
    odd = [
        event("somethingNew", x=1),
        delta(0, citation={"title": "t"}),
        delta(0, text=""),
        event("contentBlockDelta", contentBlockIndex=0),
        event("contentBlockStart", contentBlockIndex=0),
    ]
    assert fold(decoded(stream(odd, text(1, "Hi")))).parts[-1].text == "Hi"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "bad",
    [
        delta(0, toolUse={"input": "{}"}),
        frame({":event-type": "messageStart"}, b"nonsense"),
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"\0" * 12,
    ],
)
def test_what_is_no_stream_of_converse_is_invalid(bad: bytes) -> None:
    start = event("messageStart", role="assistant")
    started, failed = ConverseDecoder().feed(start + bad)
    assert started == Started() and isinstance(failed, Failed) and isinstance(failed.error, UpstreamInvalid)
    decoder = ConverseDecoder()
    decoder.feed(start)
    with pytest.raises(UpstreamInvalid):
        decoder.feed(bad)
