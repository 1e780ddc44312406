"""Films in OpenAI's shape, from what is built in, over a running gate."""

import base64
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import httpx2
import pytest
from PIL import Image

from tests.support import RunningGate, anonymous, running_gate

pytestmark = pytest.mark.anyio
PATH = "/v1/videos"
FILM = {"prompt": "a fox", "model": "builtin/clip", "size": "64x48", "seconds": "1"}
FIELDS = {
    *("id", "object", "model", "status", "progress", "created_at", "completed_at", "expires_at"),
    *("prompt", "size", "seconds", "remixed_from_video_id", "error"),
}


def picture(kind: str = "PNG") -> bytes:
    written = BytesIO()
    Image.new("RGB", (32, 24), "red").save(written, kind)
    return written.getvalue()


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[RunningGate]:
    async with running_gate(tmp_path) as gate:
        yield gate


async def ended(gate: RunningGate, video_id: str) -> dict[str, Any]:
    await gate.http.get(f"/v1/jobs/{video_id.replace('video_', 'job-')}", params={"wait": 30})
    return (await gate.http.get(f"{PATH}/{video_id}")).json()


async def made(gate: RunningGate, **wanted: Any) -> dict[str, Any]:
    reply = await gate.http.post(PATH, json={**FILM, **wanted})
    assert reply.status_code == 200, reply.text
    return await ended(gate, reply.json()["id"])


async def test_a_film_is_made_shown_read_and_deleted(gate: RunningGate) -> None:
    reply = await gate.http.post(PATH, json=FILM)
    begun = reply.json()
    assert reply.status_code == 200 and set(begun) == FIELDS
    assert (begun["object"], begun["model"], begun["size"], begun["seconds"]) == ("video", "builtin/clip", "64x48", "1")
    assert begun["status"] in ("queued", "in_progress") and begun["prompt"] == "a fox" and begun["completed_at"] is None
    done = await ended(gate, begun["id"])
    assert (done["status"], done["progress"], done["error"]) == ("completed", 100, None)
    assert done["completed_at"] >= done["created_at"] and done["id"].startswith("video_")
    film = await gate.http.get(f"{PATH}/{done['id']}/content")
    assert film.headers["content-type"] == "video/mp4"
    with av.open(BytesIO(film.content)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (64, 48)
    part = await gate.http.get(f"{PATH}/{done['id']}/content", headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, film.content[4:8])
    beyond = await gate.http.get(f"{PATH}/{done['id']}/content", headers={"range": "bytes=9999999-"})
    assert beyond.status_code == 416
    assert [each["id"] for each in (await gate.http.get(PATH)).json()["data"]] == [done["id"]]
    deleted = await gate.http.delete(f"{PATH}/{done['id']}")
    assert deleted.json() == {"id": done["id"], "object": "video.deleted", "deleted": True}
    for look in (f"{PATH}/{done['id']}", f"{PATH}/{done['id']}/content", f"/v1/jobs/job-{done['id'][6:]}"):
        assert (await gate.http.get(look)).status_code == 404
    assert (await gate.http.get("/v1/artifacts")).json()["data"] == []
    assert (await gate.http.get(PATH)).json()["data"] == []


async def test_stills_of_a_film(gate: RunningGate) -> None:
    done = await made(gate)
    for variant, kind, size in (("thumbnail", "WEBP", (64, 48)), ("spritesheet", "JPEG", (256, 144))):
        reply = await gate.http.get(f"{PATH}/{done['id']}/content", params={"variant": variant})
        assert reply.status_code == 200, reply.text
        with Image.open(BytesIO(reply.content)) as still:
            assert (still.format, still.size) == (kind, size)
    wrong = await gate.http.get(f"{PATH}/{done['id']}/content", params={"variant": "gif"})
    assert wrong.status_code == 400 and wrong.json()["error"]["param"] == "variant"


async def test_a_form_with_a_picture_is_the_same_as_json_with_one(gate: RunningGate) -> None:
    form = await gate.http.post(PATH, data=FILM, files={"input_reference": ("red.png", picture(), "image/png")})
    assert form.status_code == 200, form.text
    url = "data:image/png;base64," + base64.b64encode(picture()).decode()
    json = await gate.http.post(PATH, json={**FILM, "input_reference": {"image_url": url}})
    fields = await gate.http.post(
        PATH, files={name: (None, value) for name, value in {**FILM, "input_reference[image_url]": url}.items()}
    )
    films = [
        (await gate.http.get(f"{PATH}/{(await ended(gate, reply.json()['id']))['id']}/content")).content
        for reply in (form, json, fields)
    ]
    assert films[0] == films[1] == films[2]


async def test_a_remix_is_the_same_with_another_prompt(gate: RunningGate) -> None:
    first = await made(gate)
    reply = await gate.http.post(f"{PATH}/{first['id']}/remix", json={"prompt": "a hen"})
    assert reply.status_code == 200, reply.text
    remix = await ended(gate, reply.json()["id"])
    assert (remix["status"], remix["prompt"], remix["remixed_from_video_id"]) == ("completed", "a hen", first["id"])
    assert (remix["size"], remix["seconds"], remix["model"]) == (first["size"], first["seconds"], first["model"])


async def test_lists_go_both_ways_in_pages(gate: RunningGate) -> None:
    ids = [(await gate.http.post(PATH, json=FILM)).json()["id"] for _ in range(3)]
    newest = (await gate.http.get(PATH, params={"limit": 2})).json()
    assert [each["id"] for each in newest["data"]] == ids[:0:-1] and newest["has_more"] and newest["last_id"] == ids[1]
    rest = (await gate.http.get(PATH, params={"after": ids[1]})).json()
    assert [each["id"] for each in rest["data"]] == ids[:1] and not rest["has_more"]
    oldest = (await gate.http.get(PATH, params={"order": "asc", "after": ids[0], "limit": 1})).json()
    assert [each["id"] for each in oldest["data"]] == [ids[1]]
    for query in ({"order": "up"}, {"limit": "0"}, {"limit": "x"}):
        assert (await gate.http.get(PATH, params=query)).status_code == 400
    assert (await gate.http.get(PATH, params={"after": "video_nothing"})).status_code == 404


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"size": "wide"}, "size"),
        ({"seconds": "long"}, "seconds"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": "nan"}, "seconds"),
        ({"input_reference": {"image_url": "https://example.com/a.png"}}, "input_reference"),
        ({"input_reference": {"image_url": "data:image/png;base64,!"}}, "input_reference"),
        ({"input_reference": {"image_url": "data:image/png;base64,aGVsbG8="}}, "input_reference"),
    ],
)
async def test_each_field_is_checked(gate: RunningGate, wanted: dict[str, Any], param: str) -> None:
    reply = await gate.http.post(PATH, json={**FILM, **wanted})
    assert reply.status_code == 400 and reply.json()["error"]["param"] == param, reply.text
    assert (await gate.http.get(PATH)).json()["data"] == []


