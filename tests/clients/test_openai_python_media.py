"""What openai-python gets when it asks for pictures and speech."""

import base64
from typing import Any

import openai
import pytest

from tests.clients.openai_python import Sdk

pytestmark = pytest.mark.anyio
SVG = "builtin/svg"


async def test_a_picture(sdk: Sdk) -> None:
    given = await sdk.call(
        lambda client: client.images.generate(
            model="builtin/svg", prompt="a fox", size="256x256", response_format="b64_json", n=2
        )
    )
    assert isinstance(given, openai.types.ImagesResponse) and len(given.data) == 2
    assert base64.b64decode(given.data[0].b64_json).startswith(b"\x89PNG")
    linked = await sdk.call(lambda client: client.images.generate(model="builtin/svg", prompt="a fox", size="256x256"))
    assert "/v1/artifacts/art-" in linked.data[0].url and linked.data[0].b64_json is None


async def test_speech(sdk: Sdk) -> None:
    said: dict[str, Any] = {"model": "builtin/espeak", "voice": "alloy", "input": "hello there"}
    wav = await sdk.call(lambda client: client.audio.speech.create(**said, response_format="wav"))
    assert wav.content.startswith(b"RIFF") and wav.response.headers["content-type"] == "audio/wav"
    mp3 = await sdk.call(lambda client: client.audio.speech.create(**said))
    assert mp3.response.headers["content-type"] == "audio/mpeg" and len(mp3.content) > 1_000


async def test_what_cannot_be_made(sdk: Sdk) -> None:
    with pytest.raises(openai.NotFoundError, match="nobody/x"):
        await sdk.call(lambda client: client.images.generate(model="nobody/x", prompt="a fox"))
    with pytest.raises(openai.BadRequestError, match="size"):
        await sdk.call(lambda client: client.images.generate(model="builtin/svg", prompt="a fox", size="huge"))
