import pytest

from aldgate.core.errors import UpstreamBroken, UpstreamInvalid
from aldgate.engines.sounds import finished_wav, joined_wav, mime_of, wav_seconds
from aldgate.testing.engines.noises import OTHERS, streamed_wav, wav


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (wav()[:12], "audio/wav"),
        (OTHERS["mp3"][:12], "audio/mpeg"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"),
        (OTHERS["aac"][:12], "audio/aac"),
        (OTHERS["flac"][:12], "audio/flac"),
        (OTHERS["opus"][:12], "audio/ogg"),
        (b"\x00\x00\x00\x20ftypM4A ", "audio/mp4"),
        (b"\x1aE\xdf\xa3....", "audio/webm"),
        (b'{"error": "x"', None),
        (b"", None),
    ],
)
def test_first_bytes_tell_what_it_is(head: bytes, mime: str | None) -> None:
    assert mime_of(head) == mime


def test_a_length_that_was_not_known_is_filled_in() -> None:
    assert finished_wav("mine", streamed_wav()) == wav()
    assert finished_wav("mine", wav()) == wav()


def test_a_file_that_ends_too_early_is_broken() -> None:
    with pytest.raises(UpstreamBroken):
        finished_wav("mine", wav()[:-10])
    with pytest.raises(UpstreamInvalid):
        finished_wav("mine", wav()[:20])


def test_files_are_joined_if_they_are_alike() -> None:
    assert wav_seconds(joined_wav("mine", [wav(0.1), wav(0.2)])) == pytest.approx(0.3)
    with pytest.raises(UpstreamInvalid):
        joined_wav("mine", [wav(), b"RIFF....WAVE"])
    assert wav_seconds(b"nothing") is None
