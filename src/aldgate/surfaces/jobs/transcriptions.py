"""`/v1/audio/transcriptions` and `/v1/audio/translations`: recordings as text, as OpenAI's clients ask for them.

Wire: https://platform.openai.com/docs/api-reference/audio/createTranscription and its neighbour `createTranslation`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from aldgate.core.errors import GatewayError, InvalidRequest, UpstreamInvalid
from aldgate.core.files import plain_name
from aldgate.core.generation import Generated, Generation, Input
from aldgate.core.jobs import Job
from aldgate.core.principals import Principal
from aldgate.engines.recordings import recording_seconds, recording_type
from aldgate.jobs.making import Jobs, check_scope, failure_of
from aldgate.ports import ByteBound
from aldgate.surfaces.calls.idempotency import idempotency_key
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.uploads import uploaded
from aldgate.surfaces.jobs.heard import rendered, usage_of
from aldgate.surfaces.jobs.jobs import JobsFace
from aldgate.surfaces.jobs.transcription_form import Asked, asked_of
from aldgate.surfaces.jobs.waiting import EVENTS, InPieces, about, begun, cut_on_loss, event, failure, is_later

MOST_BYTES = 25 * 1024 * 1024
"""Of a recording, as at OpenAI."""


class TranscriptionsFace:
    """What the paths do.

    Args:
        jobs: Has recordings heard.
        shown: Shows jobs to who does not wait for them.
        in_flight: The bound on bytes held.
    """

    def __init__(self, jobs: Jobs, shown: JobsFace, in_flight: ByteBound) -> None:
        self._jobs = jobs
        self._shown = shown
        self._in_flight = in_flight

    async def transcribe(self, who: Principal, request: Request) -> Response:
        """POST /v1/audio/transcriptions. With `Prefer: respond-async` the answer is a job, with `stream` it comes as events.

        Raises:
            GatewayError: Refused, or not heard.
        """
        job, wanted = await self._begun(who, request, "transcribe")
        if is_later(headers_of(request.scope)):
            return begun(job, self._shown.described(job))
        with cut_on_loss(request):
            return await (self._streamed(job) if wanted.is_streamed else self._whole(job, wanted))

    async def translate(self, who: Principal, request: Request) -> Response:
        """POST /v1/audio/translations: the same in English, by engines that can.

        Raises:
            GatewayError: Refused, or not heard.
        """
        job, wanted = await self._begun(who, request, "translate")
        if is_later(headers_of(request.scope)):
            return begun(job, self._shown.described(job))
        with cut_on_loss(request):
            return await self._whole(job, wanted)

    async def _begun(self, who: Principal, request: Request, task: str) -> tuple[Job, Asked]:
        check_scope(who, "transcribe")
        async with uploaded(request, "file", MOST_BYTES, self._in_flight) as (form, data):
            wanted = asked_of(form, task)
            if not data:
                raise InvalidRequest("The form has no recording, or an empty one (`file`).", param="file")
            recording = Input("audio", recording_type(data), data, plain_name(form.filename or ""))
            duration_s = await asyncio.to_thread(recording_seconds, data)
            asked = Generation(
                operation="transcribe",
                prompt=wanted.prompt,
                language=wanted.language,
                duration_s=duration_s,
                format=wanted.format if wanted.format in ("srt", "vtt", "verbose_json") else None,
                options=wanted.options,
                inputs=(recording,),
            )
            return await self._jobs.begin(who, asked, wanted.model, key=idempotency_key(headers_of(request.scope))), wanted

    async def _whole(self, job: Job, wanted: Asked) -> Response:
        answer = rendered(_heard(await self._jobs.done(job)), wanted.format, wanted.task, wanted.granularities)
        if isinstance(answer, str):
            return PlainTextResponse(answer, 200, about(job))
        return Response(msgspec.json.encode(answer), 200, about(job), "application/json")

    async def _streamed(self, job: Job) -> Response:
        """The answer begins with the first words: what goes wrong before is an error like any other."""
        events = self._events(job)
        try:
            first = await anext(events)
        except BaseException:
            await events.aclose()
            raise
        return InPieces(_behind(first, events), about(job), EVENTS)

    async def _events(self, job: Job) -> AsyncGenerator[bytes]:
        told = ""
        async with aclosing(self._jobs.follow(job)) as changes:
            async for job in changes:
                whole = job.progress.text if job.result is None else job.result.text or ""
                if whole.startswith(told) and whole != told:
                    yield event({"type": "transcript.text.delta", "delta": whole[len(told) :]})
                    told = whole
        if job.error is not None:
            raise failure_of(job)
        heard = _heard(job)
        yield event({"type": "transcript.text.done", "text": heard.text or "", "usage": usage_of(heard)})


async def _behind(first: bytes, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The events behind the first; one that says so where it breaks off."""
    async with aclosing(events):
        try:
            yield first
            async for each in events:
                yield each
        except GatewayError as error:
            yield failure(error)


def _heard(job: Job) -> Generated:
    if job.result is None or job.result.text is None:
        raise UpstreamInvalid(f"The engine `{job.engine}` heard nothing that can be told.")
    return job.result
