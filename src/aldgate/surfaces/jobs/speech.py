"""`/v1/audio/speech`: words as sound, as OpenAI's clients ask for them.

Wire: https://platform.openai.com/docs/api-reference/audio/createSpeech.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from aldgate.artifacts.archive import Archive
from aldgate.core.errors import InvalidRequest, UpstreamInvalid
from aldgate.core.generation import Generation
from aldgate.core.principals import Principal
from aldgate.jobs.making import Jobs
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.http.requests import body_of
from aldgate.surfaces.jobs.jobs import JobsFace
from aldgate.surfaces.jobs.webhooks import webhook_in

SOUND_TYPES = ("audio/mpeg", "audio/ogg", "audio/aac", "audio/flac", "audio/wav", "audio/pcm")


class _Voice(msgspec.Struct):
    id: str


class SpeechRequest(msgspec.Struct, omit_defaults=True):
    """What is to be said."""

    input: Annotated[str, msgspec.Meta(min_length=1, max_length=32_000)]
    model: str = ""
    voice: str | _Voice | None = None
    instructions: str | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, msgspec.Meta(ge=0.25, le=4)] | None = None
    stream_format: Literal["audio", "sse"] | None = None
    webhook_url: str | None = None

    def asked(self) -> Generation:
        """The same for an engine.

        Raises:
            InvalidRequest: It asks for what is not made here.
        """
        if self.stream_format == "sse":
            raise InvalidRequest("Speech is sent as sound, not as events: leave `stream_format` out.", param="stream_format")
        voice = self.voice.id if isinstance(self.voice, _Voice) else self.voice
        return Generation(operation="speech", prompt=self.input, voice=voice, speed=self.speed, format=self.response_format)


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
        """POST /v1/audio/speech. With `Prefer: respond-async` the answer is a job.

        Raises:
            GatewayError: Refused, or not made.
        """
        body = await body_of(request)
        wanted, headers = decoded(body, SpeechRequest), headers_of(request.scope)
        await self._archive.check_room(who.account)
        key = idempotency_key(headers)
        job = await self._jobs.begin(who, wanted.asked(), wanted.model, key=key, extras=webhook_in(body))
        if b"respond-async" in headers.get(b"prefer", b""):
            return self._shown.begun(job)
        done = await self._jobs.done(job)
        if not done.made:
            raise UpstreamInvalid(f"The engine `{done.engine}` made no sound.")
        sound = await self._archive.find(done.owner.account, done.made[0].id)
        about = {"content-length": str(sound.bytes), "x-aldgate-job": done.id, "x-aldgate-model": done.requested_model}
        return StreamingResponse(self._archive.read(sound), 200, about, sound.mime)
