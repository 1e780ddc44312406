import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import GatewayError, UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamLimited, UpstreamOverloaded
from aldgate.core.usage import Usage
from aldgate.dialects.openai.usage import MAX_EVENT_BYTES, PassThrough, read_reply

FIGURES = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
USED = Usage(10, 5)
DONE = b"data: [DONE]\n\n"


def chunk(*contents: str | None, finish: str | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish} for text in contents]
    return b"data: " + json.dumps({"choices": choices, **more}).encode() + b"\n\n"


ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":null}}]}\n\n'
USAGE = chunk(usage=FIGURES)
STREAM = ROLE + chunk("a", usage=None) + chunk("b") + chunk(None, finish="stop") + USAGE + DONE


def read(meter: PassThrough, stream: bytes, size: int | None = None) -> bytes:
    """What the caller gets of a stream that comes in pieces of `size` bytes."""
    pieces = [stream] if size is None else [stream[at : at + size] for at in range(0, len(stream), size)]
    given_on = b""
    for piece in pieces:
        given_on += meter.feed(piece)
        if meter.failure:
            raise meter.failure
    return given_on + meter.end()


def payloads(stream: bytes) -> list[bytes]:
    """The data of each event, as a reader by the book (https://html.spec.whatwg.org/multipage/server-sent-events.html) has it."""
    found: list[bytes] = []
    data: list[bytes] = []
    for line in stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n"):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            found.append(b"\n".join(data))
            data = []
    return found


def test_a_stream_passes_as_it_came_and_is_measured() -> None:
    meter = PassThrough(wants_usage=True)
    assert read(meter, STREAM) == STREAM
    assert (meter.usage, meter.delivered, meter.is_done) == (USED, 2, True)


@pytest.mark.parametrize("size", [None, 1, 7])
def test_the_usage_chunk_is_taken_out_unless_it_was_asked_for(size: int | None) -> None:
    meter = PassThrough(wants_usage=False)
    assert read(meter, STREAM, size) == STREAM.replace(USAGE, b"")
    assert meter.usage == USED


def test_usage_on_a_chunk_with_a_choice_stays_and_the_last_figure_counts() -> None:
    stream = chunk("a", usage={"prompt_tokens": 1}) + chunk(None, finish="stop", usage=FIGURES) + DONE
    meter = PassThrough(wants_usage=False)
    assert read(meter, stream) == stream
    assert meter.usage == USED


def test_groq_puts_usage_elsewhere() -> None:
    stream = chunk("a", x_groq={"id": "x"}) + chunk(None, finish="stop", x_groq={"usage": FIGURES}) + DONE
    meter = PassThrough(wants_usage=False)
    assert read(meter, stream) == stream
    assert meter.usage == USED


def test_groq_puts_errors_elsewhere() -> None:
    """https://console.groq.com/docs/errors"""
    failing = b'data: {"choices":[],"x_groq":{"error":{"message":"Out of capacity","code":498}}}\n\n'
    with pytest.raises(UpstreamOverloaded):
        read(PassThrough(wants_usage=False), failing)
    relay = PassThrough(wants_usage=False)
    assert relay.feed(chunk("a") + failing) == chunk("a") and isinstance(relay.failure, UpstreamOverloaded)


def test_deepseek_has_a_word_of_its_own_for_cached_tokens() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2}
    assert read_reply(json.dumps({"usage": usage}).encode()) == Usage(10, 2, 8)


def test_h3_what_only_azures_filter_says_is_taken_out() -> None:
    """An event without choices, or with one that has no delta, breaks clients of OpenAI's API (mentat 429, autogen 6465)."""
    prompt = b'data: {"choices":[],"prompt_filter_results":[]}\n\n'
    later = b'data: {"choices":[{"index":0,"finish_reason":null,"content_filter_offsets":{}}]}\n\n'
    last = b'data: {"choices":[{"index":0,"finish_reason":"stop","content_filter_results":{}}]}\n\n'
    assert read(PassThrough(wants_usage=False), prompt + chunk("a") + later + last + DONE) == chunk("a") + last + DONE


