"""AllTalk TTS, version 2: https://github.com/erew123/alltalk_tts/blob/alltalkbeta/tts_server.py.

Version 1 has other paths. One text is spoken at a time, into a file of the server's that is then fetched from it, and from
nowhere else; a text that is too long for it is cut between sentences and put together again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from aldgate.core.errors import ModelNotFound, NotSupported, UpstreamError, UpstreamInvalid, UpstreamOverloaded
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress
from aldgate.core.levels import Operation
from aldgate.engines.address import reach
from aldgate.engines.asking import given, number, options_of, prompt_of, set_fields, take_only
from aldgate.engines.bounded import whole
from aldgate.engines.direct import Direct, DirectSection
from aldgate.engines.endings import failed
from aldgate.engines.http import EngineHttp
from aldgate.engines.section import AtLeastOne, Surroundings, decode_section
from aldgate.engines.sentences import split
from aldgate.engines.sounds import ENDINGS, MIMES, joined_wav, mime_of, wav_seconds
from aldgate.making import Run

USUAL = "http://127.0.0.1:7851"
MOST_SOUND_BYTES = 256 * 1024 * 1024
OPERATIONS: frozenset[Operation] = frozenset({"speech"})


class AllTalkSection(DirectSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of AllTalk may have."""

    voice: str = ""
    """Spoken with where a request names no voice; empty is the server's own default."""
    most_characters: AtLeastOne = 2_000
    """Of one text, as the server's `api_max_characters` has it; longer ones are cut between sentences."""
    resting_model: str = ""
    """A small model that it loads to give memory back, as it cannot be without one; empty: it keeps what it has."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """AllTalk's own options, by its names."""

    narrator_enabled: Literal["true", "false", "silent"] | None = None
    narrator_voice_gen: str | None = None
    text_not_inside: Literal["character", "narrator", "silent"] | None = None
    text_filtering: Literal["none", "standard", "html"] | None = None
    rvccharacter_voice_gen: str | None = None
    rvccharacter_pitch: int | None = None
    rvcnarrator_voice_gen: str | None = None
    rvcnarrator_pitch: int | None = None
    pitch: int | None = None
    temperature: float | None = None
    repetition_penalty: float | None = None


class _Model(msgspec.Struct):
    name: str


class _Settings(msgspec.Struct):
    """`/api/currentsettings`."""

    models_available: list[_Model]
    current_model_loaded: str = ""
    current_engine_loaded: str = ""
    generationspeed_capable: bool = True
    languages_capable: bool = True
    multivoice_capable: bool = True
    pitch_capable: bool = True
    temperature_capable: bool = True
    repetitionpenalty_capable: bool = True


class _Voices(msgspec.Struct):
    voices: list[str] = []


class _Spoken(msgspec.Struct):
    status: str = ""
    output_file_url: str = ""
    error: Any = ""


