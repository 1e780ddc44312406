"""Every fault the fake provider knows: what the caller sees, what is billed, and that nothing is left over."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx2
import pytest

from aldgate.testing.upstream import FAULTS, Reply, Step, faults
from tests.faults.lab import HELLO, PRICES, Lab, events_of, running_lab, within, words_in

OPTIONS = {"first_byte_timeout_s": 0.3, "idle_timeout_s": 0.3, "total_timeout_s": 1.0}


class Want(NamedTuple):
    """What must come of a call.

    Attributes:
        status: In the ledger; also on the wire unless the stream had begun.
        code: In the ledger.
        billed: `usage_source` of the row.
        shown: The code the caller sees, where it is the provider's own.
        retry_after: The `retry-after` header.
        retry: The `x-should-retry` header.
    """

    status: int = 200
    code: str | None = None
    billed: str = "none"
    shown: str | None = None
    retry_after: str | None = None
    retry: bool = True


FINE = Want(billed="reported")
COUNTED = Want(billed="counted")
UNREACHABLE = Want(502, "upstream_unreachable")
INVALID = Want(502, "upstream_invalid")
BROKEN = Want(502, "upstream_broken")
FAILED = Want(502, "upstream_error")
SILENT = Want(504, "upstream_timeout")
OVERLOADED = Want(503, "upstream_overloaded")
CREDENTIAL = Want(502, "upstream_auth", retry=False)
NO_CREDIT = Want(429, "upstream_rate_limited", retry=False)
BROKEN_OFF = BROKEN._replace(billed="counted")
WENT_SILENT = SILENT._replace(billed="counted")


TOO_LONG = "context_length_exceeded"


def rejected(status: int, shown: str, code: str = "upstream_rejected") -> Want:
    return Want(status, code, shown=shown, retry=False)


def limited(retry_after: str) -> Want:
    return Want(429, "upstream_rate_limited", retry_after=retry_after)


EXPECTED: dict[str, tuple[Want, Want]] = {  # whole, streamed
    "bad_event": (INVALID, INVALID._replace(billed="counted")),
    "chunk_extensions": (FINE, FINE),
    "chunk_size_invalid": (INVALID, INVALID),
    "compressed": (FINE, FINE),
    "connection_close": (FINE, FINE),
    "content_length_and_coding": (INVALID, INVALID),
    "content_length_twice": (INVALID, INVALID),
    "crlf_events": (INVALID, FINE),
    "dead_keepalive": (FINE, FINE),
    "dead_on_reuse": (FINE, FINE),
    "die_mid_body": (BROKEN, BROKEN_OFF),
    "die_mid_event": (INVALID, BROKEN_OFF),
    "die_mid_head": (BROKEN, BROKEN),
    "die_mid_stream": (INVALID, BROKEN_OFF),
    "early_reply": (rejected(400, "upstream_rejected"), rejected(400, "upstream_rejected")),
    "empty_stream": (INVALID, BROKEN),
    "endless_body": (INVALID, INVALID),
    "endless_stream": (INVALID, WENT_SILENT),
    "error_200": (FAILED, INVALID),
    "error_empty": (FAILED, FAILED),
    "error_first_in_stream": (INVALID, OVERLOADED),
    "error_in_stream": (INVALID, FAILED._replace(billed="counted")),
    "error_page": (FAILED, FAILED),
    "error_text": (FAILED, FAILED),
    "events_joined": (INVALID, FINE),
    "garbage": (INVALID, INVALID),
    "hang_after_head": (SILENT, SILENT),
    "hang_before_head": (SILENT, SILENT),
    "http_1_0": (FINE, FINE),
    "informational_1xx": (FINE, FINE),
    "keep_alive_comments": (INVALID, FINE),
    "named_events": (INVALID, FINE),
    "not_json": (INVALID, INVALID),
    "numeric_code": (limited("1"), limited("1")),
    "oversized_headers": (INVALID, INVALID),
    "quota_exhausted": (NO_CREDIT, NO_CREDIT),
    "redirect": (INVALID, INVALID),
    "refuse": (UNREACHABLE, UNREACHABLE),
    "reset_mid_body": (BROKEN, BROKEN_OFF),
    "slow_drip": (SILENT, SILENT),
    "split_every": (FINE, FINE),
    "stall_mid_stream": (INVALID, WENT_SILENT),
    "status": (FAILED, FAILED),
    "status_400": (rejected(400, *[TOO_LONG] * 2), rejected(400, *[TOO_LONG] * 2)),
    "status_401": (CREDENTIAL, CREDENTIAL),
    "status_402": (NO_CREDIT, NO_CREDIT),
    "status_403": (CREDENTIAL, CREDENTIAL),
    "status_404": (rejected(404, "model_not_found"), rejected(404, "model_not_found")),
    "status_409": (rejected(409, "conflict"), rejected(409, "conflict")),
    "status_413": (rejected(413, "request_too_large"), rejected(413, "request_too_large")),
    "status_422": (rejected(400, "upstream_rejected"), rejected(400, "upstream_rejected")),
    "status_429": (limited("2"), limited("2")),
    "status_500": (FAILED, FAILED),
    "status_502": (FAILED, FAILED),
    "status_503": (OVERLOADED, OVERLOADED),
    "status_504": (FAILED, FAILED),
    "status_529": (OVERLOADED, OVERLOADED),
    "stream_asked_whole_given": (COUNTED, INVALID),
    "surplus_bytes": (FINE, FINE),
    "surplus_reply": (FINE, FINE),
    "truncated_stream": (INVALID, FINE),
    "unasked_reply": (UNREACHABLE, UNREACHABLE),
    "usage_in_x_groq": (FINE, FINE),
    "usage_missing": (COUNTED, COUNTED),
    "usage_null": (COUNTED, COUNTED),
    "usage_on_last_choice": (FINE, FINE),
    "wrong_content_type": (INVALID, INVALID),
}


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    data = tmp_path_factory.mktemp("gate")
    async with running_lab(data, flags={"server.max_reply_bytes": "1000000"}, config=PRICES, **OPTIONS) as lab:
        yield lab


@pytest.fixture(scope="module")
async def key(shared: Lab) -> str:
    return await shared.gate.key(rpm=100_000, tpm=1_000_000_000, concurrency=5, budget="1000/month")


def test_the_table_holds_every_fault() -> None:
    assert sorted(EXPECTED) == sorted(FAULTS)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", sorted(EXPECTED))
async def test_a_fault_is_told_and_billed_as_it_should_be(name: str, stream: bool, shared: Lab, key: str) -> None:
    await shared.pool.aclose()
    if name == "refuse":
        shared.upstream.refuse()
    else:
        shared.upstream.script(FAULTS[name]())
    reply = await within(5, shared.post({**HELLO, "stream": stream}, key))
    await shared.upstream.listen()
    want = EXPECTED[name][stream]
    await check(shared, reply, want, stream=stream)


async def check(lab: Lab, reply: httpx2.Response, want: Want, *, stream: bool) -> None:
    """The answer, the ledger and what is left over are as wanted."""
    if stream and (want.status == 200 or want.billed != "none"):
        output = check_stream(reply, want)
    elif want.status == 200:
        assert reply.status_code == 200
        output = None
    else:
        check_refusal(reply, want)
        output = 0
    await lab.is_quiet()
    row = await lab.row(reply.headers["x-request-id"])
    assert row is not None
    assert (row["status"], row["error_code"], row["usage_source"]) == (want.status, want.code, want.billed)
    tokens = row["input_tokens"], row["output_tokens"]
    assert row["cost_microusd"] == 2 * tokens[0] + 8 * tokens[1]
    if want.billed == "reported":
        assert tokens == (10, 5)
    elif output is not None:
        assert tokens[1] == output


def check_refusal(reply: httpx2.Response, want: Want) -> None:
    assert reply.status_code == want.status
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == (want.shown or want.code)
    assert error["message"] and error["type"]
    assert reply.headers["x-should-retry"] == str(want.retry).lower()
    assert reply.headers.get("retry-after") == want.retry_after
    assert reply.headers["content-type"] == "application/json"


def check_stream(reply: httpx2.Response, want: Want) -> int:
    """The stream ended as wanted. Returns how many events with output were in it."""
    assert reply.status_code == 200
    events = events_of(reply.content)
    if want.status == 200:
        assert events[-1] == "[DONE]"
    else:
        assert "[DONE]" not in events
        assert set(events[-1]["error"]) == {"message", "type", "param", "code"}
        assert events[-1]["error"]["code"] == want.code
    return words_in(events)


@pytest.mark.parametrize(
    ("step", "code", "status", "delivered"),
    [
        (faults.bad_event(after=3), "upstream_invalid", 502, 2),
        (faults.error_in_stream(), "upstream_error", 502, 2),
        (faults.die_mid_stream(), "upstream_broken", 502, 2),
        (faults.die_mid_event(), "upstream_broken", 502, 2),
        (faults.stall_mid_stream(), "upstream_timeout", 504, 2),
    ],
    ids=lambda value: value.name if isinstance(value, Step) else None,
)
async def test_what_was_delivered_before_a_stream_failed_is_billed(
    step: Step, code: str, status: int, delivered: int, shared: Lab, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.upstream, "reply", Reply(pace_s=0.005))
    shared.upstream.script(step)
    reply = await within(5, shared.post({**HELLO, "stream": True}, key))
    await check(shared, reply, Want(status, code, "counted"), stream=True)
    assert words_in(events_of(reply.content)) == delivered


@pytest.mark.parametrize(("name", "tokens"), [("usage_missing", 8), ("usage_null", 8), ("stream_asked_whole_given", 0)])
async def test_unreported_output_is_counted_by_what_was_said(name: str, tokens: int, shared: Lab, key: str) -> None:
    """A token for four bytes: the frame around the answer costs nothing."""
    shared.upstream.script(FAULTS[name]())
    reply = await shared.post(HELLO, key)
    row = await shared.row(reply.headers["x-request-id"])
    assert row is not None and (row["usage_source"], row["output_tokens"]) == ("counted", tokens)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_usage_below_zero_pays_nobody(stream: bool, shared: Lab, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lying = Reply(prompt_tokens=-1_000_000, completion_tokens=-1_000_000, usage="last_choice")
    monkeypatch.setattr(shared.upstream, "reply", lying)
    reply = await shared.post({**HELLO, "stream": stream}, key)
    row = await shared.row(reply.headers["x-request-id"])
    assert row is not None
    assert (row["input_tokens"], row["output_tokens"], row["cost_microusd"]) == (0, 0, 0)
