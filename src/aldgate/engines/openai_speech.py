"""Speech servers that take OpenAI's `/v1/audio/speech`: Kokoro-FastAPI, openedai-speech, Chatterbox servers, LocalAI, Speaches.

Wire: https://platform.openai.com/docs/api-reference/audio/createSpeech; what Kokoro has besides:
https://github.com/remsky/Kokoro-FastAPI. They differ in lists of voices, which some lack, and in whether they heed the format:
what a file is, is told by its first bytes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec

from aldgate.core.errors import InvalidRequest, NotSupported, UpstreamBroken, UpstreamInvalid, UpstreamRejected
from aldgate.core.generation import EngineState, Generated, Generation, Progress
from aldgate.core.levels import Operation
from aldgate.engines.address import reach
from aldgate.engines.asking import given, number, one_of, prompt_of, take_only
from aldgate.engines.bounded import whole
from aldgate.engines.direct import Direct, DirectSection
from aldgate.engines.http import PIECE, EngineHttp
from aldgate.engines.listing import listed_state, model_of
from aldgate.engines.section import Surroundings, decode_section
from aldgate.engines.sounds import ENDINGS, HEAD_BYTES, MIMES, finished_wav, mime_of, wav_seconds
from aldgate.making import Run

if TYPE_CHECKING:
    from aiohttp import ClientResponse

USUAL = "http://127.0.0.1:8880"
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
LOSSLESS = ("wav", "flac")
"""What others are best made of."""
MOST_WAV_BYTES = 512 * 1024 * 1024
OPERATIONS: frozenset[Operation] = frozenset({"speech"})


class SpeechSection(DirectSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of a speech server may have."""

    voice: str = ""
    """Spoken with where a request names no voice; empty is the first of its list, or its own choice where it has none."""
    formats: tuple[str, ...] = FORMATS
    """Formats that may be asked of it; others are made of the first of `wav`, `flac` and these."""
    options: tuple[str, ...] = ("instructions", "lang_code", "volume_multiplier", "normalization_options")
    """Fields of its own that requests may have."""
    most_characters: int | None = None
    """Of one text; left out, the server says."""
    unload_path: str = ""
    """Posted to have its memory given back, where it has such a path; Kokoro's is `/dev/unload`."""


class _Voice(msgspec.Struct):
    id: str = ""
    name: str = ""


class _Voices(msgspec.Struct):
    """Releases differ: names, or objects."""

    voices: list[_Voice | str]


class OpenAISpeech(Direct):
    """An `Engine`.

    Args:
        name: As configured.
        section: Its table.
        http: Where it is.
    """

    kind = "openai-speech"
    operations = OPERATIONS

    def __init__(self, name: str, section: SpeechSection, http: EngineHttp) -> None:
        super().__init__(name, section, http)
        self._section = section

    async def state(self) -> EngineState:
        """See `Engine`."""
        return await listed_state(self._http, self._section, OPERATIONS)

    async def voices(self) -> tuple[str, ...]:
        """The names that may be asked for as `voice`; none where the server has no list of them.

        Raises:
            UpstreamError: It is away or failed.
        """
        try:
            listed = await self._http.json("GET", "/v1/audio/voices")
        except UpstreamRejected:
            return ()
        try:
            found = msgspec.convert(listed, _Voices | list[_Voice | str])
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"The engine `{self.name}` answered with what is no list of voices: {error}") from None
        each = found.voices if isinstance(found, _Voices) else found
        return tuple(voice if isinstance(voice, str) else voice.id or voice.name for voice in each)

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`."""
        wanted = self._checked(asked)
        model = await model_of(asked, self._http, self._section)
        voice = asked.voice or self._section.voice or next(iter(await self.voices()), None)
        body = given(model=model, input=asked.prompt, voice=voice, speed=asked.speed, response_format=wanted)
        await run.submitting(run.reference)
        run.progress(Progress(message="speaking"))
        async with self._working():
            sent = self._http.request("POST", "/v1/audio/speech", json={**asked.options, **body}, timeout_s=self._run_timeout_s)
            async with sent as reply:
                duration_s = await self._keep(reply, wanted, run)
        run.progress(Progress(fraction=1.0))
        return Generated(duration_s=duration_s, details=given(voice=voice))

    async def unload(self, model: str = "") -> None:
        """See `Engine`."""
        if not self._section.unload_path:
            raise NotSupported(f"The engine `{self.name}` has no `unload_path`; its process can be stopped.")
        await self._http.json("POST", self._section.unload_path)

    def _checked(self, asked: Generation) -> str | None:
        take_only(asked, ("prompt", "voice", "speed", "format"))
        prompt_of(asked, most=self._section.most_characters)
        number(asked.speed, "speed", 0.25, 4.0)
        for option in asked.options:
            if option not in self._section.options:
                raise InvalidRequest(f"The engine `{self.name}` takes no option `{option[:100]}`.", param=option[:100])
        wanted, able = one_of(asked.format, "format", FORMATS), self._section.formats
        return wanted if wanted is None or wanted in able else next((each for each in (*LOSSLESS, *able) if each in able), None)

    async def _keep(self, reply: ClientResponse, wanted: str | None, run: Run) -> float | None:
        """Save the sound, as it comes where its header allows. Its seconds, where they are known."""
        async with aclosing(_pieces(reply)) as pieces:
            head = b""
            while len(head) < HEAD_BYTES and (piece := await anext(pieces, b"")):
                head += piece
            if not head:
                raise UpstreamBroken(f"The engine `{self.name}` gave no sound at all.")
            mime = self._mime(head, reply.content_type, wanted)
            name = f"speech.{'opus' if wanted == 'opus' and mime == MIMES['opus'] else ENDINGS[mime]}"
            if mime != MIMES["wav"]:
                await run.save(_chained(head, pieces), mime=mime, name=name)
                return None
            data = finished_wav(self.name, await whole(self.name, pieces, MOST_WAV_BYTES, head=head))
        duration_s = wav_seconds(data)
        await run.save(data, mime=mime, name=name, facts=given(duration_s=duration_s))
        return duration_s

    def _mime(self, head: bytes, said: str, wanted: str | None) -> str:
        mime = mime_of(head)
        if mime is None and wanted == "pcm" and (said.startswith("audio/") or said == "application/octet-stream"):
            return MIMES["pcm"]  # samples have nothing that tells them apart
        if mime is None:
            raise UpstreamInvalid(f"The engine `{self.name}` answered with what is no sound.")
        return mime


async def _pieces(reply: ClientResponse) -> AsyncGenerator[bytes]:
    async for piece in reply.content.iter_chunked(PIECE):
        yield piece


async def _chained(head: bytes, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    yield head
    async for piece in pieces:
        yield piece


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> OpenAISpeech:
    """A speech server; see `section.Build`."""
    section = decode_section(name, table, SpeechSection)
    return OpenAISpeech(name, section, reach(name, section, surroundings, usual=USUAL))
