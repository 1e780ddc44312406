"""Which exception openai-python raises for each refusal and failure, with the code, status and advice the gate gives."""

import asyncio
from typing import Any

import openai
import pytest

from aldgate.testing.upstream import Asked, FakeUpstream, Play, Step, Valve, faults
from tests.clients.conftest import Connect
from tests.clients.openai_python import Sdk
from tests.support import RunningGate

pytestmark = pytest.mark.anyio

ECHO, LAB = "builtin/echo", "lab/gpt-4.1"
QUESTION: list[Any] = [{"role": "user", "content": "Hello there, gate!"}]


def asking(model: str = ECHO, **options: Any) -> Any:
    return lambda client: client.chat.completions.create(**{"model": model, "messages": QUESTION, **options})


def seen(error: openai.APIStatusError) -> tuple[int, str | None, str | None]:
    assert isinstance(error.body, dict) and set(error.body) == {"message", "type", "param", "code"}
    assert error.message and error.request_id is not None and error.request_id.startswith("req-")
    return error.status_code, error.code, error.type


async def key_in_state(gate: RunningGate, state: str) -> str:
    """A key that is no longer good."""
    made = (await gate.http.post("/admin/keys", json={"name": state})).json()
    if state == "revoked":
        assert (await gate.http.delete(f"/admin/keys/{made['id']}")).status_code == 200
    else:
        rotated = await gate.http.post(f"/admin/keys/{made['id']}/rotate", json={"overlap": "0s"})
        assert rotated.status_code == 200
    return made["key"]


@pytest.mark.parametrize("carrier", ["authorization", "x-api-key"])
@pytest.mark.parametrize("state", ["unknown", "revoked", "expired"])
async def test_a_bad_key(connect: Connect, gate: RunningGate, state: str, carrier: str) -> None:
    key = "agk-nobody" if state == "unknown" else await key_in_state(gate, state)
    sdk = await connect(key, default_headers={"X-API-Key": key})
    extra: Any = {"Authorization": openai.omit} if carrier == "x-api-key" else {}
    code = {"unknown": "invalid_api_key", "revoked": "revoked_api_key", "expired": "expired_api_key"}[state]
    for ask in (
        asking(extra_headers=extra),
        asking(stream=True, extra_headers=extra),
        lambda client: client.models.retrieve(ECHO, extra_headers=extra),
    ):
        with pytest.raises(openai.AuthenticationError) as raised:
            await sdk.call(ask)
        assert seen(raised.value) == (401, code, "authentication_error")


async def test_no_key(sdk: Sdk) -> None:
    with pytest.raises(openai.AuthenticationError) as raised:
        await sdk.call(asking(extra_headers={"Authorization": openai.omit}))
    assert seen(raised.value) == (401, "missing_api_key", "authentication_error")


@pytest.mark.parametrize("carrier", ["authorization", "x-api-key"])
async def test_a_key_without_the_scope(connect: Connect, gate: RunningGate, carrier: str) -> None:
    key = await gate.key(scopes=["embed"])
    sdk = await connect(key, default_headers={"X-API-Key": key})
    extra: Any = {"Authorization": openai.omit} if carrier == "x-api-key" else {}
    for ask in (asking(extra_headers=extra), lambda client: client.models.retrieve(ECHO, extra_headers=extra)):
        with pytest.raises(openai.PermissionDeniedError) as raised:
            await sdk.call(ask)
        assert seen(raised.value) == (403, "scope_denied", "permission_error")


