"""Recordings as text: every format, streams, refusals and faults, over a running gate."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.core.errors import InvalidRequest
from aldgate.surfaces.http.multipart import read_form
from aldgate.testing.engines import FakeTranscription
from aldgate.testing.engines.noises import wav
from aldgate.testing.engines.openai_transcription import TEXT
from tests.support import RunningGate, anonymous, running_gate

pytestmark = pytest.mark.anyio
PATH, ENGLISH = "/v1/audio/transcriptions", "/v1/audio/translations"
SECOND = wav(1.0)


@pytest.fixture
async def server() -> AsyncIterator[FakeTranscription]:
    async with FakeTranscription() as server:
        yield server


@asynccontextmanager
async def listening(data: Path, server: FakeTranscription, **more: str) -> AsyncIterator[RunningGate]:
    table = {"kind": '"openai-transcription"', "base_url": f'"{server.url}"', **more}
    lines = "".join(f"{name} = {value}\n" for name, value in table.items())
    async with running_gate(data, config=f"[engines.ears]\n{lines}") as gate:
        yield gate


@pytest.fixture
async def gate(tmp_path: Path, server: FakeTranscription) -> AsyncIterator[RunningGate]:
    async with listening(tmp_path, server, streams="true") as gate:
        yield gate


async def ask(
    gate: RunningGate, path: str = PATH, data: bytes = SECOND, headers: dict[str, str] | None = None, **fields: Any
) -> httpx2.Response:
    form = {"model": "ears/whisper-1", **fields}
    return await gate.http.post(path, files={"file": ("said.wav", data)}, data=form, headers=headers or {})


async def test_json_is_what_nobody_asked_otherwise(gate: RunningGate, server: FakeTranscription) -> None:
    reply = await ask(gate, language="de", prompt="names", temperature="0.5")
    assert reply.status_code == 200, reply.text
    assert reply.json() == {"text": TEXT, "usage": {"type": "duration", "seconds": 3.25}}
    form = server.forms[-1]
    assert (form["language"], form["prompt"], form["temperature"], form["file"]) == ("de", "names", "0.5", "said.wav")
    assert reply.headers["x-aldgate-model"] == "ears/whisper-1"


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        ("text", f"{TEXT}\n"),
        (
            "srt",
            "1\n00:00:00,000 --> 00:00:01,500\nHello there.\n\n2\n00:00:01,500 --> 00:00:03,250\nHow are you?\n",
        ),
        (
            "vtt",
            "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello there.\n\n00:00:01.500 --> 00:00:03.250\nHow are you?\n",
        ),
    ],
)
async def test_texts_and_captions(gate: RunningGate, wanted: str, answer: str) -> None:
    reply = await ask(gate, response_format=wanted)
    assert (reply.status_code, reply.text) == (200, answer)
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


async def test_verbose_json_has_all_that_clients_look_for(gate: RunningGate) -> None:
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": ["segment", "word"]}
    told = (await ask(gate, **fields)).json()
    assert (told["task"], told["language"], told["duration"], told["text"]) == ("transcribe", "english", 3.25, TEXT)
    assert [(each["id"], each["start"], each["end"]) for each in told["segments"]] == [(0, 0.0, 1.5), (1, 1.5, 3.25)]
    assert set(told["segments"][0]) == {
        *("id", "seek", "start", "end", "text", "tokens"),
        *("temperature", "avg_logprob", "compression_ratio", "no_speech_prob"),
    }
    assert told["words"] == [] and told["usage"] == {"type": "duration", "seconds": 3.25}
    plain = (await ask(gate, response_format="verbose_json")).json()
    assert len(plain["segments"]) == 2 and "words" not in plain


async def test_what_is_heard_is_told_as_it_is_heard(gate: RunningGate) -> None:
    reply = await ask(gate, stream="true")
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in reply.text.split("\n\n") if line]
    assert "".join(each["delta"] for each in events[:-1]) == TEXT
    assert {each["type"] for each in events[:-1]} == {"transcript.text.delta"}
    assert (events[-1]["type"], events[-1]["text"]) == ("transcript.text.done", TEXT)


async def test_translations_go_where_engines_translate(gate: RunningGate, server: FakeTranscription) -> None:
    reply = await ask(gate, ENGLISH, response_format="verbose_json")
    assert reply.status_code == 200 and reply.json()["task"] == "translate"
    assert server.asked[-1].path == ENGLISH
    assert (await ask(gate, ENGLISH, language="de")).json()["error"]["param"] == "language"


async def test_a_job_in_the_answers_place(gate: RunningGate) -> None:
    begun = await ask(gate, headers={"prefer": "respond-async"})
    assert begun.status_code == 202
    done = (await gate.http.get(begun.headers["location"], params={"wait": 30})).json()
    assert done["state"] == "succeeded" and done["result"]["text"] == TEXT


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": "1.5"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"language": "the usual"}, "language"),
        ({"stream": "perhaps"}, "stream"),
        ({"stream": "true", "response_format": "srt"}, "response_format"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities[]"),
        ({"timestamp_granularities[]": "letter", "response_format": "verbose_json"}, "timestamp_granularities[]"),
        ({"include[]": "logprobs"}, "include[]"),
        ({"colour": "red"}, "colour"),
        ({"chunking_strategy": "server_vad"}, "chunking_strategy"),
    ],
)
async def test_each_field_is_checked(gate: RunningGate, server: FakeTranscription, fields: dict[str, str], param: str) -> None:
    reply = await ask(gate, **fields)
    assert reply.status_code == 400 and reply.json()["error"]["param"] == param, reply.text
    assert server.works == 0


NO_RECORDINGS = {
    "empty": b"",
    "a text": b"once upon a time",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "only the beginning": b"ID3 and so on",
    "no samples": SECOND[:20],
}


@pytest.mark.parametrize("data", NO_RECORDINGS.values(), ids=NO_RECORDINGS)
async def test_what_is_no_recording_is_refused_before_anybody_listens(
    gate: RunningGate, server: FakeTranscription, data: bytes
) -> None:
    reply = await ask(gate, data=data)
    assert reply.status_code == 400 and reply.json()["error"]["param"] == "file", reply.text
    assert server.works == 0


async def test_forms_that_are_none(gate: RunningGate) -> None:
    assert (await gate.http.post(PATH, json={"model": "ears/whisper-1"})).status_code == 415
    broken = await gate.http.post(PATH, content=b"--x\r\n", headers={"content-type": "multipart/form-data; boundary=x"})
    assert broken.status_code == 400
    huge = await ask(gate, data=SECOND[:44] + bytes(26 * 1024 * 1024))
    assert huge.status_code == 413 and huge.json()["error"]["param"] == "file"
    nameless = await gate.http.post(PATH, data={"model": "ears/whisper-1"}, files={"other": ("a.wav", SECOND)})
    assert nameless.status_code == 400
    nobody = await ask(gate, model="nobody/x")
    assert nobody.status_code == 404
    deaf = await ask(gate, model="builtin/espeak")
    assert deaf.status_code == 404


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("work_unauthorised", 502, "upstream_auth"), ("work_garbage", 502, "upstream_invalid")],
)
async def test_engines_that_fail(gate: RunningGate, server: FakeTranscription, fault: str, status: int, code: str) -> None:
    server.fault = fault
    reply = await ask(gate, stream="true")
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code), reply.text


async def test_scopes_and_the_ledger(gate: RunningGate) -> None:
    chats, hears = await gate.key("chats", scopes=["chat"]), await gate.key("hears", scopes=["transcribe", "usage"])
    async with anonymous(gate, {"authorization": f"Bearer {chats}"}) as http:
        assert (await http.post(PATH, files={"file": ("a.wav", SECOND)})).status_code == 403
    heard = await ask(gate, headers={"authorization": f"Bearer {hears}"})
    assert heard.status_code == 200
    assert sum(row["calls"] for row in await gate.usage(hears)) == 1


async def test_who_leaves_has_the_job_cancelled(tmp_path: Path, server: FakeTranscription) -> None:
    server.hold()
    async with listening(tmp_path, server) as gate:
        asking = asyncio.create_task(ask(gate, stream="true"))
        await server.until_working()
        asking.cancel()
        while not (jobs := (await gate.http.get("/v1/jobs", params={"state": "cancelled"})).json()["data"]):
            await asyncio.sleep(0)
        assert jobs[0]["operation"] == "transcribe" and server.stopped


async def test_a_stream_goes_on_for_who_may_come_again(tmp_path: Path, server: FakeTranscription) -> None:
    async with listening(tmp_path, server) as gate:
        server.hold()
        once = {"idempotency-key": "once"}
        asking = asyncio.create_task(ask(gate, headers=once, stream="true"))
        await server.until_working()
        asking.cancel()
        server.release()
        again = await ask(gate, headers=once, stream="true")
        assert again.status_code == 200 and "transcript.text.done" in again.text
        (job,) = (await gate.http.get("/v1/jobs")).json()["data"]
        assert (job["id"], job["state"]) == (again.headers["x-aldgate-job"], "succeeded")


async def test_an_engine_that_is_away_is_said_to_be(gate: RunningGate, server: FakeTranscription) -> None:
    await server.refuse()
    reply = await ask(gate)
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_unreachable"), reply.text


async def test_a_stream_that_breaks_says_so(tmp_path: Path, server: FakeTranscription) -> None:
    server.fault = "fails_half_way"
    async with listening(tmp_path, server, streams="true") as gate:
        reply = await ask(gate, stream="true")
        told = json.loads(reply.text.split("\n\n")[-2][6:]) if reply.status_code == 200 else reply.json()
        assert told["error"]["code"] == "upstream_overloaded"


async def test_seconds_heard_are_limited_and_nothing_stays_held(gate: RunningGate) -> None:
    made = await gate.http.post("/admin/keys", json={"name": "brief", "policy": {"limits": {"audio_seconds_per_day": 2}}})
    brief = {"authorization": f"Bearer {made.json()['key']}"}
    assert (await ask(gate, headers=brief)).status_code == 200
    refused = await ask(gate, data=wav(2.0), headers=brief)
    assert refused.status_code == 429 and "seconds of audio per day" in refused.text
    held = next(
        line for line in (await gate.http.get("/metrics")).text.splitlines() if line.startswith("aldgate_request_bytes_held ")
    )
    assert float(held.split()[1]) == 0


async def test_fields_that_are_lists_may_stand_more_than_once() -> None:
    part = b'--x\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n'

    async def body(*parts: bytes) -> AsyncIterator[bytes]:
        yield b"".join(parts) + b"--x--\r\n"

    async def nowhere(piece: bytes) -> None:
        raise AssertionError(piece)

    headers, one = {b"content-type": b"multipart/form-data; boundary=x"}, part % (b"a[]", b"1")
    form = await read_form(headers, body(one, part % (b"b", b"2"), part % (b"a[]", b"3")), "file", nowhere)
    assert (form.fields, form.lists) == ({"b": "2"}, {"a[]": ["1", "3"]})
    with pytest.raises(InvalidRequest):
        await read_form(headers, body(one * 40), "file", nowhere)
