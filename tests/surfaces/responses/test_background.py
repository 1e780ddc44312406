"""Responses that run in the background, through a running gate."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.core.errors import StoreUnavailable
from aldgate.testing.upstream import Reply, Valve, faults
from tests.surfaces.responses.lab import MODELS, SAID, ResponsesLab, events, responses_lab, texts

TRANSLATED_AND_NATIVE = pytest.mark.parametrize("model", MODELS[:2])
HOLDS = "[responses]\nmax_background = 2\n"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[ResponsesLab]:
    async with responses_lab(tmp_path, config=HOLDS) as lab:
        yield lab


class Owner:
    """Somebody with a key of their own."""

    def __init__(self, lab: ResponsesLab, key: str) -> None:
        self.lab = lab
        self.key = key
        self.headers = {"authorization": f"Bearer {key}"}

    async def begin(self, model: str, **more: Any) -> dict[str, Any]:
        """A response in the background, as the answer to its request tells of it."""
        reply = await self.lab.post(model, "Hi there", key=self.key, background=True, **more)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def ask(self, method: str, made: dict[str, Any], after: str = "", **query: str) -> httpx2.Response:
        path = f"/v1/responses/{made['id']}{after}"
        return await self.lab.gate.http.request(method, path, params=query, headers=self.headers)

    async def until(self, made: dict[str, Any], *states: str) -> dict[str, Any]:
        """The response as soon as it is in one of these states."""
        async with asyncio.timeout(10):
            while (now := (await self.ask("GET", made)).json())["status"] not in states:
                pass
        return now

    async def ended(self, made: dict[str, Any]) -> dict[str, Any]:
        return await self.until(made, "completed", "incomplete", "failed", "cancelled")


@pytest.fixture
async def owner(here: ResponsesLab) -> Owner:
    return Owner(here, await here.gate.key())


@pytest.mark.parametrize("model", MODELS)
async def test_it_is_queued_at_once_and_completed_in_the_end(here: ResponsesLab, owner: Owner, model: str):
    made = await owner.begin(model, metadata={"a": "b"})
    assert (made["status"], made["background"], made["output"], made["metadata"]) == ("queued", True, [], {"a": "b"})
    ended = await owner.ended(made)
    assert (ended["status"], ended["background"], ended["id"]) == ("completed", True, made["id"])
    said = "Hi there" if model == "builtin/echo" else SAID
    assert ended["output"][0]["content"][0]["text"] == said
    (row,) = await here.gate.usage(owner.key)
    assert (row["calls"], row["prompt_tokens"]) == (1, ended["usage"]["input_tokens"])
    if model != "builtin/echo":
        assert "background" not in here.sent()


@TRANSLATED_AND_NATIVE
async def test_it_is_in_progress_meanwhile_and_hidden_from_others(here: ResponsesLab, owner: Owner, model: str):
    valve = Valve()
    here.upstream.script(faults.hang_before_head(valve))
    made = await owner.begin(model)
    now = await owner.until(made, "in_progress")
    assert (now["background"], now["output"]) == (True, [])
    assert (await here.gate.http.get(f"/v1/responses/{made['id']}")).status_code == 404
    refused = await here.post(model, "And?", key=owner.key, previous_response_id=made["id"])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "previous_response_id")
    streamed = await owner.ask("GET", made, stream="true")
    assert (streamed.status_code, streamed.json()["error"]["param"]) == (400, "stream")
    valve.open()
    ended = await owner.ended(made)
    after = await here.post(model, "And?", key=owner.key, previous_response_id=ended["id"])
    assert after.status_code == 200


@TRANSLATED_AND_NATIVE
async def test_it_is_cancelled_and_billed_what_was_used(here: ResponsesLab, owner: Owner, model: str):
    here.upstream.script(faults.stall_mid_stream(after=8))
    stream = asyncio.ensure_future(here.post(model, "Hi there", key=owner.key, background=True, stream=True))
    made = await begun(here)
    cancelled = await owner.ask("POST", made, "/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (await owner.ask("POST", made, "/cancel")).json() == cancelled.json() == (await owner.ask("GET", made)).json()
    told = frames((await stream).text)
    assert (told[-1]["type"], told[-1]["response"]["status"]) == ("response.cancelled", "cancelled")
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    (row,) = await here.gate.usage(owner.key)
    assert row["calls"] == row["errors"] == 1
    assert row["prompt_tokens"] > 0
    assert here.gate.app.gate.under_way == 0


async def begun(here: ResponsesLab) -> dict[str, Any]:
    """The response that is being made, once something of it was said."""
    async with asyncio.timeout(5):
        while not (runs := list(here.gate.app.background._runs.values())) or not runs[0].events._pieces:
            await here.gate.http.get("/health")
    return json.loads(runs[0].body)


def frames(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]


@TRANSLATED_AND_NATIVE
async def test_a_stream_survives_its_caller_and_is_followed_live(here: ResponsesLab, owner: Owner, model: str):
    valve = Valve()
    here.upstream.script(faults.stall_mid_stream(after=5, valve=valve))
    first = asyncio.ensure_future(here.post(model, "Hi there", key=owner.key, background=True, stream=True))
    made = await begun(here)
    first.cancel()
    following = asyncio.ensure_future(owner.ask("GET", made, stream="true"))
    late = asyncio.ensure_future(owner.ask("GET", made, stream="true", starting_after="3"))
    await asyncio.wait([following, late], timeout=0.05)
    assert not following.done() and not late.done()
    valve.open()
    told = events((await following).text)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert texts(told) == SAID
    assert events((await late).text) == told[4:]
    ended = await owner.ended(made)
    assert told[-1]["response"] == ended
    assert {event["response"]["id"] for event in told if "response" in event} == {made["id"]}
    assert (await owner.ask("GET", made, stream="true")).text == (await following).text


@TRANSLATED_AND_NATIVE
@pytest.mark.parametrize("stream", [False, True])
async def test_what_fails_is_kept_as_failed(here: ResponsesLab, owner: Owner, model: str, stream: bool):
    here.upstream.script(faults.status(503), faults.status(503))
    reply = await here.post(model, "Hi there", key=owner.key, background=True, stream=stream)
    assert reply.status_code == 200
    made = frames(reply.text)[-1]["response"] if stream else reply.json()
    ended = await owner.ended(made)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "server_error")
    assert (await owner.ask("POST", made, "/cancel")).json() == ended
    if stream:
        assert frames(reply.text)[-1]["response"] == ended


@TRANSLATED_AND_NATIVE
async def test_a_stream_that_breaks_off_is_kept_as_it_was_told(here: ResponsesLab, owner: Owner, model: str):
    here.upstream.script(faults.die_mid_stream(after=5))
    reply = await here.post(model, "Hi there", key=owner.key, background=True, stream=True)
    told = events(reply.text)
    assert told[-1]["type"] == "response.failed"
    assert (await owner.ask("GET", told[-1]["response"])).json() == told[-1]["response"]
    assert (await owner.ask("GET", told[-1]["response"], stream="true")).text == reply.text


async def test_no_more_than_so_many_run_at_once(here: ResponsesLab, owner: Owner):
    here.upstream.script(faults.hang_before_head(), faults.hang_before_head())
    one, two = await owner.begin("lab/gpt-4.1"), await owner.begin("lab/gpt-4.1")
    refused = await here.post("lab/gpt-4.1", "Hi", key=owner.key, background=True)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "concurrency_limit_exceeded")
    await Owner(here, await here.gate.key()).begin("builtin/echo")
    assert (await owner.ask("DELETE", one)).json()["deleted"] is True
    assert (await owner.ask("GET", one)).status_code == 404
    assert (await owner.ended(await owner.begin("builtin/echo")))["status"] == "completed"
    assert (await owner.ask("POST", two, "/cancel")).json()["status"] == "cancelled"
    assert here.gate.app.gate.under_way == 0


async def test_what_cannot_be_kept_does_not_run_in_the_background(here: ResponsesLab, owner: Owner):
    refused = await here.post("lab/gpt-4.1", "Hi", key=owner.key, background=True, store=False)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "store")
    badly = await here.post("lab/gpt-4.1", "Hi", key=owner.key, background=True, tools=["look"])
    assert (badly.status_code, badly.json()["error"]["param"]) == (400, "tools")
    assert not here.upstream.requests


async def test_limits_and_budgets_hold_in_the_background(here: ResponsesLab):
    poor = Owner(here, await here.gate.key(concurrency=1))
    here.upstream.script(faults.hang_before_head())
    made = await poor.begin("lab/gpt-4.1")
    assert (await here.post("lab/gpt-4.1", "Hi", key=poor.key, background=True)).status_code == 429
    await poor.ask("POST", made, "/cancel")
    assert (await here.post("lab/gpt-4.1", "Hi", key=poor.key)).status_code == 200


async def test_what_was_left_out_is_named_when_it_is_fetched(here: ResponsesLab, owner: Owner):
    made = await owner.begin("lab/gpt-4.1", truncation="auto")
    await owner.ended(made)
    assert (await owner.ask("GET", made)).headers["x-aldgate-warnings"] == "left out: truncation"


async def test_a_repeated_key_begins_only_one(here: ResponsesLab, owner: Owner):
    headers = {**owner.headers, "idempotency-key": "once"}
    asked = {"model": "lab/gpt-4.1", "input": "Hi", "background": True}
    first, second = [await here.gate.http.post("/v1/responses", json=asked, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    await owner.ended(first.json())
    assert len(here.upstream.requests) == 1


async def test_a_long_answer_is_remembered_as_far_as_there_is_room(here: ResponsesLab, owner: Owner, monkeypatch: Any):
    monkeypatch.setattr("aldgate.surfaces.responses.event_log.MOST_BYTES", 3_000)
    here.upstream.reply = Reply(text="word " * 200)
    reply = await here.post("lab/gpt-4.1", "Hi there", key=owner.key, background=True, stream=True)
    told = events(reply.text)
    assert told[-1]["type"] == "response.completed" and len(told) < 200
    assert told[-1]["response"]["output"][0]["content"][0]["text"].startswith("word word")
    again = events((await owner.ask("GET", told[-1]["response"], stream="true")).text)
    assert again[-1]["response"] == told[-1]["response"]


async def test_the_database_of_another_process_tells_what_was_cancelled(here: ResponsesLab, owner: Owner):
    here.upstream.script(faults.hang_before_head())
    made = await owner.begin("lab/gpt-4.1")
    background = here.gate.app.background
    ((key, run),) = background._runs.items()
    del background._runs[key]  # as another process sees it
    assert (await owner.ask("POST", made, "/cancel")).json()["status"] == "cancelled"
    background._runs[key] = run
    await background.hold()
    async with asyncio.timeout(5):
        await run.over.wait()
    assert (await owner.ask("GET", made)).json()["status"] == "cancelled"
    assert here.gate.app.gate.under_way == 0


async def test_a_database_that_is_away_at_the_end_is_waited_for(here: ResponsesLab, owner: Owner, monkeypatch: Any):
    background, valve = here.gate.app.background, Valve()
    here.upstream.script(faults.hang_before_head(valve))
    made = await owner.begin("lab/gpt-4.1")
    ((_, run),) = background._runs.items()
    store, waited = background._store, list[float]()

    class Away:
        async def end_response(self, *args: Any) -> bool:
            background._store = store
            raise StoreUnavailable("The database did not answer.")

    async def wait(event: asyncio.Event, seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(background, "_store", Away())
    monkeypatch.setattr(background, "_wait", wait)
    valve.open()
    async with asyncio.timeout(5):
        await run.over.wait()
    monkeypatch.undo()
    assert waited == [1.0]
    assert (await owner.ask("GET", made)).json()["status"] == "completed"


async def test_what_was_not_heard_of_for_long_is_lost(here: ResponsesLab, owner: Owner):
    here.upstream.script(faults.hang_before_head())
    made = await owner.begin("lab/gpt-4.1")
    background = here.gate.app.background
    ((key, run),) = background._runs.items()
    await here.gate.app.shelf.store.hold_responses([key], -1)
    del background._runs[key]
    lost = (await owner.ask("GET", made)).json()
    assert (lost["status"], lost["error"]["code"]) == ("failed", "server_error")
    background._runs[key] = run


async def test_a_gate_that_stops_keeps_what_it_cut_as_failed(tmp_path: Path):
    async with responses_lab(tmp_path) as here:
        key = await here.gate.key()
        here.upstream.script(faults.hang_before_head())
        made = await Owner(here, key).begin("lab/gpt-4.1")
    async with responses_lab(tmp_path) as here:
        cut = (await Owner(here, key).ask("GET", made)).json()
        assert (cut["status"], cut["error"]["type"]) == ("failed", "shutting_down")
        (row,) = await here.gate.usage(key)
        assert (row["calls"], row["errors"]) == (1, 1)
