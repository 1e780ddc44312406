"""`/v1/audio/speech`: words as sound, as OpenAI's clients ask for them.

Wire: https://platform.openai.com/docs/api-reference/audio/createSpeech, and for events
https://platform.openai.com/docs/api-reference/audio/speech-audio-delta-event.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Literal

import msgspec
from fastapi import Request
from starlette.responses import Response

from aldgate.artifacts.archive import Archive
from aldgate.core.artifacts import StoredArtifact
from aldgate.core.errors import GatewayError, InvalidRequest, UpstreamInvalid
from aldgate.core.generation import Generation
from aldgate.core.jobs import Job
from aldgate.core.principals import Principal
from aldgate.jobs.making import Jobs
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.http.requests import body_of
from aldgate.surfaces.jobs.jobs import JobsFace
from aldgate.surfaces.jobs.waiting import EVENTS, InPieces, about, begun, cut_on_loss, event, failure, is_later
from aldgate.surfaces.jobs.webhooks import webhook_in

CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
SOUND_TYPES = tuple(CONTENT_TYPES.values())
JOINABLE = ("mp3", "opus", "aac", "pcm")
"""Formats whose files are one when they stand one behind the other."""
CHARACTERS_PER_TOKEN = 4


class _Voice(msgspec.Struct):
    id: str


class SpeechRequest(msgspec.Struct, omit_defaults=True):
    """What is to be said."""

    input: Annotated[str, msgspec.Meta(min_length=1, max_length=32_000)]
    model: str = ""
    voice: str | _Voice | None = None
    instructions: Annotated[str, msgspec.Meta(max_length=4_096)] | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, msgspec.Meta(ge=0.25, le=4)] | None = None
    stream_format: Literal["audio", "sse"] | None = None
    webhook_url: str | None = None
    background: bool = False

    def asked(self) -> Generation:
        """The same for an engine."""
        voice = self.voice.id if isinstance(self.voice, _Voice) else self.voice
        return Generation(
            operation="speech",
            prompt=self.input,
            voice=voice,
            speed=self.speed,
            format=self.response_format,
            options={"instructions": self.instructions} if self.instructions else {},
        )


class SpeechFace:
    """What the path does.

    Args:
        jobs: Has it made.
        archive: Has what was made.
        shown: Shows jobs to who does not wait for them.
    """

    def __init__(self, jobs: Jobs, archive: Archive, shown: JobsFace) -> None:
        self._jobs = jobs
        self._archive = archive
        self._shown = shown

    async def create(self, who: Principal, request: Request) -> Response:
        """POST /v1/audio/speech. With `Prefer: respond-async` or `"background": true` the answer is a job.

        Raises:
            GatewayError: Refused, or not made.
        """
        body = await body_of(request)
        wanted, headers = decoded(body, SpeechRequest), headers_of(request.scope)
        if not wanted.input.strip():
            raise InvalidRequest("There is nothing to say: `input` is empty.", param="input")
        await self._archive.check_room(who.account)
        key = idempotency_key(headers)
        job = await self._jobs.begin(who, wanted.asked(), wanted.model, key=key, extras=webhook_in(body))
        if wanted.background or is_later(headers):
            return begun(job, self._shown.described(job))
        with cut_on_loss(request):
            done = await self._jobs.done(job)
        sounds = await self._sounds(done, wanted.response_format)
        if wanted.stream_format == "sse":
            return InPieces(self._events(sounds, wanted.input), about(done), EVENTS)
        length = {"content-length": str(sum(sound.bytes for sound in sounds))} if wanted.stream_format is None else {}
        return InPieces(self._read(sounds), about(done) | length, CONTENT_TYPES[wanted.response_format])

    async def _sounds(self, job: Job, wanted: str) -> list[StoredArtifact]:
        """What was made: one file, but by engines that speak a long text in parts."""
        if not job.made:
            raise UpstreamInvalid(f"The engine `{job.engine}` made no sound.")
        if len(job.made) > 1 and wanted not in JOINABLE:
            raise UpstreamInvalid(f"The engine `{job.engine}` spoke in parts; they can be had as {', '.join(JOINABLE)}.")
        return [await self._archive.find(job.owner.account, made.id) for made in job.made]

    async def _read(self, sounds: list[StoredArtifact]) -> AsyncGenerator[bytes]:
        for sound in sounds:
            async for piece in self._archive.read(sound):
                yield piece

    async def _events(self, sounds: list[StoredArtifact], said: str) -> AsyncGenerator[bytes]:
        """Sound as events. Tokens are the text's, about: sound is not counted in any here."""
        try:
            async with aclosing(self._read(sounds)) as pieces:
                async for piece in pieces:
                    yield event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})
        except GatewayError as error:
            yield failure(error)
            return
        tokens = -(-len(said) // CHARACTERS_PER_TOKEN)
        usage = {"input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens}
        yield event({"type": "speech.audio.done", "usage": usage})
