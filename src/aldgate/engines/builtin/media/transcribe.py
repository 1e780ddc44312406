"""`builtin/pocketsphinx`: English speech to text by PocketSphinx, where that is installed; enough to try an application with."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from io import BytesIO
from typing import Any

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generated, Generation, Progress, Segment
from aldgate.engines.builtin.media.bounds import check_options, inputs_of
from aldgate.engines.builtin.media.libraries import library
from aldgate.engines.builtin.media.steps import MediaModel, Step

RATE = 16_000
FRAMES_PER_S = 100
MOST_S = 3_600
UTTERANCE_S = 10
"""Heard at once: longer speech is cut so, that it can be watched and stopped."""


def begin(asked: Generation) -> Generator[Step]:
    """See `MediaModel`."""
    check_options(asked, "task", "temperature", "timestamp_granularities", "stream")
    if asked.options.get("task", "transcribe") != "transcribe":
        raise InvalidRequest("This builtin model does not translate.", param="model")
    given = inputs_of(asked, "audio")
    if "audio" not in given:
        raise InvalidRequest("There is nothing to transcribe: send `audio`.", param="audio")
    if (asked.language or "en").partition("-")[0].lower() != "en":
        raise InvalidRequest("This builtin model hears English only.", param="language")
    return _hear(given["audio"].data)


def _hear(data: bytes) -> Generator[Step]:
    decoder: Any = library("pocketsphinx").Decoder(samprate=RATE, loglevel="FATAL")
    segments: list[Segment] = []
    words: list[dict[str, Any]] = []
    heard_s = 0.0
    for samples in _utterances(data):
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        length_s = len(samples) / 2 / RATE
        found = [_word(each, heard_s, length_s) for each in decoder.seg() if not each.word.startswith(("<", "["))]
        if found:
            segments.append(Segment(found[0]["start"], found[-1]["end"], " ".join(each["word"] for each in found)))
            words += found
        heard_s += length_s
        yield Progress(message=f"{heard_s:.0f} s heard", text=_text(segments))
    yield Generated(text=_text(segments), segments=tuple(segments), language="en", duration_s=heard_s, details={"words": words})


def _word(heard: Any, offset_s: float, length_s: float) -> dict[str, Any]:
    """A word with its times, as OpenAI's transcriptions have them; `(2)` behind one tells how it was pronounced."""
    start, end = heard.start_frame / FRAMES_PER_S, min((heard.end_frame + 1) / FRAMES_PER_S, length_s)
    return {"word": heard.word.partition("(")[0], "start": round(offset_s + start, 3), "end": round(offset_s + end, 3)}


def _text(segments: list[Segment]) -> str:
    return " ".join(segment.text for segment in segments)


def _utterances(data: bytes) -> Iterator[bytes]:
    """The sound as 16-bit samples, one channel, cut into utterances.

    Raises:
        InvalidRequest: It is no sound, damaged, or longer than `MOST_S`.
    """
    av = library("av")
    size, count = UTTERANCE_S * RATE * 2, 0
    held = bytearray()
    try:
        with av.open(BytesIO(data), "r") as container:
            resampler = av.AudioResampler("s16", "mono", RATE)
            for frame in container.decode(audio=0):
                for turned in resampler.resample(frame):
                    held += turned.to_ndarray().tobytes()
                while len(held) >= size:
                    count += UTTERANCE_S
                    if count > MOST_S:
                        raise InvalidRequest(f"At most {MOST_S} seconds are transcribed.", param="audio")
                    yield bytes(held[:size])
                    del held[:size]
    except (av.FFmpegError, IndexError):
        raise InvalidRequest("The `audio` is no sound that can be read.", param="audio") from None
    if held:
        yield bytes(held)


MODEL = MediaModel("pocketsphinx", frozenset({"transcribe"}), ("av", "pocketsphinx"), begin)
