from collections.abc import AsyncIterator
from io import BytesIO

import av
import pytest

from aldgate.core.errors import InvalidRequest, UpstreamInvalid
from aldgate.engines.builtin.media.sound import SOUNDS
from aldgate.engines.recordings import recording_seconds, recording_type
from aldgate.engines.sound_formats import has_format, in_format
from aldgate.testing.engines.noises import OTHERS, wav

pytestmark = pytest.mark.anyio


async def turned(data: bytes, wanted: str) -> bytes:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 1_000):
            yield data[at : at + 1_000]

    return b"".join([piece async for piece in in_format(pieces(), wanted)])


@pytest.mark.parametrize("wanted", sorted(set(SOUNDS) - {"pcm"}))
async def test_a_sound_is_as_long_in_every_format(wanted: str) -> None:
    sound = await turned(wav(2.0), wanted)
    with av.open(BytesIO(sound)) as container:
        assert container.streams.audio[0].channels == 1
    assert recording_seconds(sound) == pytest.approx(2.0, abs=0.15)  # pyright: ignore[reportUnknownMemberType]
    assert recording_type(sound) == SOUNDS[wanted].mime and has_format(SOUNDS[wanted].mime, wanted)


async def test_one_format_after_another_is_the_same_sound() -> None:
    again = await turned(await turned(wav(0.5), "flac"), "wav")
    assert again == await turned(wav(0.5), "wav") and len(again) == len(wav(0.5))
    assert b"".join([piece async for piece in in_format(wav(0.5), "pcm")]) == again[44:]


@pytest.mark.parametrize("data", [b"", b"no sound", OTHERS["flac"]])
async def test_what_is_no_sound_is_the_engines_fault(data: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        await turned(data, "mp3")


@pytest.mark.parametrize("data", [b"", b"no sound", b"\x89PNG\r\n\x1a\n" + bytes(20)])
def test_what_is_no_recording_is_the_callers(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        recording_type(data)


def test_a_recording_that_cannot_be_read_is_the_callers() -> None:
    for data in (wav(1.0)[:20], OTHERS["flac"]):
        with pytest.raises(InvalidRequest):
            recording_seconds(data)