async def test_an_unknown_model(sdk: Sdk) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await sdk.call(asking("builtin/ecoh"))
    assert seen(raised.value) == (404, "model_not_found", "not_found_error")
    assert raised.value.param == "model" and "`builtin/echo`" in raised.value.message
    with pytest.raises(openai.NotFoundError) as raised:
        await sdk.call(lambda client: client.models.retrieve("nobody/knows"))
    assert seen(raised.value) == (404, "model_not_found", "not_found_error")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"messages": []}, "messages"),
        ({"n": 0}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"model": ""}, "model"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"extra_body": {"temperature": "hot"}}, "temperature"),
    ],
)
async def test_a_bad_request_names_the_field(sdk: Sdk, changes: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.call(asking(**changes))
    assert seen(raised.value) == (400, "invalid_request", "invalid_request_error")
    assert raised.value.param == param


async def test_the_rate_limit(connect: Connect, gate: RunningGate) -> None:
    sdk = await connect(await gate.key(rpm=1), max_retries=0)
    await sdk.call(asking())
    with pytest.raises(openai.RateLimitError) as raised:
        await sdk.call(asking())
    assert seen(raised.value) == (429, "rate_limit_exceeded", "rate_limit_error")
    headers = raised.value.response.headers
    assert 0 < int(headers["retry-after"]) <= 60 and headers["x-should-retry"] == "true"


async def test_a_spent_budget(connect: Connect, gate: RunningGate, upstream: FakeUpstream) -> None:
    sdk = await connect(await gate.key(budget="0.000001/total"))
    with pytest.raises(openai.APIStatusError) as raised:
        await sdk.call(asking(LAB))
    assert seen(raised.value) == (402, "budget_exceeded", "insufficient_quota")
    assert upstream.requests == []
    await sdk.call(asking(ECHO))  # what costs nothing is not refused


async def test_idempotency(connect: Connect, upstream: FakeUpstream) -> None:
    sdk = await connect()
    once = {"extra_headers": {"Idempotency-Key": "order-7"}}
    first = await sdk.call(asking(LAB, **once))
    again = await sdk.call(lambda client: client.chat.completions.with_raw_response.create(model=LAB, messages=QUESTION, **once))
    assert again.parse() == first and again.headers["idempotent-replayed"] == "true"
    with pytest.raises(openai.ConflictError) as raised:
        await sdk.call(asking(LAB, n=2, **once))
    assert seen(raised.value) == (409, "idempotency_conflict", "invalid_request_error")
    assert len(upstream.requests) == 1


UPSTREAM = {
    400: (openai.BadRequestError, 400, "context_length_exceeded", "invalid_request_error"),
    401: (openai.InternalServerError, 502, "upstream_auth", "server_error"),
    402: (openai.RateLimitError, 429, "upstream_rate_limited", "rate_limit_error"),
    403: (openai.InternalServerError, 502, "upstream_auth", "server_error"),
    404: (openai.NotFoundError, 404, "model_not_found", "not_found_error"),
    409: (openai.ConflictError, 409, "conflict", "invalid_request_error"),
    413: (openai.APIStatusError, 413, "request_too_large", "invalid_request_error"),
    422: (openai.BadRequestError, 400, "upstream_rejected", "invalid_request_error"),
    429: (openai.RateLimitError, 429, "upstream_rate_limited", "rate_limit_error"),
    500: (openai.InternalServerError, 502, "upstream_error", "server_error"),
    502: (openai.InternalServerError, 502, "upstream_error", "server_error"),
    503: (openai.InternalServerError, 503, "upstream_overloaded", "server_error"),
    504: (openai.InternalServerError, 502, "upstream_error", "server_error"),
    529: (openai.InternalServerError, 503, "upstream_overloaded", "server_error"),
}


@pytest.mark.parametrize("status", UPSTREAM)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_providers_error(connect: Connect, upstream: FakeUpstream, status: int, stream: bool) -> None:
    sdk = await connect(max_retries=0)
    upstream.script(faults.status(status))
    kind, *rest = UPSTREAM[status]
    with pytest.raises(kind) as raised:
        await sdk.call(asking(LAB, stream=stream))
    assert seen(raised.value) == tuple(rest)
    assert len(upstream.requests) == 1


def held_back(step: Step, valve: Valve) -> Step:
    """`step`, but its last piece waits for the valve: until then all is well."""

    def play(asked: Asked) -> Play:
        pieces = list(step.play(asked))
        yield from pieces[:-1]
        yield valve
        yield pieces[-1]

    return Step(step.name, play)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.die_mid_stream, "upstream_broken"),
        (faults.die_mid_event, "upstream_broken"),
        (faults.bad_event, "upstream_invalid"),
        (faults.error_in_stream, "upstream_error"),
    ],
)
async def test_a_stream_that_fails_midway(
    connect: Connect, gate: RunningGate, upstream: FakeUpstream, fault: Any, code: str
) -> None:
    key = await gate.key()
    sdk = await connect(key)
    loop, valve = asyncio.get_running_loop(), Valve()
    upstream.script(held_back(fault(after=3), valve))
    chunks: list[Any] = []

    def take(chunk: Any) -> None:
        chunks.append(chunk)
        loop.call_soon_threadsafe(valve.open)

    with pytest.raises(openai.APIError) as raised:
        await sdk.stream(asking(LAB, stream=True), take)
    assert not isinstance(raised.value, openai.APIStatusError | openai.APIConnectionError)
    assert (raised.value.code, raised.value.type) == (code, "server_error")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello from "
    assert len(upstream.requests) == 1
    (row,) = await gate.usage(key)
    assert (row["calls"], row["errors"], row["completion_tokens"]) == (1, 1, 2)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.die_mid_body, "upstream_broken"),
        (faults.reset_mid_body, "upstream_broken"),
        (faults.not_json, "upstream_invalid"),
        (faults.error_200, "upstream_error"),
        (faults.garbage, "upstream_invalid"),
    ],
)
async def test_a_whole_reply_that_is_none(connect: Connect, upstream: FakeUpstream, fault: Any, code: str) -> None:
    sdk = await connect(max_retries=0)
    upstream.script(fault())
    with pytest.raises(openai.InternalServerError) as raised:
        await sdk.call(asking(LAB))
    assert seen(raised.value) == (502, code, "server_error")


async def test_an_error_before_the_first_event_is_an_answer(sdk: Sdk, upstream: FakeUpstream) -> None:
    upstream.script(faults.error_first_in_stream())
    with pytest.raises(openai.InternalServerError) as raised:
        await sdk.having(max_retries=0).stream(asking(LAB, stream=True))
    assert seen(raised.value) == (503, "upstream_overloaded", "server_error")
    upstream.script(faults.error_first_in_stream())
    assert await sdk.stream(asking(LAB, stream=True))  # and may be repeated


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_gives_up_stops_the_provider(
    connect: Connect, gate: RunningGate, upstream: FakeUpstream, stream: bool
) -> None:
    key = await gate.key()
    sdk = await connect(key, max_retries=0, timeout=0.3)
    closed = upstream.closed_early
    upstream.script(faults.stall_mid_stream(valve=Valve()) if stream else faults.hang_before_head(valve=Valve()))
    with pytest.raises(openai.APITimeoutError):
        await sdk.stream(asking(LAB, stream=True)) if stream else await sdk.call(asking(LAB))
    await upstream.saw_close(closed + 1)
    (row,) = await gate.usage(key)
    assert (row["calls"], row["errors"]) == (1, 1)
