"""Speech in every format, whole, in pieces and as events, from what is built in and from a server that has one format."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import httpx2
import pytest

from aldgate.testing.engines import FakeSpeech
from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio
PATH = "/v1/audio/speech"
SAID = {"input": "hello there", "model": "mouth/kokoro"}
CODECS = {"mp3": "mp3float", "opus": "opus", "aac": "aac", "flac": "flac", "wav": "pcm_s16le"}
TYPES = {"mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav"}


@asynccontextmanager
async def speaking(data: Path, server: FakeSpeech, more: str = "") -> AsyncIterator[RunningGate]:
    table = f'[engines.mouth]\nkind = "openai-speech"\nbase_url = "{server.url}"\n{more}'
    async with running_gate(data, config=table) as gate:
        yield gate


@pytest.fixture
async def server() -> AsyncIterator[FakeSpeech]:
    async with FakeSpeech() as server:
        yield server


@pytest.fixture
async def gate(tmp_path: Path, server: FakeSpeech) -> AsyncIterator[RunningGate]:
    async with speaking(tmp_path, server, 'formats = ["wav"]\n') as gate:
        yield gate


async def say(gate: RunningGate, headers: dict[str, str] | None = None, **wanted: Any) -> httpx2.Response:
    return await gate.http.post(PATH, json={**SAID, **wanted}, headers=headers or {})


def codec_of(sound: bytes) -> str:
    with av.open(BytesIO(sound)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 1_000
        return container.streams.audio[0].codec_context.name


@pytest.mark.parametrize("wanted", CODECS)
async def test_what_the_engine_cannot_give_is_made_of_what_it_can(gate: RunningGate, server: FakeSpeech, wanted: str) -> None:
    reply = await say(gate, response_format=wanted)
    assert reply.status_code == 200, reply.text
    assert (reply.headers["content-type"], codec_of(reply.content)) == (TYPES[wanted], CODECS[wanted])
    assert int(reply.headers["content-length"]) == len(reply.content)
    assert server.body(PATH)["response_format"] == "wav"


async def test_samples_are_bare(gate: RunningGate) -> None:
    reply = await say(gate, response_format="pcm")
    assert reply.headers["content-type"] == "audio/pcm"
    assert len(reply.content) == pytest.approx(2 * 24_000 * 0.1, abs=200)  # pyright: ignore[reportUnknownMemberType]


async def test_a_server_that_heeds_no_format_is_put_right(tmp_path: Path, server: FakeSpeech) -> None:
    server.ignores_format = "wav"
    async with speaking(tmp_path, server) as gate:
        reply = await say(gate, response_format="flac")
        assert codec_of(reply.content) == "flac" and server.body(PATH)["response_format"] == "flac"
        server.ignores_format = "mp3"  # the fake's are no more than the beginning of one
        broken = await say(gate, response_format="flac")
        assert (broken.status_code, broken.json()["error"]["code"]) == (502, "upstream_invalid")


async def test_voice_speed_and_instructions_reach_the_engine(gate: RunningGate, server: FakeSpeech) -> None:
    told = {"voice": {"id": "bm_lewis"}, "speed": 1.5, "instructions": "Like a pirate."}
    assert (await say(gate, **told)).status_code == 200
    asked = server.body(PATH)
    assert (asked["voice"], asked["speed"], asked["instructions"]) == ("bm_lewis", 1.5, "Like a pirate.")
    deaf = await say(gate, model="builtin/espeak", instructions="Like a pirate.")
    assert deaf.status_code == 400 and deaf.json()["error"]["param"] == "instructions"


async def test_in_pieces_and_as_events_it_is_the_same(gate: RunningGate) -> None:
    whole = await say(gate, response_format="wav")
    pieces = await say(gate, response_format="wav", stream_format="audio")
    assert pieces.content == whole.content and pieces.headers["transfer-encoding"] == "chunked"
    reply = await say(gate, response_format="wav", stream_format="sse")
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in reply.text.split("\n\n") if line]
    assert {each["type"] for each in events[:-1]} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(each["audio"]) for each in events[:-1]) == whole.content
    assert events[-1] == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 3, "output_tokens": 0, "total_tokens": 3},
    }


@pytest.mark.parametrize("how", [{"background": True}, {"headers": {"prefer": "respond-async"}}])
async def test_a_job_in_the_answers_place(gate: RunningGate, how: dict[str, Any]) -> None:
    begun = await say(gate, response_format="flac", **how)
    assert begun.status_code == 202
    done = (await gate.http.get(begun.headers["location"], params={"wait": 30})).json()
    (made,) = done["result"]["artifacts"]
    assert made["mime"] == "audio/flac"
    assert codec_of((await gate.http.get(made["url"])).content) == "flac"


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": "  "}, "input"),
        ({"speed": 5}, "speed"),
        ({"response_format": "midi"}, "response_format"),
        ({"stream_format": "film"}, "stream_format"),
        ({"voice": 7}, "voice"),
    ],
)
async def test_each_field_is_checked(gate: RunningGate, server: FakeSpeech, wanted: dict[str, Any], param: str) -> None:
    reply = await say(gate, **wanted)
    assert reply.status_code == 400 and reply.json()["error"]["param"] == param, reply.text
    assert server.works == 0


@pytest.mark.parametrize(("fault", "code"), [("work_unauthorised", "upstream_auth"), ("apologises", "upstream_invalid")])
async def test_engines_that_fail(gate: RunningGate, server: FakeSpeech, fault: str, code: str) -> None:
    server.fault = fault
    reply = await say(gate, stream_format="sse")
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, code), reply.text


async def test_who_leaves_has_the_job_cancelled_but_not_who_may_come_again(gate: RunningGate, server: FakeSpeech) -> None:
    server.hold()
    asking = asyncio.create_task(say(gate))
    await server.until_working()
    asking.cancel()
    while not (await gate.http.get("/v1/jobs", params={"state": "cancelled"})).json()["data"]:
        await asyncio.sleep(0)
    kept = asyncio.create_task(say(gate, {"idempotency-key": "once"}))
    while not (running := (await gate.http.get("/v1/jobs", params={"state": "running"})).json()["data"]):
        await asyncio.sleep(0)
    kept.cancel()
    server.release()
    again = await say(gate, {"idempotency-key": "once"})
    assert again.status_code == 200 and again.headers["x-aldgate-job"] == running[0]["id"]
