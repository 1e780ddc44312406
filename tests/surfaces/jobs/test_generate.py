"""`/v1/generate` over a running gate: texts from a fake provider, pictures and meshes from what is built in."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.testing.engines import FakeA1111
from aldgate.testing.upstream import FakeUpstream
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio
PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
    )
).decode()
TEXT = {"modality": "text", "input": {"prompt": "Explain quantum computing in simple terms"}}
IMAGE = {"modality": "image", "input": {"prompt": "A sunset"}, "model": "builtin/svg", "parameters": {"width": 64, "height": 48}}
CHAIR = {"modality": "3d", "input": {"prompt": "A wooden chair"}}


@pytest.fixture
async def painter() -> AsyncIterator[FakeA1111]:
    async with FakeA1111() as fake:
        yield fake


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def gate(tmp_path: Path, upstream: FakeUpstream, painter: FakeA1111) -> AsyncIterator[RunningGate]:
    config = f'[engines.painter]\nkind = "a1111"\nbase_url = "{painter.url}"\n[artifacts]\ninline_bytes = 20000\n'
    flags = {"routing.default_model": "lab/gpt-4.1"}
    async with running_gate(tmp_path, config=config, providers={"lab": lab(upstream.url)}, flags=flags) as gate:
        yield gate


async def ask(gate: RunningGate, key: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
    return await gate.http.post("/v1/generate", json=body, headers={"authorization": f"Bearer {key}", **headers})


def streamed(text: str) -> list[Any]:
    """The data of each event; comments left out."""
    events = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    assert all(each.startswith("data: ") and "\n" not in each for each in events)
    return [each[6:] if each == "data: [DONE]" else json.loads(each[6:]) for each in events]


async def test_a_text_is_a_chat_with_the_default_model(gate: RunningGate, upstream: FakeUpstream) -> None:
    reply = await ask(gate, await gate.key(), TEXT)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert told["output"]["text"] and told["output"]["images"] is None and told["modality"] == "text"
    selection = {"selected_model": "gpt-4.1", "selected_provider": "lab", "fallback_used": False, "fallback_reason": None}
    assert told["selection"] == selection and told["request_id"] == reply.headers["x-request-id"]
    assert told["usage"]["total_tokens"] == told["usage"]["prompt_tokens"] + told["usage"]["completion_tokens"] > 0
    assert told["session_id"] is None and told["credits_status"] is None and told["warnings"] is None


async def test_model_provider_parameters_and_pictures_reach_the_provider(gate: RunningGate, upstream: FakeUpstream) -> None:
    key = await gate.key()
    parameters = {"temperature": 0.5, "max_tokens": 7, "format": "json"}
    asked = {
        **TEXT,
        "input": {"prompt": "What is it?", "images": [PNG, f"data:image/png;base64,{PNG}"]},
        "parameters": parameters,
    }
    for named in ({"model": "lab:gpt-4.1"}, {"model": "gpt-4.1", "provider": "lab"}, {"provider": "lab"}, {"model": "auto"}):
        reply = await ask(gate, key, {**asked, **named, "system_prompt": "Be brief."})
        assert reply.status_code == 200, (named, reply.text)
        sent = json.loads(upstream.requests[-1].body)
        assert sent["model"] == "gpt-4.1" and sent["temperature"] == 0.5 and sent["max_tokens"] == 7
        assert sent["response_format"] == {"type": "json_object"}
        assert [each["role"] for each in sent["messages"]] == ["system", "user"]
        kinds = [part["type"] for part in sent["messages"][1]["content"]]
        assert kinds == ["text", "image_url", "image_url"]


async def test_a_streamed_text_says_first_which_model_it_is(gate: RunningGate) -> None:
    reply = await ask(gate, await gate.key(), {**TEXT, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream"), reply.text
    first, *chunks, last = streamed(reply.text)
    assert first["event"] == "model_selected" and first["model_name"] == "gpt-4.1" and first["provider"] == "lab"
    words = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert words and last == "[DONE]"


async def test_a_picture_stands_in_the_answer_or_is_linked(gate: RunningGate) -> None:
    key = await gate.key()
    small = (await ask(gate, key, IMAGE)).json()
    (picture,) = small["output"]["images"]
    assert base64.b64decode(picture).startswith(b"\x89PNG") and small["output"]["artifacts"] is None
    assert small["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert small["selection"]["selected_provider"] == "builtin" and small["model"] == "builtin/svg"
    large = await ask(gate, key, {**IMAGE, "parameters": {"width": 1024, "height": 1024}})
    (linked,) = large.json()["output"]["artifacts"]
    assert large.json()["output"]["images"] is None and linked["type"] == "image" and linked["expires_at"].endswith("+00:00")
    assert linked["url"].startswith(gate.url)
    content = await gate.http.get(linked["url"], headers={"authorization": ""})
    assert content.status_code == 200 and content.content.startswith(b"\x89PNG")
    own = await gate.http.get(linked["url"].partition("?")[0], headers={"authorization": f"Bearer {key}"})
    assert own.content == content.content


async def test_a_mesh_is_made(gate: RunningGate) -> None:
    told = (await ask(gate, await gate.key(), {**CHAIR, "parameters": {"seed": -1}})).json()
    assert told["modality"] == "3d"
    if told["output"]["mesh"] is None:
        (linked,) = told["output"]["artifacts"]
        assert linked["type"] == "mesh"
        content = (await gate.http.get(linked["url"])).content
    else:
        content = base64.b64decode(told["output"]["mesh"])
    assert content.startswith(b"glTF")


async def test_a_streamed_picture_is_one_event_with_the_whole_answer(gate: RunningGate) -> None:
    reply = await ask(gate, await gate.key(), {**IMAGE, "stream": True})
    assert reply.text.startswith(": heartbeat")
    first, whole, last = streamed(reply.text)
    assert first["event"] == "model_selected" and first["modality"] == "image" and last == "[DONE]"
    assert base64.b64decode(whole["output"]["images"][0]).startswith(b"\x89PNG")


async def test_what_an_engine_refuses_is_told_in_the_stream_or_as_an_answer(gate: RunningGate, painter: FakeA1111) -> None:
    key = await gate.key()
    painter.fault = "unauthorised"
    asked = {**IMAGE, "model": "painter"}
    reply = await ask(gate, key, asked)
    assert reply.status_code == 502 and reply.json()["detail"]["code"] == "upstream_auth"
    told = streamed((await ask(gate, key, {**asked, "stream": True})).text)
    assert told[-2]["error"]["code"] == "upstream_auth" and told[-1] == "[DONE]"


async def test_a_model_makes_what_it_makes(gate: RunningGate) -> None:
    told = (await ask(gate, await gate.key(), {**IMAGE, "modality": "text"})).json()
    assert told["modality"] == "image" and told["output"]["images"]


async def test_the_same_key_is_the_same_answer(gate: RunningGate) -> None:
    key = await gate.key()
    for body in (TEXT, IMAGE):
        headers = {"idempotency-key": f"once-{body['modality']}"}
        one, two = [(await ask(gate, key, body, **headers)).json() for _ in range(2)]
        assert one == two
    assert sum(row["calls"] for row in await gate.usage(key)) == 2


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "modality"),
    ({"modality": "video", "input": {"prompt": "x"}}, 400, "modality"),
    ({"modality": "text"}, 400, "input"),
    ({"modality": "text", "input": {}}, 400, "input.prompt"),
    ({"modality": "text", "input": {"prompt": 1}}, 400, "input.prompt"),
    ({**TEXT, "parameters": {"temperature": 3}}, 400, "temperature"),
    ({**TEXT, "parameters": {"max_tokens": 0}}, 400, "max_tokens"),
    ({**TEXT, "parameters": {"format": "xml"}}, 400, "format"),
    ({**TEXT, "input": {"prompt": "x", "images": ["%"]}}, 400, "base64"),
    ({**TEXT, "input": {"prompt": "x", "images": ["aGVsbG8="]}}, 400, "input.images"),
    ({**TEXT, "input": {"prompt": "x", "mesh": "aGVsbG8="}}, 400, "not of a mesh"),
    ({**TEXT, "selection_mode": "free_only"}, 400, "model"),
    ({**TEXT, "selection_mode": "cheap"}, 400, "selection_mode"),
    ({**TEXT, "session_id": "s-1"}, 404, "session"),
    ({**TEXT, "model": "nobody:x"}, 404, "nobody:x"),
    ({**TEXT, "provider": "nobody"}, 400, "nobody"),
    ({**IMAGE, "model": "nobody/x"}, 404, "nobody/x"),
    ({**IMAGE, "parameters": {"width": 0}}, 400, "width"),
    ({**IMAGE, "parameters": {"scheduler": "euler"}}, 400, "scheduler"),
    ({**CHAIR, "input": {"prompt": "x", "mesh": "aGVsbG8="}}, 400, "input.mesh"),
]


async def test_what_cannot_be_made_is_said(gate: RunningGate) -> None:
    key = await gate.key()
    for body, status, word in REFUSED:
        reply = await ask(gate, key, body)
        assert reply.status_code == status, (body, reply.text)
        assert set(reply.json()) == {"detail"} and set(reply.json()["detail"]) == {"code", "message"}
        assert word in reply.json()["detail"]["message"], (body, reply.text)


async def test_scopes_limits_and_keys_hold(gate: RunningGate) -> None:
    chats, paints = await gate.key(scopes=["chat"]), await gate.key(scopes=["image"])
    for key, body in ((chats, IMAGE), (chats, CHAIR), (paints, TEXT)):
        refused = await ask(gate, key, body)
        assert refused.status_code == 403 and refused.json()["detail"]["code"] == "scope_denied"
    few = await gate.key(rpm=1)
    assert (await ask(gate, few, IMAGE)).status_code == 200
    limited = await ask(gate, few, TEXT)
    assert limited.status_code == 429 and limited.json()["detail"]["code"] == "rate_limit_exceeded"
    unknown = await ask(gate, "ag-nobody", TEXT)
    assert unknown.status_code == 401 and set(unknown.json()["detail"]) == {"code", "message"}
    assert (await gate.http.get("/v1/generate")).status_code == 405


async def test_a_policy_of_parameters_holds_for_texts(gate: RunningGate, upstream: FakeUpstream) -> None:
    policy = {"parameter_defaults": {"temperature": 0.25}, "max_output_tokens": 50}
    made = await gate.http.post("/admin/keys", json={"name": "shaped", "policy": policy})
    assert made.status_code == 201, made.text
    assert (await ask(gate, made.json()["key"], TEXT)).status_code == 200
    sent = json.loads(upstream.requests[-1].body)
    assert sent["temperature"] == 0.25 and sent["max_tokens"] == 50


async def test_who_leaves_has_the_picture_stopped(gate: RunningGate, painter: FakeA1111) -> None:
    key = await gate.key()
    painter.hold()
    headers = {"authorization": f"Bearer {key}"}
    async with gate.http.stream(
        "POST", "/v1/generate", json={**IMAGE, "model": "painter", "stream": True}, headers=headers
    ) as reply:
        job = reply.headers["x-aldgate-job"]
        await painter.until_working()
    ended = (await gate.http.get(f"/v1/jobs/{job}", params={"wait": 30})).json()
    assert ended["state"] == "cancelled"
    painter.release()
