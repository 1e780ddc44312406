"""`builtin/espeak`: speech by eSpeak NG in a process of its own, passed on while it speaks where the format allows."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from aldgate.core.errors import InvalidRequest, UpstreamBroken, UpstreamTimeout
from aldgate.core.generation import Generated, Generation, Progress
from aldgate.engines.builtin.media.bounds import check_options, inputs_of, number, one_of, whole
from aldgate.engines.builtin.media.sound import PCM_RATE, SOUNDS, SoundFile
from aldgate.engines.builtin.media.steps import Made, MediaModel, Step
from aldgate.engines.builtin.media.studio import bare_environment, isolated
from aldgate.engines.threads import in_thread

SPEAKER = Path(__file__).with_name("speaker.py")
PIECE = 65_536
MOST_TEXT = 20_000
USUAL_WORDS_PER_MINUTE, LEAST_WORDS_PER_MINUTE, MOST_WORDS_PER_MINUTE = 175, 80, 450
"""What eSpeak NG speaks usually, at the slowest and at the fastest; a `speed` beyond is as near as it can."""
SILENCE_S = 30.0
"""A speaker that says nothing for so long hangs."""
USUAL_VOICE = "en-us"
NAMED: Mapping[str, str] = MappingProxyType(
    {
        "alloy": "en-us+f2",
        "ash": "en-us+m1",
        "ballad": "en-gb+m2",
        "coral": "en-us+f3",
        "echo": "en-us+m3",
        "fable": "en-gb+f1",
        "nova": "en-us+f4",
        "onyx": "en-us+m7",
        "sage": "en-gb+f5",
        "shimmer": "en-us+f5",
        "verse": "en-us+m5",
    }
)
"""The names that OpenAI's clients ask for, each another voice (https://platform.openai.com/docs/guides/text-to-speech)."""


class Voice(msgspec.Struct, frozen=True):
    """A voice: `language` is what to ask for, `name` what people call it."""

    language: str
    name: str


class Speech:
    """The model.

    Args:
        environment: The process environment.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = bare_environment(environment)
        self._voices: tuple[Voice, ...] = ()
        self.model = MediaModel("espeak", frozenset({"speech"}), ("av", "espeakng_loader"), self.begin)

    async def voices(self) -> tuple[Voice, ...]:
        """Every voice there is.

        Raises:
            UpstreamError: eSpeak NG does not run.
        """
        if not self._voices:
            async with self._speaker({"list": True}) as process:
                assert process.stdout is not None
                listed = await _in_time(process.stdout.read())
            try:
                self._voices = msgspec.json.decode(listed, type=tuple[Voice, ...])
            except msgspec.DecodeError:
                raise UpstreamBroken("eSpeak NG does not run here.") from None
        return self._voices

    def begin(self, asked: Generation) -> AsyncGenerator[Step]:
        """See `MediaModel`."""
        check_options(asked)
        inputs_of(asked)
        whole(asked.count, "count", 1, 1, 1)
        if not asked.prompt.strip():
            raise InvalidRequest("There is nothing to say.", param="prompt")
        if len(asked.prompt) > MOST_TEXT:
            raise InvalidRequest(f"At most {MOST_TEXT} characters are said at once.", param="prompt")
        speed = number(asked.speed, "speed", 1.0, 0.25, 4.0)
        format = one_of(asked.format, "format", SOUNDS)
        pace = max(LEAST_WORDS_PER_MINUTE, min(round(USUAL_WORDS_PER_MINUTE * speed), MOST_WORDS_PER_MINUTE))
        return self._say(asked, format, pace)

    async def _say(self, asked: Generation, format: str, pace: int) -> AsyncGenerator[Step]:
        voice = await self._chosen(asked)
        words = {"text": asked.prompt.replace("\0", " "), "voice": voice, "words_per_minute": pace}
        async with self._speaker(words) as process:
            assert process.stdout is not None
            head = await _in_time(process.stdout.readline())
            if not head.strip().isdigit():
                raise UpstreamBroken("eSpeak NG did not begin to speak.")
            file = SoundFile(format, int(head))
            facts: dict[str, Any] = {"sample_rate": PCM_RATE if format == "pcm" else int(head), "voice": voice}
            yield Progress(0.0)
            try:
                pieces = _spoken(process, file)
                data = pieces if file.kind.is_streamed else b"".join([piece async for piece in pieces])
                yield Made(data, file.kind.mime, f"speech.{format}", facts)
            finally:
                file.close()
        yield Progress(1.0)
        yield Generated(duration_s=file.samples / int(head), details={"voice": voice})

    async def _chosen(self, asked: Generation) -> str:
        wanted = (asked.voice or asked.language or USUAL_VOICE).lower()
        wanted = NAMED.get(wanted, wanted)
        language = wanted.partition("+")[0]
        if language not in {voice.language.lower() for voice in await self.voices()}:
            param = "voice" if asked.voice else "language"
            raise InvalidRequest(
                f"There is no voice `{wanted[:100]}`; voices are called by language, as in `en-gb` or `de`.", param=param
            )
        return wanted

    @asynccontextmanager
    async def _speaker(self, asked: Mapping[str, object]) -> AsyncGenerator[Process]:
        """The program, told what to do; it has ended when this has."""
        command = isolated(SPEAKER)
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=self._environment)
        try:
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(asked) + b"\n")
            process.stdin.close()
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _spoken(process: Process, file: SoundFile) -> AsyncIterator[bytes]:
    """The file, as far as it is final, while it is spoken."""
    assert process.stdout is not None
    odd = b""
    while piece := await _in_time(process.stdout.read(PIECE)):
        piece = odd + piece
        odd = piece[len(piece) & ~1 :]
        if done := await in_thread(None, file.feed, piece[: len(piece) & ~1]):
            yield done
    if await process.wait() != 0:
        raise UpstreamBroken("eSpeak NG broke off.")
    if rest := await in_thread(None, file.end):
        yield rest


async def _in_time(reading: Any) -> bytes:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await reading
    except TimeoutError:
        raise UpstreamTimeout("eSpeak NG was silent for too long.") from None