texts = st.sampled_from(["a", "", " \\n\\n ", "\u00e9\u20ac", "data: [DONE]"])
events = st.one_of(
    texts.map(chunk),
    st.just(ROLE),
    st.just(USAGE),
    st.just(chunk(None, finish="stop")),
    st.sampled_from([b": keep-alive\n\n", b":\n", b"\n", b"event: message\nid: 7\n", b"data: {}\nid: 8\n\n"]),
    st.just(b'data: {"choices":\ndata: [{"delta":{"content":"x"}}]}\n\n'),
)
streams = st.tuples(st.sampled_from([b"", b"\xef\xbb\xbf"]), st.lists(events, max_size=6), st.booleans(), st.booleans()).map(
    lambda parts: (parts[0] + b"".join(parts[1]) + (DONE if parts[2] else b"")).replace(b"\n", b"\r\n" if parts[3] else b"\n")
)


def measured(stream: bytes, size: int | None, wants_usage: bool) -> tuple[Any, ...]:
    meter = PassThrough(wants_usage=wants_usage)
    try:
        given_on, error = read(meter, stream, size), None
    except GatewayError as raised:
        given_on, error = b"", type(raised)
    return payloads(given_on), meter.usage, meter.delivered, meter.is_done, error


@given(streams, st.integers(1, 20), st.booleans())
def test_a_split_anywhere_changes_nothing(stream: bytes, size: int, wants_usage: bool) -> None:
    assert measured(stream, size, wants_usage) == measured(stream, None, wants_usage)


@given(streams)
def test_the_caller_gets_every_event_but_usage(stream: bytes) -> None:
    passed, _, _, _, error = measured(stream, None, False)
    if error is None:
        wanted = [payload for payload in payloads(stream + b"\n\n") if payload != USAGE[6:-2]]
        assert passed == (wanted if wanted[-1:] == [b"[DONE]"] else [*wanted, b"[DONE]"])


def test_nothing_passes_after_the_end() -> None:
    for ending in (b"data: junk\n\n", b"junk", chunk("late")):
        meter = PassThrough(wants_usage=True)
        assert read(meter, STREAM + ending) == STREAM
        assert meter.feed(ending) == b""


def test_a_stream_that_forgets_done_is_given_one_if_its_answer_was_finished() -> None:
    meter = PassThrough(wants_usage=False)
    assert read(meter, chunk("a") + chunk("b", finish="length")) == chunk("a") + chunk("b", finish="length") + DONE
    assert meter.is_done


@pytest.mark.parametrize(
    "stream", [b"", b": nothing\n\n", ROLE, chunk("a"), chunk("a") + b'data: {"choices"', chunk("a") + b"data: [DO"]
)
def test_a_stream_cut_short_is_broken_and_what_was_delivered_is_known(stream: bytes) -> None:
    meter = PassThrough(wants_usage=False)
    with pytest.raises(UpstreamError) as raised:
        read(meter, stream)
    assert isinstance(raised.value, UpstreamBroken | UpstreamInvalid)
    assert meter.delivered == stream.count(b'"a"')


def test_an_end_without_a_blank_line_is_an_end() -> None:
    meter = PassThrough(wants_usage=False)
    assert payloads(read(meter, STREAM.removesuffix(b"\n\n"))) == payloads(STREAM.replace(USAGE, b""))


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"error": {"message": "busy", "code": 503}}, UpstreamOverloaded),
        ({"error": {"message": "slow down", "code": 429}, "choices": []}, UpstreamLimited),
        ({"error": "it broke"}, UpstreamError),
    ],
)
def test_an_error_in_the_stream_is_raised(payload: dict[str, Any], kind: type[UpstreamError]) -> None:
    meter = PassThrough(wants_usage=False)
    assert meter.feed(chunk("a")) == chunk("a")
    with pytest.raises(kind):
        meter.feed(b"data: " + json.dumps(payload).encode() + b"\n\n")
    assert meter.delivered == 1


