"""What openai-python gets when it asks for pictures and speech."""

import base64
from pathlib import Path
from typing import Any

import openai
import pytest

from aldgate.testing.engines.pictures import png
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


async def test_events_of_a_picture_in_the_making(sdk: Sdk) -> None:
    events = await sdk.stream(
        lambda client: client.images.generate(
            model=SVG, prompt="a fox", size="256x256", stream=True, partial_images=2, extra_body={"steps": 20}
        )
    )
    assert [type(event).__name__ for event in events[-1:]] == ["ImageGenCompletedEvent"]
    assert all(isinstance(event, openai.types.ImageGenPartialImageEvent) for event in events[:-1]) and len(events) <= 3
    assert base64.b64decode(events[-1].b64_json).startswith(b"\x89PNG") and events[-1].usage.total_tokens == 0
    assert (events[-1].size, events[-1].output_format, events[-1].quality) == ("256x256", "png", "auto")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_pictures_of_pictures(sdk: Sdk, tmp_path: Path) -> None:
    picture, mask = png(64, 48), png(64, 48, shade=255)
    (tmp_path / "fox.png").write_bytes(picture)
    asked: dict[str, Any] = {"model": SVG, "prompt": "a fox", "response_format": "b64_json"}
    named = await sdk.call(lambda client: client.images.edit(image=("fox.png", picture), mask=("mask.png", mask), **asked))
    opened = await sdk.call(lambda client: client.images.edit(image=tmp_path / "fox.png", n=2, output_format="webp", **asked))
    several = await sdk.call(lambda client: client.images.edit(image=[("one.png", picture)], **asked))
    assert [len(each.data) for each in (named, opened, several)] == [1, 2, 1]
    assert base64.b64decode(opened.data[1].b64_json)[8:12] == b"WEBP" and opened.output_format == "webp"
    varied = await sdk.call(lambda client: client.images.create_variation(image=picture, model=SVG, n=2, size="256x256"))
    assert len(varied.data) == 2 and varied.size == "256x256"
    events = await sdk.stream(lambda client: client.images.edit(model=SVG, prompt="a fox", image=picture, stream=True))
    assert isinstance(events[-1], openai.types.ImageEditCompletedEvent)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_what_is_wrong_with_pictures(sdk: Sdk) -> None:
    picture = png(64, 48)
    with pytest.raises(openai.BadRequestError, match="32x48") as refused:
        await sdk.call(lambda client: client.images.edit(model=SVG, prompt="x", image=picture, mask=png(32, 48)))
    assert refused.value.param == "mask"
    with pytest.raises(openai.BadRequestError, match="nothing that is known"):
        await sdk.call(lambda client: client.images.create_variation(model=SVG, image=b"hello"))
    with pytest.raises(openai.APIError, match="width") as failed:
        await sdk.stream(lambda client: client.images.generate(model=SVG, prompt="x", size="8x8", stream=True))
    assert failed.value.body["code"] == "invalid_request"


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
