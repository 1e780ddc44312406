"""`/v1/responses` as a WebSocket: each frame is a call of its own, and nothing goes around the gate."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import websockets

from aldgate.testing.upstream import Act, Step, Valve, faults, wire
from aldgate.testing.upstream.replies import STREAM_HEAD
from aldgate.testing.upstream.responses import framed
from tests.surfaces.responses.lab import SAID, ResponsesLab, responses_lab, texts

CREATE = {"type": "response.create", "model": "lab/gpt-4.1", "input": "Hi"}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[ResponsesLab]:
    async with responses_lab(tmp_path) as lab:
        yield lab


def connect(lab: ResponsesLab, key: str = "", path: str = "/v1/responses") -> Any:
    url = lab.gate.url.replace("http", "ws", 1) + path
    return websockets.connect(url, additional_headers={"x-api-key": key} if key else {}, proxy=None)


async def ask(socket: Any, **frame: Any) -> list[dict[str, Any]]:
    """The events that answer a frame."""
    await socket.send(json.dumps({**CREATE, **frame}))
    told: list[dict[str, Any]] = []
    while not told or told[-1]["type"] not in ("error", "response.completed", "response.failed"):
        told.append(json.loads(await socket.recv()))
    return told


@pytest.mark.parametrize("model", ["lab/gpt-4.1", "native/gpt-4.1", "builtin/echo"])
async def test_frames_are_answered_in_turn_and_billed_each(here: ResponsesLab, model: str):
    key = await here.gate.key()
    async with connect(here, key) as socket:
        for _ in range(2):
            told = await ask(socket, model=model)
            assert texts(told) in (SAID, "Hi")
            assert [event["sequence_number"] for event in told] == list(range(len(told)))
    (row,) = await here.gate.usage(key)
    assert (row["calls"], row["errors"]) == (2, 0)


async def test_frames_sent_ahead_wait_for_their_turn(here: ResponsesLab):
    async with connect(here, await here.gate.key()) as socket:
        for lane in ("a", "b"):
            await socket.send(json.dumps({**CREATE, "stream_id": lane}))
        lanes = []
        while lanes.count("done") < 2:
            event = json.loads(await socket.recv())
            lanes.append("done" if event["type"] == "response.completed" else event["stream_id"])
    assert lanes == ["a"] * (len(lanes) // 2 - 1) + ["done"] + ["b"] * (len(lanes) // 2 - 1) + ["done"]


@pytest.mark.parametrize("key", ["", "agk-nobody"])
async def test_without_a_good_key_there_is_no_upgrade(here: ResponsesLab, key: str):
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(here, key)
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]["type"] == "authentication_error"


async def test_elsewhere_there_is_no_socket(here: ResponsesLab):
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(here, await here.gate.key(), "/v1/chat/completions")
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize(
    ("frame", "status", "code"),
    [
        ("no json", 400, "invalid_request"),
        ('{"type":"session.update"}', 400, "invalid_request"),
        ('{"type":"response.steer","input":"x"}', 501, "not_supported"),
        ('{"type":"response.create","model":"none/such","input":"x"}', 404, "model_not_found"),
        ('{"type":"response.create","model":"lab/gpt-4.1","input":5}', 400, "invalid_request"),
        (
            '{"type":"response.create","model":"lab/gpt-4.1","input":"x","previous_response_id":"r"}',
            400,
            "previous_response_not_found",
        ),
    ],
)
async def test_a_refusal_is_a_nested_error_and_the_socket_stays(here: ResponsesLab, frame: str, status: int, code: str):
    async with connect(here, await here.gate.key()) as socket:
        await socket.send(frame)
        error = json.loads(await socket.recv())
        assert (error["type"], error["status"], error["error"]["code"]) == ("error", status, code)
        assert (await ask(socket))[-1]["type"] == "response.completed"


async def test_limits_hold_for_every_frame(here: ResponsesLab):
    async with connect(here, await here.gate.key(rpm=1)) as socket:
        assert (await ask(socket))[-1]["type"] == "response.completed"
        error = (await ask(socket))[-1]
        assert (error["status"], error["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(error["error"]["headers"]["retry-after"]) > 0


async def test_a_revoked_key_ends_the_socket(here: ResponsesLab):
    made = (await here.gate.http.post("/admin/keys", json={"name": "short"})).json()
    async with connect(here, made["key"]) as socket:
        assert (await ask(socket))[-1]["type"] == "response.completed"
        await here.gate.http.delete(f"/admin/keys/{made['id']}")
        with suppress(websockets.ConnectionClosed):  # the gate, which looks for itself now and then, may have been quicker
            await socket.send(json.dumps(CREATE))
        told: list[Any] = []
        with pytest.raises(websockets.ConnectionClosed) as closed:
            while True:
                told.append(json.loads(await socket.recv()))
        assert [event["error"]["code"] for event in told] == ["revoked_api_key"]
        assert closed.value.rcvd.code == 1008


async def test_what_is_not_stored_only_its_own_socket_continues(here: ResponsesLab):
    key = await here.gate.key()
    async with connect(here, key) as socket, connect(here, key) as other:
        first = (await ask(socket, input="One", store=False))[-1]["response"]["id"]
        assert (await ask(other, previous_response_id=first))[-1]["error"]["code"] == "previous_response_not_found"
        second = (await ask(socket, input="Two", store=False, previous_response_id=first))[-1]["response"]["id"]
        await ask(socket, input="Three", store=False, previous_response_id=second)
    assert [message["content"] for message in here.sent()["messages"]] == ["One", SAID, "Two", SAID, "Three"]


async def test_input_that_is_only_to_be_remembered_costs_nothing(here: ResponsesLab):
    key = await here.gate.key()
    async with connect(here, key) as socket:
        warm = (await ask(socket, input="One", generate=False, store=False))[-1]["response"]
        assert (warm["output"], len(here.upstream.requests)) == ([], 0)
        await ask(socket, input="Two", previous_response_id=warm["id"])
    assert [message["content"] for message in here.sent()["messages"]] == ["One", "Two"]
    (row,) = await here.gate.usage(key)
    assert row["calls"] == 1


async def test_a_failure_in_the_middle_is_response_failed(here: ResponsesLab):
    here.upstream.script(faults.die_mid_stream(after=4))
    async with connect(here, await here.gate.key()) as socket:
        assert (await ask(socket))[-1]["type"] == "response.failed"
        assert (await ask(socket))[-1]["type"] == "response.completed"


async def test_a_caller_who_leaves_stops_the_provider_and_is_billed(here: ResponsesLab):
    told = {"type": "response.output_text.delta", "output_index": 0, "delta": "Hal"}
    here.upstream.script(Step("half", lambda asked: iter([STREAM_HEAD, wire.chunk(framed(told)), Act.HANG])))
    key = await here.gate.key()
    async with connect(here, key) as socket:
        await socket.send(json.dumps({**CREATE, "model": "native/gpt-4.1"}))
        assert json.loads(await socket.recv())["delta"] == "Hal"
    async with asyncio.timeout(5):
        await here.upstream.saw_close()
        while here.gate.app.gate.under_way:
            await asyncio.sleep(0)
    (row,) = await here.gate.usage(key)
    assert (row["calls"], row["errors"]) == (1, 1)


async def test_a_gate_that_stops_closes_idle_sockets(here: ResponsesLab):
    async with connect(here, await here.gate.key()) as socket:
        await ask(socket)
        here.gate.app.gate.is_draining = True
        here.gate.server.stop()
        await here.gate.server.drain(5)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == 1012


async def test_what_a_connection_may_have_remembered_is_bounded_with_all_else_that_is_held(tmp_path: Path):
    flags = {"server.max_body_bytes": "100000", "server.max_inflight_bytes": "250000"}
    async with responses_lab(tmp_path, flags=flags) as lab:
        async with connect(lab, await lab.gate.key()) as socket:
            warm: dict[str, Any] = {}
            told: list[dict[str, Any]] = []
            for _ in range(4):
                told = await ask(socket, input="a" * 90_000, generate=False, **warm)
                if told[-1]["type"] == "error":
                    break
                warm = {"previous_response_id": told[-1]["response"]["id"]}
            assert (told[-1]["status"], told[-1]["error"]["code"]) == (503, "overloaded")
            assert (await ask(socket))[-1]["type"] == "response.completed"
        async with asyncio.timeout(5):
            while lab.gate.app.gate.metrics.gauges["aldgate_request_bytes_held"][1]():
                await asyncio.sleep(0)


async def test_a_key_that_may_not_chat_has_nothing_remembered(here: ResponsesLab):
    async with connect(here, await here.gate.key(scopes=["models"])) as socket:
        assert (await ask(socket, generate=False))[-1]["error"]["code"] == "scope_denied"


async def test_a_frame_of_wrong_tools_does_not_end_the_socket(here: ResponsesLab):
    async with connect(here, await here.gate.key()) as socket:
        assert (await ask(socket, generate=False, tools=5))[-1]["status"] == 400
        assert (await ask(socket))[-1]["type"] == "response.completed"


async def revoke_all(lab: ResponsesLab) -> None:
    for key in (await lab.gate.http.get("/admin/keys")).json()["keys"]:
        assert (await lab.gate.http.delete(f"/admin/keys/{key['id']}")).status_code == 200


async def test_an_idle_socket_is_closed_when_its_key_is_revoked(here: ResponsesLab):
    async with connect(here, await here.gate.key()) as socket:
        await ask(socket)
        await revoke_all(here)
        async with asyncio.timeout(1):
            told = json.loads(await socket.recv())
            await socket.wait_closed()
    assert (told["type"], told["error"]["code"], socket.close_code) == ("error", "revoked_api_key", 1008)


async def test_a_busy_socket_is_closed_when_its_session_is_logged_out_and_the_other_goes_on(here: ResponsesLab):
    http, password = here.gate.http, "correct horse battery"
    await http.post("/admin/users", json={"name": "ada", "password": password})
    logins = [await http.post("/v1/users/login", json={"username": "ada", "password": password}) for _ in range(2)]
    leaving, staying = (login.json()["token"] for login in logins)
    here.upstream.script(faults.hang_before_head(Valve()))
    async with connect(here, leaving) as socket, connect(here, staying) as other:
        await socket.send(json.dumps(CREATE))
        await here.upstream.saw_requests()
        await http.post("/v1/users/logout", headers={"authorization": f"Bearer {leaving}"})
        async with asyncio.timeout(1):
            told = json.loads(await socket.recv())
            await socket.wait_closed()
        assert (told["error"]["code"], socket.close_code) == ("expired_api_key", 1008)
        assert (await ask(other))[-1]["type"] == "response.completed"


async def test_a_busy_socket_is_closed_when_its_key_is_revoked(here: ResponsesLab):
    valve = Valve()
    here.upstream.script(faults.hang_before_head(valve))
    async with connect(here, await here.gate.key()) as socket:
        await socket.send(json.dumps(CREATE))
        await here.upstream.saw_requests()
        await revoke_all(here)
        async with asyncio.timeout(1):
            told = json.loads(await socket.recv())
            await socket.wait_closed()
    assert (told["error"]["code"], socket.close_code) == ("revoked_api_key", 1008)
    assert not here.gate.app.gate.streams
