"""Pictures as the Local AI Gateway made them: its environment names, its links, its 429, its verifier's lines."""

import asyncio
import base64
import re
import shlex
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from aldgate.testing.engines import FakeA1111, FakeOpenAIImages
from tests.cli.serving import aldgate_in
from tests.support import ADMIN_KEY, RunningGate, running_gate

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def gateway(data: Path, port_url: str, **more: Any) -> AsyncIterator[RunningGate]:
    """With the lines of its README, but for the address."""
    lines = """\
IMAGES_BACKEND=http_openai_images
IMAGES_BACKEND_CLASS=gpu_heavy
IMAGES_HTTP_BASE_URL=http://ada2:7860
# Optional: if omitted, upstream may use its own default (e.g. InvokeAI shim)
# IMAGES_OPENAI_MODEL=sd-xl-base-1.0
UI_IMAGE_DIR=/var/lib/gateway/data/ui_images
"""
    lines = lines.replace("http://ada2:7860", port_url).replace("/var/lib/gateway/data", str(data))
    environment = dict(line.split("=", 1) for line in lines.splitlines() if not line.startswith("#"))
    async with running_gate(data / "gate", environment=environment, **more) as gate:
        yield gate


async def ask(gate: RunningGate, **body: Any) -> httpx2.Response:
    return await gate.http.post("/v1/images/generations", json={"prompt": "a beautiful sunset", "size": "512x512", **body})


async def test_links_are_to_files_and_open_without_a_key(tmp_path: Path) -> None:
    async with FakeOpenAIImages() as fake, gateway(tmp_path, fake.url) as gate:
        reply = await ask(gate, n=2)
        assert reply.status_code == 200, reply.text
        assert reply.headers["x-backend-used"] == "gpu_heavy"
        assert reply.json()["_gateway"] == {"backend": "openai-images", "backend_class": "gpu_heavy", "mime": "image/png"}
        urls = [each["url"] for each in reply.json()["data"]]
        found = re.fullmatch(r"http://127\.0\.0\.1:\d+/ui/images/(\d+_[0-9a-f]{16}\.png)\?expires=\d+&signature=\S+", urls[0])
        assert found is not None, urls
        shown = await gate.http.get(urls[0], headers={"authorization": ""})
        assert shown.status_code == 200 and shown.content.startswith(b"\x89PNG")
        assert (shown.headers["content-type"], shown.headers["cache-control"]) == ("image/png", "private, max-age=60")
        assert (tmp_path / "ui_images" / found[1]).read_bytes() == shown.content
        bad = [
            urls[0].replace("signature=", "signature=x"),
            urls[0].partition("?")[0],
            re.sub(r"expires=\d+", f"expires={int(time.time()) + 90}", urls[0]),
            urls[0].replace("/ui/images/", "/ui/images/..%2F"),
            urls[0].replace(".png", ".svg"),
        ]
        for url in bad:
            assert (await gate.http.get(url)).status_code in (403, 404), url
        (tmp_path / "ui_images" / found[1]).unlink()
        gone = await gate.http.get(urls[0])
        assert gone.status_code == 404 and gone.json()["code"] == "not_found"


async def test_models_that_mean_no_engine_go_to_the_backend(tmp_path: Path) -> None:
    async with FakeOpenAIImages() as fake, gateway(tmp_path, fake.url) as gate:
        for said, sent in (("sd-xl-base-1.0", "sd-xl-base-1.0"), ("auto", None), ("gpu_heavy/sdxl-turbo", "sdxl-turbo")):
            reply = await ask(
                gate, model=said, num_inference_steps=4, cfg_scale=1.5, negative_prompt="a dog", sampler="euler", seed=3
            )
            assert reply.status_code == 200, reply.text
            body = fake.body("/v1/images/generations")
            assert body.get("model") == sent and body["num_inference_steps"] == 4 and body["guidance_scale"] == 1.5
            assert (body["negative_prompt"], body["sampler"], body["seed"]) == ("a dog", "euler", 3)


async def test_three_at_once_are_one_too_many(tmp_path: Path) -> None:
    async with FakeOpenAIImages() as fake, gateway(tmp_path, fake.url) as gate:
        fake.hold()
        asked = [asyncio.create_task(ask(gate, prompt=f"test {number}")) for number in (1, 2, 3)]
        done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = [each.result() for each in done]
        assert refused.status_code == 429 and refused.headers["retry-after"] == "5"
        assert refused.json()["error"]["code"] == "backend_overloaded" and "gpu_heavy" in refused.json()["error"]["message"]
        fake.release()
        assert [(await each).status_code for each in waiting] == [200, 200]