class AllTalk(Direct):
    """An `Engine`.

    Args:
        name: As configured.
        section: Its table.
        http: Where it is.
    """

    kind = "alltalk"
    operations = OPERATIONS

    def __init__(self, name: str, section: AllTalkSection, http: EngineHttp) -> None:
        super().__init__(name, section, http)
        self._section = section

    async def state(self) -> EngineState:
        """See `Engine`."""
        async with self._http.request("GET", "/api/ready") as reply:
            ready = (await reply.content.read(64)).decode(errors="replace").strip().strip('"')
        if ready not in ("Ready", "Unloaded"):
            raise UpstreamInvalid(f"What answers as the engine `{self.name}` is no AllTalk of version 2.")
        settings = await self._settings()
        loaded = settings.current_model_loaded if ready == "Ready" else ""
        models = (
            EngineModel(name=each.name, operations=OPERATIONS, is_loaded=each.name == loaded != self._section.resting_model)
            for each in settings.models_available
        )
        return EngineState(models=tuple(models), version=settings.current_engine_loaded)

    async def voices(self) -> tuple[str, ...]:
        """The names that may be asked for as `voice`; none where the loaded model has no list of them.

        Raises:
            UpstreamError: It is away or failed.
        """
        try:
            return tuple(msgspec.convert(await self._http.json("GET", "/api/voices"), _Voices).voices)
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"The engine `{self.name}` answered with what is no list of voices: {error}") from None

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`."""
        take_only(asked, ("prompt", "voice", "speed", "language", "format"))
        texts = split(prompt_of(asked), self._section.most_characters)
        settings = await self._settings()
        fields = self._fields(asked, settings)
        is_other = asked.model not in ("", settings.current_model_loaded)
        if is_other:
            self._check_model(asked.model, settings)
        await run.submitting(run.reference)
        async with self._working():
            if is_other:
                run.progress(Progress(fraction=0.0, message=f"loading {asked.model}"))
                await self._load(asked.model)
            sounds: list[bytes] = []
            for part, text in enumerate(texts):
                run.progress(Progress(fraction=part / len(texts), step=part, steps=len(texts), message="speaking"))
                named = f"aldgate_{run.reference.replace('-', '')}_{part}"
                sounds.append(await self._speak({**fields, "text_input": text, "output_file_name": named}))
        return await self._keep(sounds, run)

    async def stop(self, handle: str) -> None:
        """See `Engine`. It speaks one text at a time, and that is what it leaves.

        Models that cannot stream end the part that they speak, and nothing asks for the next one.
        """
        await self._http.json("PUT", "/api/stop-generation")

    async def unload(self, model: str = "") -> None:
        """See `Engine`. It has no call for this: it loads its resting model instead."""
        resting = self._section.resting_model
        if not resting:
            raise NotSupported(f"The engine `{self.name}` has no `resting_model`; its process can be stopped.")
        settings = await self._settings()
        if settings.current_model_loaded == resting or model not in ("", settings.current_model_loaded):
            return
        self._check_model(resting, settings)
        await self._load(resting)

    def _check_model(self, model: str, settings: _Settings) -> None:
        """An unknown name would be a bare 500."""
        if model not in (each.name for each in settings.models_available):
            raise ModelNotFound(f"The engine `{self.name}` has no model `{model[:100]}`.", param="model")

    async def _settings(self) -> _Settings:
        said = await self._http.json("GET", "/api/currentsettings")
        try:
            return msgspec.convert(said, _Settings)
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"The engine `{self.name}` answered with what are no settings: {error}") from None

    def _fields(self, asked: Generation, settings: _Settings) -> dict[str, str]:
        """The form, without what the loaded model has no use for: it would refuse it."""
        options = dict(set_fields(options_of(asked, Options)))
        able = {
            "speed": settings.generationspeed_capable,
            "language": settings.languages_capable,
            "character_voice_gen": settings.multivoice_capable,
            "pitch": settings.pitch_capable,
            "temperature": settings.temperature_capable,
            "repetition_penalty": settings.repetitionpenalty_capable,
        }
        plain = given(
            speed=number(asked.speed, "speed", 0.25, 2.0),
            language=asked.language.partition("-")[0].lower() if asked.language else None,
            character_voice_gen=asked.voice or self._section.voice or None,
        )
        fields = {name: str(value) for name, value in (options | plain).items() if able.get(name, True)}
        return {**fields, "output_file_timestamp": "false", "autoplay": "false"}

    async def _load(self, model: str) -> None:
        said = await self._http.json("POST", "/api/reload", params={"tts_method": model}, timeout_s=self._run_timeout_s)
        try:
            status = msgspec.convert(said, _Spoken).status
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"The engine `{self.name}` answered with what it never says: {error}") from None
        if status == "model-failure":
            raise UpstreamError(f"The engine `{self.name}` could not load `{model}`.", upstream_code="model-failure")
        if status != "model-success":
            raise UpstreamOverloaded(f"The engine `{self.name}` is changing its model.", retry_after_s=5)

    async def _speak(self, fields: Mapping[str, str]) -> bytes:
        """One part, spoken and fetched.

        Raises:
            UpstreamError: It failed.
        """
        said = await self._http.json("POST", "/api/tts-generate", data=fields, timeout_s=self._run_timeout_s)
        try:
            spoken = msgspec.convert(said, _Spoken)
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"The engine `{self.name}` answered with what it never says: {error}") from None
        if spoken.status != "generate-success":
            raise failed(self.name, str(spoken.error or spoken.status))
        return await self._fetched(spoken.output_file_url)

    async def _fetched(self, url: str) -> bytes:
        """A file of the server's own: its addresses begin at its root."""
        if not url.startswith("/") or url.startswith("//") or "\\" in url:
            raise UpstreamInvalid(f"The engine `{self.name}` gave an address that is not its own.")
        return await whole(self.name, self._http.pieces("GET", url), MOST_SOUND_BYTES)

    async def _keep(self, sounds: list[bytes], run: Run) -> Generated:
        """Save what was spoken as one file; of formats that cannot be joined, as one file for each part."""
        mimes = [mime_of(sound) for sound in sounds]
        if None in mimes:
            raise UpstreamInvalid(f"The engine `{self.name}` gave a file that is no sound.")
        if mimes[0] == MIMES["wav"]:
            sounds = [joined_wav(self.name, sounds)]
        elif mimes[0] == MIMES["mp3"]:
            sounds = [b"".join(sounds)]
        duration_s = wav_seconds(sounds[0])
        for sound, mime in zip(sounds, mimes, strict=False):
            await run.save(sound, mime=str(mime), name=f"speech.{ENDINGS[str(mime)]}", facts=given(duration_s=duration_s))
        run.progress(Progress(fraction=1.0))
        return Generated(duration_s=duration_s)


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> AllTalk:
    """AllTalk; see `section.Build`."""
    section = decode_section(name, table, AllTalkSection)
    return AllTalk(name, section, reach(name, section, surroundings, usual=USUAL))