@pytest.mark.parametrize("data", [b"", b"no picture", b"<svg></svg>"])
async def test_a_file_that_is_no_picture(gate: RunningGate, data: bytes) -> None:
    reply = await gate.http.post(PATH, data=FILM, files={"input_reference": ("a.png", data)})
    assert reply.status_code == 400 and reply.json()["error"]["param"] == "input_reference"


async def test_forms_that_are_none(gate: RunningGate) -> None:
    broken = await gate.http.post(PATH, content=b"--x\r\n", headers={"content-type": "multipart/form-data; boundary=x"})
    unknown = await gate.http.post(PATH, files={**{name: (None, value) for name, value in FILM.items()}, "sound": (None, "1")})
    assert broken.status_code == unknown.status_code == 400 and unknown.json()["error"]["param"] == "sound"
    huge = await gate.http.post(PATH, data=FILM, files={"input_reference": ("a.png", bytes(21 * 1024 * 1024))})
    assert huge.status_code == 413
    assert (await gate.http.post(PATH, json={**FILM, "model": "nobody/x"})).status_code == 404


async def test_what_fails_says_why(gate: RunningGate) -> None:
    failed = await made(gate, size="63x48")
    assert failed["status"] == "failed" and failed["error"]["code"] == "invalid_request" and "width" in failed["error"]["message"]
    gone = await gate.http.get(f"{PATH}/{failed['id']}/content")
    assert gone.status_code == 404
    again = await gate.http.post(f"{PATH}/{failed['id']}/remix", json={"prompt": "a hen"})
    assert again.status_code == 409
    assert (await gate.http.delete(f"{PATH}/{failed['id']}")).json()["deleted"]


async def test_one_under_way_is_stopped_and_deleted(tmp_path: Path) -> None:
    async with running_gate(tmp_path, config="[engines.builtin]\npace_ms = 20\n") as gate:
        begun = (await gate.http.post(PATH, json={**FILM, "seconds": "60"})).json()
        early = await gate.http.get(f"{PATH}/{begun['id']}/content")
        assert early.status_code == 409
        assert (await gate.http.delete(f"{PATH}/{begun['id']}")).json()["deleted"]
        assert (await gate.http.get(f"{PATH}/{begun['id']}")).status_code == 404


async def test_films_are_their_owners(gate: RunningGate) -> None:
    mine, others, chats = await gate.key("mine"), await gate.key("others"), await gate.key("chats", scopes=["chat"])
    async with anonymous(gate, {"authorization": f"Bearer {mine}"}) as http:
        film = (await http.post(PATH, json=FILM)).json()["id"]

    async def tried(key: str) -> list[httpx2.Response]:
        async with anonymous(gate, {"authorization": f"Bearer {key}"}) as http:
            one = f"{PATH}/{film}"
            remixed = await http.post(f"{one}/remix", json={"prompt": "x"})
            return [remixed, await http.get(one), await http.get(f"{one}/content"), await http.delete(one)]

    assert {reply.status_code for reply in await tried(others)} == {404}
    assert {reply.status_code for reply in await tried(chats)} == {403}
    async with anonymous(gate, {"authorization": f"Bearer {others}"}) as http:
        assert (await http.get(PATH)).json()["data"] == []