async def test_without_a_backend_there_are_drawings(tmp_path: Path) -> None:
    async with running_gate(tmp_path, environment={"IMAGES_BACKEND": "mock"}) as gate:
        replies = [await ask(gate, response_format="b64_json") for _ in range(2)]
        first, second = (base64.b64decode(reply.json()["data"][0]["b64_json"]) for reply in replies)
        assert first == second and b"<svg" in first[:200]
        assert replies[0].json()["_gateway"]["mime"] == "image/svg+xml"


FAULTS = [
    ("out_of_memory", 503, "upstream_overloaded"),
    ("garbage", 502, "upstream_invalid"),
    ("moderated", 400, "content_filter"),
]


@pytest.mark.parametrize(("fault", "status", "code"), FAULTS)
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_what_goes_wrong_there_is_said_here(tmp_path: Path, fault: str, status: int, code: str, is_streamed: bool) -> None:
    async with FakeOpenAIImages() as fake, gateway(tmp_path, fake.url) as gate:
        fake.fault = fault
        reply = await ask(gate, stream=is_streamed)
        if not is_streamed:
            assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
            return
        head, _, data = reply.text.partition("\ndata: ")
        assert reply.status_code == 200 and head == "event: error" and f'"code":"{code}"' in data


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_backend_that_is_away_is_said(tmp_path: Path, is_streamed: bool) -> None:
    async with gateway(tmp_path, "http://127.0.0.1:9") as gate:
        reply = await ask(gate, stream=is_streamed)
        assert "upstream_unreachable" in reply.text and "gpu_heavy" in reply.text
        assert reply.status_code == (200 if is_streamed else 502)


async def test_its_readmes_line_verifies_pictures(tmp_path: Path) -> None:
    line = (
        "python tools/verify_images.py --gateway-base-url https://127.0.0.1:8800 --token <token> "
        "--also-check-a1111 http://127.0.0.1:7860 --insecure"
    )
    authority = trustme.CA()
    async with FakeA1111() as fake, running_gate(tmp_path, authority=authority) as gate:
        line = line.replace("https://127.0.0.1:8800", gate.url).replace("http://127.0.0.1:7860", fake.url)
        words = shlex.split(line.replace("<token>", ADMIN_KEY))
        assert words[:2] == ["python", "tools/verify_images.py"]
        verified = await asyncio.to_thread(aldgate_in, tmp_path, "verify", "images", *words[2:])
        assert verified.code == 0, verified.err
        assert [said[:3] for said in verified.out.splitlines()] == ["[1/", "OK:", "[2/", "OK:"]
        strict = [word for word in words[2:] if word != "--insecure"]
        refused = await asyncio.to_thread(aldgate_in, tmp_path, "verify", "images", *strict)
        assert refused.code == 2 and "ERROR: " in refused.err and "certificate" in refused.err
        fake.fault = "api_disabled"
        off = await asyncio.to_thread(aldgate_in, tmp_path, "verify", "images", *words[2:])
        assert off.code == 2 and "404" in off.err


async def test_the_verifier_says_what_is_missing(tmp_path: Path) -> None:
    async with FakeOpenAIImages() as fake, running_gate(tmp_path) as gate:
        common = ("verify", "images", "--gateway-base-url", gate.url)
        assert (await asyncio.to_thread(aldgate_in, tmp_path, *common)).out.startswith("Skipping")
        good = (*common, "--also-check-openai-images", fake.url, "--openai-images-model", "flux")
        environment = {"GATEWAY_BEARER_TOKENS": f" , {ADMIN_KEY}"}
        assert (await asyncio.to_thread(aldgate_in, tmp_path, *good, **environment)).code == 0
        for arguments, said in (
            ((*common, "--token", "agk-nobody"), "401"),
            (good[:-2], "--openai-images-model"),
            ((*common, "--check-ui"), "/ui/api/image"),
            (("verify", "images", "--gateway-base-url", "http://127.0.0.1:9", "--token", "x"), "nobody answers"),
        ):
            found = await asyncio.to_thread(aldgate_in, tmp_path, *arguments)
            assert found.code == 2 and said in found.err, found
