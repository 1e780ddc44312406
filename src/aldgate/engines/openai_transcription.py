"""Transcription servers that take OpenAI's `/v1/audio/transcriptions`: Speaches, whisper.cpp's server, LocalAI, vLLM.

Wire: https://platform.openai.com/docs/api-reference/audio/createTranscription.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import replace

from aldgate.core.errors import NotSupported
from aldgate.core.generation import EngineState, Generated, Generation, Progress
from aldgate.core.levels import Operation
from aldgate.engines.address import reach
from aldgate.engines.asking import given, input_of, one_of, options_of, take_only
from aldgate.engines.bounded import whole
from aldgate.engines.direct import Direct, DirectSection
from aldgate.engines.http import EngineHttp
from aldgate.engines.listing import listed_state, model_of
from aldgate.engines.section import Surroundings, decode_section
from aldgate.engines.transcripts import FILES, heard, streamed
from aldgate.making import Run

if TYPE_CHECKING:
    from aiohttp import FormData

USUAL = "http://127.0.0.1:8000"
OPERATIONS: frozenset[Operation] = frozenset({"transcribe"})
MOST_TEXT_BYTES = 64 * 1024 * 1024


class TranscriptionSection(DirectSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of a transcription server may have."""

    path: str = "/v1/audio/transcriptions"
    """Where recordings are sent; whisper.cpp's server has it at `/inference` unless told otherwise."""
    translation_path: str = "/v1/audio/translations"
    """Where recordings are sent to be translated into English."""
    formats: tuple[str, ...] = ("json", "verbose_json", "text", "srt", "vtt")
    """Formats it answers in. The first of `verbose_json` and `json` is asked for where a request names none."""
    streams: bool = False
    """It sends what it heard as it hears it, where a request does not want captions."""
    unload_path: str = ""
    """Posted to have its memory given back, where it has such a path."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of transcription."""

    task: Literal["transcribe", "translate"] = "transcribe"
    temperature: float | None = None
    timestamp_granularities: list[Literal["word", "segment"]] | None = None
    stream: bool | None = None


class OpenAITranscription(Direct):
    """An `Engine`.

    Args:
        name: As configured.
        section: Its table.
        http: Where it is.
    """

    kind = "openai-transcription"
    operations = OPERATIONS

    def __init__(self, name: str, section: TranscriptionSection, http: EngineHttp) -> None:
        super().__init__(name, section, http)
        self._section = section

    async def state(self) -> EngineState:
        """See `Engine`."""
        return await listed_state(self._http, self._section, OPERATIONS)

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`."""
        take_only(asked, ("prompt", "language", "format", "duration_s"), roles=("audio",))
        options, recording = options_of(asked, Options), input_of(asked, "audio")
        wanted = one_of(asked.format, "format", self._section.formats) or self._usual_format()
        is_stream = (self._section.streams if options.stream is None else options.stream) and wanted not in FILES
        model = await model_of(asked, self._http, self._section)
        language = asked.language.partition("-")[0].lower() if asked.language else None
        fields = given(
            model=model,
            response_format=wanted,
            prompt=asked.prompt or None,
            language=language if options.task == "transcribe" else None,
            temperature=options.temperature,
            stream="true" if is_stream else None,
        )
        form = _form(fields, options.timestamp_granularities or ())
        form.add_field("file", recording.data, filename=recording.name or _named(recording.mime), content_type=recording.mime)
        await run.submitting(run.reference)
        run.progress(Progress(message="listening"))
        result = await self._send(form, self._path(options), wanted, run)
        return replace(result, duration_s=result.duration_s or asked.duration_s)

    async def unload(self, model: str = "") -> None:
        """See `Engine`."""
        if not self._section.unload_path:
            raise NotSupported(f"The engine `{self.name}` has no `unload_path`; its process can be stopped.")
        await self._http.json("POST", self._section.unload_path)

    def _path(self, options: Options) -> str:
        return self._section.translation_path if options.task == "translate" else self._section.path

    def _usual_format(self) -> str:
        return "verbose_json" if "verbose_json" in self._section.formats else "json"

    async def _send(self, form: FormData, path: str, wanted: str, run: Run) -> Generated:
        async with self._working(), self._http.request("POST", path, data=form, timeout_s=self._run_timeout_s) as reply:
            if reply.content_type == "text/event-stream":
                result = await streamed(self.name, reply.content.iter_any(), run)
            else:
                body = await whole(self.name, reply.content.iter_any(), MOST_TEXT_BYTES)
                result = heard(self.name, body, wanted)
                if wanted in FILES:
                    await run.save(body, mime=FILES[wanted], name=f"transcript.{wanted}")
        run.progress(Progress(fraction=1.0, message=result.text or ""))
        return result


def _form(fields: Mapping[str, Any], granularities: Iterable[str]) -> FormData:
    from aiohttp import FormData

    form = FormData()
    for name, value in fields.items():
        form.add_field(name, str(value))
    for granularity in granularities:
        form.add_field("timestamp_granularities[]", granularity)
    return form


def _named(mime: str) -> str:
    """Servers tell recordings apart by the ending of their name."""
    return f"audio{mimetypes.guess_extension(mime) or '.wav'}"


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> OpenAITranscription:
    """A transcription server; see `section.Build`."""
    section = decode_section(name, table, TranscriptionSection)
    return OpenAITranscription(name, section, reach(name, section, surroundings, usual=USUAL))
