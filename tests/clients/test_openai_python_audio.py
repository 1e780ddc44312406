"""What openai-python gets when it speaks, has recordings written down and films made, by OpenAI's own names of models."""

import base64
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import audio

from aldgate.testing.engines.noises import wav
from aldgate.testing.engines.openai_transcription import TEXT
from tests.clients.engines import house_of_engines
from tests.clients.openai_python import Sdk
from tests.support import RunningGate

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning"),
]
BEGINNINGS = {"mp3": (b"ID3", b"\xff"), "opus": (b"OggS",), "aac": (b"\xff",), "flac": (b"fLaC",), "wav": (b"RIFF",)}
FILM: dict[str, Any] = {"model": "sora-2", "prompt": "a fox", "size": "64x48", "seconds": "1"}


@pytest.fixture(scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGate]:
    async with house_of_engines(tmp_path_factory.mktemp("gate")) as running:
        yield running


def recording() -> tuple[str, BytesIO]:
    return "said.wav", BytesIO(wav(1.0))


@pytest.mark.parametrize("wanted", BEGINNINGS)
async def test_speech_in_every_format(sdk: Sdk, wanted: str, tmp_path: Path) -> None:
    said: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": "hello there", "response_format": wanted}
    sound = await sdk.call(lambda client: client.audio.speech.create(**said))
    assert sound.content.startswith(BEGINNINGS[wanted])
    file = tmp_path / "said"
    if sdk.is_async:
        async with sdk.client.audio.speech.with_streaming_response.create(**said, stream_format="audio") as streamed:
            await streamed.stream_to_file(file)
    else:

        def save(client: openai.OpenAI) -> None:
            with client.audio.speech.with_streaming_response.create(**said, stream_format="audio") as streamed:
                streamed.stream_to_file(file)

        await sdk.call(save)
    assert file.read_bytes() == sound.content


async def test_transcriptions_in_every_format(sdk: Sdk) -> None:
    async def heard(**wanted: Any) -> Any:
        return await sdk.call(lambda client: client.audio.transcriptions.create(model="whisper-1", file=recording(), **wanted))

    plain = await heard(language="en", prompt="names", temperature=0.2)
    assert isinstance(plain, audio.Transcription) and plain.text == TEXT
    assert plain.usage is not None and plain.usage.type == "duration" and plain.usage.seconds == 3.25
    assert await heard(response_format="text") == f"{TEXT}\n"
    assert (await heard(response_format="srt")).startswith("1\n00:00:00,000 --> 00:00:01,500\nHello there.\n")
    assert (await heard(response_format="vtt")).startswith("WEBVTT\n\n00:00:00.000 --> ")
    verbose = await heard(response_format="verbose_json", timestamp_granularities=["segment", "word"])
    assert isinstance(verbose, audio.TranscriptionVerbose) and verbose.segments is not None
    assert [(each.start, each.end) for each in verbose.segments] == [(0.0, 1.5), (1.5, 3.25)]


async def test_a_transcription_as_it_is_heard(sdk: Sdk) -> None:
    events = await sdk.stream(lambda client: client.audio.transcriptions.create(model="whisper-1", file=recording(), stream=True))
    assert all(isinstance(each, audio.TranscriptionTextDeltaEvent) for each in events[:-1])
    assert "".join(each.delta for each in events[:-1]) == TEXT
    assert isinstance(events[-1], audio.TranscriptionTextDoneEvent) and events[-1].text == TEXT


async def test_translations(sdk: Sdk) -> None:
    plain = await sdk.call(lambda client: client.audio.translations.create(model="whisper-1", file=recording()))
    assert isinstance(plain, audio.Translation) and plain.text == TEXT
    verbose = await sdk.call(
        lambda client: client.audio.translations.create(model="whisper-1", file=recording(), response_format="verbose_json")
    )
    assert isinstance(verbose, audio.TranslationVerbose) and verbose.duration == 3.25


async def test_what_cannot_be_heard(sdk: Sdk) -> None:
    with pytest.raises(openai.BadRequestError, match="no recording") as refused:
        await sdk.call(lambda client: client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"a text")))
    assert refused.value.param == "file"
    with pytest.raises(openai.NotFoundError):
        await sdk.call(lambda client: client.audio.transcriptions.create(model="nobody/x", file=recording()))


async def test_a_film_from_its_making_to_its_end(sdk: Sdk) -> None:
    film = await sdk.call(lambda client: client.videos.create_and_poll(**FILM, poll_interval_ms=100))
    assert isinstance(film, openai.types.Video) and (film.status, film.progress) == ("completed", 100)
    assert (film.size, film.seconds, film.model, film.error) == ("64x48", "1", "sora-2", None)
    content = await sdk.call(lambda client: client.videos.download_content(film.id))
    assert content.content[4:8] == b"ftyp"
    still = await sdk.call(lambda client: client.videos.download_content(film.id, variant="thumbnail"))
    assert still.content.startswith(b"RIFF")
    remix = await sdk.call(lambda client: client.videos.remix(film.id, prompt="a hen"))
    assert remix.remixed_from_video_id == film.id
    await sdk.call(lambda client: client.videos.poll(remix.id, poll_interval_ms=100))
    listed = await sdk.call(lambda client: client.videos.list(limit=1))
    assert listed.data[0].id == remix.id and listed.has_more
    for each in (film, remix):
        gone = await sdk.call(lambda client, each=each: client.videos.delete(each.id))
        assert (gone.id, gone.deleted) == (each.id, True)
    with pytest.raises(openai.NotFoundError):
        await sdk.call(lambda client: client.videos.retrieve(film.id))


async def test_a_film_with_a_picture_to_begin_with(sdk: Sdk) -> None:
    drawn = await sdk.call(
        lambda client: client.images.generate(model="builtin/svg", prompt="a fox", size="64x48", response_format="b64_json")
    )
    picture = "fox.png", base64.b64decode(drawn.data[0].b64_json)
    film = await sdk.call(lambda client: client.videos.create_and_poll(**FILM, input_reference=picture, poll_interval_ms=100))
    assert film.status == "completed"
    failed = await sdk.call(lambda client: client.videos.create_and_poll(**{**FILM, "size": "63x48"}, poll_interval_ms=100))
    assert failed.status == "failed" and failed.error.code == "invalid_request"