@pytest.mark.parametrize(
    "event",
    [
        b"data: junk\n\n",
        b"data: []\n\n",
        b'data: {"choices"\n\n',
        b'data: {"choices":[{"text":"\xff"}]}\n\n',
        b"data: " + b"[" * 9999 + b"\n\n",
    ],
)
def test_what_is_no_chunk_is_refused(event: bytes) -> None:
    with pytest.raises(UpstreamInvalid, match="not a chunk"):
        PassThrough(wants_usage=False).feed(event)


def test_an_odd_object_is_passed_on_and_counts_as_output() -> None:
    meter = PassThrough(wants_usage=False)
    odd = b'data: {"choices":[{"index":0,"text":5}]}\n\n'
    assert meter.feed(odd) == odd
    assert meter.delivered == 1


def test_an_event_without_end_is_refused() -> None:
    meter = PassThrough(wants_usage=False)
    assert meter.feed(b"data: " + b"x" * (MAX_EVENT_BYTES - 6)) == b""
    with pytest.raises(UpstreamInvalid, match="does not end"):
        meter.feed(b"x")


@pytest.mark.parametrize(
    "delta",
    [{"content": "a"}, {"tool_calls": [{"index": 0}]}, {"reasoning_content": "a"}, {"reasoning": "a"}, {"refusal": "no"}],
)
def test_every_kind_of_output_counts_as_delivered(delta: dict[str, Any]) -> None:
    meter = PassThrough(wants_usage=False)
    for said in (delta, {}, {"role": "assistant", "content": ""}, None):
        meter.feed(b"data: " + json.dumps({"choices": [{"delta": said}]}).encode() + b"\n\n")
    assert meter.delivered == 1
    meter.feed(b'data: {"choices":[{"text":"a"},{"text":"b"},{"text":""}]}\n\n')
    assert meter.delivered == 3


@pytest.mark.parametrize(
    ("figures", "usage"),
    [
        (FIGURES, USED),
        ({}, Usage()),
        ({"prompt_tokens": None, "completion_tokens": 3, "total_tokens": None}, Usage(0, 3)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40}, Usage(10, 30)),
        ({"prompt_tokens": 10.0, "completion_tokens": 5.0, "total_tokens": 15.0}, USED),
        ({"prompt_tokens": -10, "completion_tokens": -5, "total_tokens": -15}, Usage(0, 0)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2}}, Usage(9, 0, 4, 2)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": -4, "audio_tokens": 1}}, Usage(9)),
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 7}}, Usage(0, 9, reasoning_tokens=7)),
        ({"prompt_tokens": 1, "prompt_tokens_details": None, "completion_tokens_details": None, "cost": 0.1}, Usage(1)),
    ],
)
def test_usage_is_read_as_the_ledger_counts(figures: dict[str, Any], usage: Usage) -> None:
    assert read_reply(json.dumps({"usage": figures}).encode()) == usage
    meter = PassThrough(wants_usage=False)
    meter.feed(chunk(usage=figures))
    assert meter.usage == usage


@pytest.mark.parametrize(
    "body", [b"{}", b' {"usage":null}', b'{"usage":[]}', b'{"usage":{"prompt_tokens":"many"}}', b'{"choices":"\xff"}']
)
def test_a_reply_may_report_nothing(body: bytes) -> None:
    assert read_reply(body) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>", b'{"usage":', b'{"error":"\xff"}', b'{"x":' + b"[" * 9999])
def test_what_is_no_reply_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamInvalid, match="not a JSON object"):
        read_reply(body)


def test_an_error_in_the_dress_of_a_200_is_raised() -> None:
    with pytest.raises(UpstreamOverloaded, match="busy"):
        read_reply(b'{"error":{"message":"busy","code":503},"usage":null}')


@given(st.binary(max_size=60), st.integers(1, 10))
def test_no_bytes_break_it(stream: bytes, size: int) -> None:
    for attempt in (lambda: read_reply(stream), lambda: read(PassThrough(wants_usage=False), b"data: " + stream, size)):
        try:
            attempt()
        except UpstreamError:
            pass
