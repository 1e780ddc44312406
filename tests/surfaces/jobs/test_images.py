"""`/v1/images` over a running gate: forms and JSON, events, what is refused, and what happens when something goes wrong."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio
SLOW = "[engines.builtin]\npace_ms = 120\n"
Files = list[tuple[str, tuple[str, bytes, str]]]


def png(width: int = 64, height: int = 48, colour: str | tuple[int, ...] = "teal", mode: str = "RGB", kind: str = "PNG") -> bytes:
    written = BytesIO()
    Image.new(mode, (width, height), colour).save(written, kind)
    return written.getvalue()


def mask(width: int = 64, height: int = 48) -> bytes:
    """Transparent on its left half."""
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, width // 2, height))
    written = BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


def image(data: bytes, field: str = "image", name: str = "a.png") -> tuple[str, tuple[str, bytes, str]]:
    return field, (name, data, "application/octet-stream")


def opened(reply: httpx2.Response, place: int = 0) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(reply.json()["data"][place]["b64_json"])))


class Caller:
    """A key that asks for pictures."""

    def __init__(self, gate: RunningGate, key: str) -> None:
        self.gate = gate
        self.headers = {"authorization": f"Bearer {key}"}

    async def form(self, path: str, files: Files, headers: dict[str, str] | None = None, **fields: str) -> httpx2.Response:
        sent = {**self.headers, **(headers or {})}
        return await self.gate.http.post(f"/v1/images/{path}", data=fields, files=files, headers=sent)

    async def ask(self, path: str, headers: dict[str, str] | None = None, **body: Any) -> httpx2.Response:
        sent = {**self.headers, **(headers or {})}
        return await self.gate.http.post(f"/v1/images/{path}", json=body, headers=sent)

    async def jobs(self) -> list[dict[str, Any]]:
        return (await self.gate.http.get("/v1/jobs", headers=self.headers)).json()["data"]


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[RunningGate]:
    async with running_gate(tmp_path) as gate:
        yield gate


@pytest.fixture
async def caller(gate: RunningGate) -> Caller:
    return Caller(gate, await gate.key())


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[Caller]:
    async with running_gate(tmp_path, config=SLOW) as gate:
        yield Caller(gate, await gate.key())


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def test_an_edit_changes_the_picture_where_the_mask_is_transparent(caller: Caller) -> None:
    files = [image(png()), image(mask(), "mask")]
    reply = await caller.form("edits", files, prompt="a fox", response_format="b64_json", strength="1")
    assert reply.status_code == 200, reply.text
    made = opened(reply).convert("RGB")
    assert made.size == (64, 48)
    kept, changed = made.crop((40, 0, 64, 48)).getcolors(), made.crop((0, 0, 24, 48)).getcolors(10_000)
    assert kept == [(24 * 48, (0, 128, 128))] and changed is not None and len(changed) > 1
    told = reply.json()
    assert told["size"] == "64x48" and told["output_format"] == "png"
    assert told["usage"]["total_tokens"] == 0 and set(told["usage"]["input_tokens_details"]) == {"image_tokens", "text_tokens"}
    assert told["_gateway"] == {"backend": "builtin", "backend_class": "builtin", "mime": "image/png"}


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("JPEG", "RGB"), ("WEBP", "RGB")])
async def test_pictures_are_known_by_their_content(caller: Caller, kind: str, mode: str) -> None:
    files = [image(png(kind=kind, mode=mode, colour=(1, 2, 3, 255)[: len(mode)]), name="what.txt")]
    reply = await caller.form(
        "edits", files, prompt="a fox", output_format="webp", response_format="b64_json", output_compression="40"
    )
    assert reply.status_code == 200 and opened(reply).format == "WEBP", reply.text
    assert reply.json()["output_format"] == "webp"


async def test_json_has_data_urls_or_files(caller: Caller) -> None:
    url = "data:image/png;base64," + base64.b64encode(png()).decode()
    form = {"purpose": "vision"}
    kept = await caller.gate.http.post("/v1/files", data=form, files=[image(png(), "file")], headers=caller.headers)
    for reference in ({"image_url": url}, {"file_id": kept.json()["id"]}):
        reply = await caller.ask("edits", prompt="a fox", images=[reference], mask={"image_url": url}, n=2)
        assert reply.status_code == 200, reply.text
        shown = await caller.gate.http.get(reply.json()["data"][1]["url"], headers={"authorization": ""})
        assert shown.content.startswith(b"\x89PNG")
    other = Caller(caller.gate, await caller.gate.key("other"))
    theirs = await other.ask("edits", prompt="a fox", images=[{"file_id": kept.json()["id"]}])
    assert theirs.status_code == 404


async def test_a_variation_needs_no_words(caller: Caller) -> None:
    reply = await caller.form("variations", [image(png())], n="2", response_format="b64_json", size="32x32", user="somebody")
    assert reply.status_code == 200, reply.text
    assert [opened(reply, place).size for place in range(2)] == [(32, 32)] * 2 and len(reply.json()["data"]) == 2
    assert reply.json()["safety_identifier"] == "somebody"


PICTURE = image(png())
BAD_FORMS: list[tuple[str, Files, dict[str, str], str | None, str]] = [
    ("edits", [], {"prompt": "x", "image": "text"}, "image", "a file"),
    ("edits", [image(png(), "mask")], {"prompt": "x"}, "image", "no picture"),
    ("edits", [image(b"")], {"prompt": "x"}, "image", "empty"),
    ("edits", [image(b"GIF89a" + bytes(40))], {"prompt": "x"}, "image", "image/gif"),
    ("edits", [image(b"<svg xmlns='http://www.w3.org/2000/svg'/>")], {"prompt": "x"}, "image", "svg"),
    ("edits", [image(png()[:60])], {"prompt": "x"}, "image", "cannot be read"),
    ("edits", [PICTURE, image(mask(32, 48), "mask")], {"prompt": "x"}, "mask", "32x48"),
    ("edits", [PICTURE, image(png(kind="JPEG"), "mask")], {"prompt": "x"}, "mask", "image/png"),
    ("edits", [PICTURE, image(mask(), "mask"), image(mask(), "mask")], {"prompt": "x"}, "mask", "two files"),
    ("edits", [image(png(), "image[]")] * 17, {"prompt": "x"}, "image[]", "more than 16"),
    ("edits", [PICTURE], {}, None, "prompt"),
    ("edits", [PICTURE], {"prompt": ""}, "prompt", "prompt"),
    ("edits", [PICTURE], {"prompt": "x", "n": "many"}, "n", "n"),
    ("edits", [PICTURE], {"prompt": "x", "n": "11"}, "n", "n"),
    ("edits", [PICTURE], {"prompt": "x", "size": "9x"}, "size", "size"),
    ("edits", [PICTURE], {"prompt": "x", "size": "9999x9999"}, "size", "pixels"),
    ("edits", [PICTURE], {"prompt": "x", "response_format": "zip"}, "response_format", "zip"),
    ("edits", [PICTURE], {"prompt": "x", "output_compression": "50"}, "output_compression", "jpeg"),
    ("edits", [PICTURE], {"prompt": "x", "background": "transparent", "output_format": "jpeg"}, "background", "png"),
    ("edits", [PICTURE], {"prompt": "x", "background": "transparent"}, "background", "option"),
    ("edits", [PICTURE], {"prompt": "x", "partial_images": "4"}, "partial_images", "3"),
    ("edits", [PICTURE], {"prompt": "x", "stream": "perhaps"}, "stream", "bool"),
    ("edits", [PICTURE], {"prompt": "x", "steps": "3", "num_inference_steps": "4"}, "steps", "disagree"),
    ("edits", [image(png(), "image[]")] * 2, {"prompt": "x", "model": "builtin/svg"}, "image", "one"),
    ("variations", [image(png(), "image[]")], {}, "image", "no picture"),
    ("variations", [PICTURE, PICTURE], {}, "image", "two files"),
]


@pytest.mark.parametrize(("path", "files", "fields", "param", "said"), BAD_FORMS)
async def test_what_is_wrong_with_a_form_is_said(
    caller: Caller, path: str, files: Files, fields: dict[str, str], param: str | None, said: str
) -> None:
    if not files:
        boundary = "x"
        body = (
            "".join(f'--x\r\ncontent-disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()) + "--x--\r\n"
        )
        headers = {**caller.headers, "content-type": f"multipart/form-data; boundary={boundary}"}
        reply = await caller.gate.http.post(f"/v1/images/{path}", content=body, headers=headers)
    else:
        reply = await caller.form(path, files, **fields)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["type"] == "invalid_request_error" and said in error["message"], error
    assert param is None or error["param"] == param, error


BAD_JSON: list[tuple[dict[str, Any], int, str]] = [
    ({"prompt": "x"}, 400, "images"),
    ({"prompt": "x", "images": []}, 400, "images"),
    ({"prompt": "x", "images": [{}]}, 400, "image_url"),
    ({"prompt": "x", "images": [{"image_url": "data:image/png;base64,AAAA", "file_id": "file-1"}]}, 400, "not both"),
    ({"prompt": "x", "images": [{"image_url": "https://example.com/a.png"}]}, 400, "not fetched"),
    ({"prompt": "x", "images": [{"image_url": "data:image/png;base64,%%%"}]}, 400, "no base64"),
    ({"prompt": "x", "images": [{"image_url": "data:image/png;base64,AAAA"}]}, 400, "nothing that is known"),
    ({"prompt": "x", "images": [{"file_id": "file-none"}]}, 404, "no file"),
]


@pytest.mark.parametrize(("body", "status", "said"), BAD_JSON)
async def test_what_is_wrong_with_json_is_said(caller: Caller, body: dict[str, Any], status: int, said: str) -> None:
    reply = await caller.ask("edits", **body)
    assert reply.status_code == status and said in reply.json()["error"]["message"], reply.text


async def test_what_is_no_form_and_what_breaks_off(caller: Caller) -> None:
    headers = {**caller.headers, "content-type": "multipart/form-data; boundary=x"}
    cut = b'--x\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + png()[:30]
    for path in ("edits", "variations"):
        for sent, status in ((cut, 400), (b"nonsense", 400)):
            reply = await caller.gate.http.post(f"/v1/images/{path}", content=sent, headers=headers)
            assert reply.status_code == status and reply.json()["error"]["type"] == "invalid_request_error", reply.text
        plain = await caller.gate.http.post(
            f"/v1/images/{path}", content=b"x", headers={**caller.headers, "content-type": "text/plain"}
        )
        assert plain.status_code == 415
        bare = {**caller.headers, "content-type": "multipart/form-data"}
        assert (await caller.gate.http.post(f"/v1/images/{path}", content=b"x", headers=bare)).status_code == 415


async def test_a_body_may_be_as_large_as_any(tmp_path: Path) -> None:
    async with running_gate(tmp_path, flags={"server.max_body_bytes": "20000"}) as gate:
        caller = Caller(gate, await gate.key())
        assert (await caller.form("edits", [PICTURE], prompt="x")).status_code == 200
        large = await caller.form("edits", [image(png() + bytes(30_000))], prompt="x")
        assert large.status_code == 413 and large.json()["error"]["code"] == "body_too_large"
        url = "data:image/png;base64," + base64.b64encode(png() + bytes(30_000)).decode()
        assert (await caller.ask("edits", prompt="x", images=[{"image_url": url}])).status_code == 413


async def test_events_show_the_work(slow: Caller) -> None:
    body = {"model": "builtin/svg", "prompt": "a fox", "size": "64x64", "steps": 30, "stream": True, "quality": "high"}
    reply = await slow.ask("generations", **body, partial_images=3)
    assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/event-stream")
    told = events(reply.text)
    assert [name for name, _ in told] == ["image_generation.partial_image"] * 3 + ["image_generation.completed"]
    for place, (name, event) in enumerate(told[:-1]):
        assert event["type"] == name and event["partial_image_index"] == place
        assert (event["size"], event["quality"], event["background"], event["output_format"]) == ("64x64", "high", "auto", "png")
        assert base64.b64decode(event["b64_json"]).startswith(b"\x89PNG")
    last = told[-1][1]
    assert set(last) == {"type", "b64_json", "background", "created_at", "output_format", "quality", "size", "usage"}
    whole = await slow.ask("generations", **{**body, "stream": False}, response_format="b64_json")
    assert whole.json()["data"][0]["b64_json"] == last["b64_json"]


async def test_events_of_an_edit_and_of_several_pictures(caller: Caller) -> None:
    reply = await caller.form("edits", [PICTURE], prompt="a fox", stream="true", n="2", partial_images="0", output_format="jpeg")
    told = events(reply.text)
    assert [name for name, _ in told] == ["image_edit.completed"] * 2 and told[0][1]["b64_json"] != told[1][1]["b64_json"]
    assert told[0][1]["output_format"] == "jpeg" and told[0][1]["size"] == "64x48"


async def test_what_fails_later_is_an_event(caller: Caller) -> None:
    reply = await caller.ask("generations", model="builtin/svg", prompt="a fox", size="8x8", stream=True)
    assert reply.status_code == 200
    ((name, event),) = events(reply.text)
    assert name == event["type"] == "error"
    assert event["error"]["type"] == "invalid_request_error" and event["error"]["param"] == "width"
    both = await caller.ask("generations", prompt="a fox", stream=True, background=True)
    assert both.status_code == 400 and both.json()["error"]["param"] == "stream"


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_who_leaves_has_the_job_cancelled(slow: Caller, is_streamed: bool) -> None:
    body = {"prompt": "a fox", "steps": 150, "stream": is_streamed, "partial_images": 3}
    head = f"POST /v1/images/generations HTTP/1.1\r\nhost: x\r\nauthorization: {slow.headers['authorization']}\r\n"
    sent = json.dumps(body).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", slow.gate.port)
    writer.write(f"{head}content-type: application/json\r\ncontent-length: {len(sent)}\r\n\r\n".encode() + sent)
    while not (jobs := await slow.jobs()) or jobs[0]["state"] != "running":
        await asyncio.sleep(0)
    writer.close()
    ended = await slow.gate.http.get(f"/v1/jobs/{jobs[0]['id']}", params={"wait": 20}, headers=slow.headers)
    assert ended.json()["state"] == "cancelled"


async def test_who_waits_is_refused_at_once_when_the_engine_is_busy_and_may_queue(slow: Caller) -> None:
    body = {"prompt": "a fox", "size": "64x64", "steps": 12}
    first = [asyncio.create_task(slow.ask("generations", **body, seed=seed)) for seed in range(4)]
    replies = await asyncio.gather(*first)
    refused = [reply for reply in replies if reply.status_code == 429]
    assert len(refused) == 2 and sum(reply.status_code == 200 for reply in replies) == 2
    assert refused[0].headers["retry-after"] == "5" and refused[0].json()["error"]["code"] == "backend_overloaded"
    later = [await slow.ask("generations", {"prefer": "respond-async"}, **body, seed=seed) for seed in range(3)]
    assert [reply.status_code for reply in later] == [202] * 3
    assert (await slow.ask("generations", **body)).status_code == 429
    for reply in later:
        ended = await slow.gate.http.get(reply.headers["location"], params={"wait": 30}, headers=slow.headers)
        assert ended.json()["state"] == "succeeded"


async def test_a_setting_has_them_queue(tmp_path: Path) -> None:
    async with running_gate(tmp_path, config=SLOW, flags={"images.when_busy": "queue"}) as gate:
        caller = Caller(gate, await gate.key())
        asked = (caller.ask("generations", prompt="a fox", size="64x64", seed=seed) for seed in range(4))
        assert [reply.status_code for reply in await asyncio.gather(*asked)] == [200] * 4


async def test_a_key_without_the_scope_is_refused_on_every_path(gate: RunningGate) -> None:
    caller = Caller(gate, await gate.key(scopes=["chat"]))
    for reply in (
        await caller.ask("generations", prompt="x"),
        await caller.form("edits", [PICTURE], prompt="x"),
        await caller.form("variations", [PICTURE]),
    ):
        assert reply.status_code == 403 and reply.json()["error"]["code"] == "scope_denied"
