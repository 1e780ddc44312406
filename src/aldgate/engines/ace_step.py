"""ACE-Step 1.5's own server: tasks that are asked after.

Its id of a task is known only once it was taken, so that nobody else can find the task again, and it has no word to stop one.
Source: https://github.com/ace-step/ACE-Step-1.5/blob/main/docs/en/API.md and `acestep/api_server.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from aldgate.core.errors import ModelNotFound, NotSupported, UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamRejected
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.address import reach
from aldgate.engines.asking import Kinds, check_asked, input_or_none, number
from aldgate.engines.endings import failed, within
from aldgate.engines.http import EngineHttp
from aldgate.engines.mimes import mime_of_name
from aldgate.engines.section import EngineSection, Seconds, Surroundings, decode_section
from aldgate.engines.seeds import seed_of
from aldgate.making import Run

MOST_SEED = 2**32 - 1
FIELDS = ("model", "lyrics", "language", "duration_s", "steps", "guidance", "seed", "count", "strength")
FORMATS = ("mp3", "wav", "flac")
OPTIONS: Kinds = {
    "bpm": int,
    "key_scale": str,
    "time_signature": str,
    "shift": (int, float),
    "infer_method": str,
    "thinking": bool,
    "task_type": str,
    "repainting_start": (int, float),
    "repainting_end": (int, float),
}
UNKNOWN_ANSWERS = 20
"""An id that it does not know reads like a task that waits; so does one that it has just taken, for a moment."""


class AceStepSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engines.NAME]` of kind `ace-step`."""

    poll_s: Seconds = 0.5
    """Seconds between two questions how far a task is."""


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> AceStep:
    """An engine of kind `ace-step`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    section = decode_section(name, table, AceStepSection)
    return AceStep(name, section, reach(name, section, surroundings, usual="http://127.0.0.1:8001"))


class _Row(msgspec.Struct, frozen=True):
    """A task. `status`: 0 waits or runs, or is not known; 1 done; 2 failed. `result` is JSON in a text."""

    task_id: str
    status: int
    result: str = "[]"


class _Piece(msgspec.Struct, frozen=True):
    file: str = ""
    progress: float | None = None
    stage: str | None = None
    seed_value: Any = None
    metas: dict[str, Any] | None = None


class AceStep:
    """A server of ACE-Step.

    Args:
        name: As configured.
        section: Its table.
        http: Its address.
    """

    kind = "ace-step"
    recovery: Recovery = "wait"
    operations: frozenset[Operation] = frozenset({"music"})

    def __init__(self, name: str, section: AceStepSection, http: EngineHttp) -> None:
        self.name = name
        self._section = section
        self._http = http
        self._tasks: dict[str, str] = {}

    async def state(self) -> EngineState:
        """Models, and whether tasks wait or run."""
        models = await self._models()
        jobs = await self._busy()
        return EngineState(models=tuple(EngineModel(name=each, operations=self.operations) for each in models), is_busy=jobs)

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Give it a task and ask after it. See `Engine.generate`."""
        check_asked(asked, operations=self.operations, fields=FIELDS, roles=("audio",), formats=FORMATS, options=OPTIONS)
        for field, least, most in (("duration_s", 10, 600), ("count", 1, 8), ("steps", 1, 200), ("strength", 0, 1)):
            number(getattr(asked, field), field, least, most)
        seed = seed_of(asked, run.reference, most=MOST_SEED)
        async with within(self.name, self._section.run_timeout_s):
            if asked.model and asked.model not in await self._models():
                raise ModelNotFound(f"The engine `{self.name}` has no model `{asked.model}`.", param="model")
            await run.submitting(run.reference)
            task = self._tasks[run.reference] = await self._begin(asked, seed)
            try:
                pieces = await self._ended(task, run)
            except UpstreamError:
                self._tasks.pop(run.reference, None)
                raise
            self._tasks.pop(run.reference, None)
            for piece in pieces:
                await self._keep(piece, run)
        return Generated(seed=seed, details=pieces[0].metas or {})

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """None: only who gave a task knows its id."""
        return None

    async def stop(self, handle: str) -> None:
        """See that the task has ended: nobody can make it end."""
        async with within(self.name, self._section.request_timeout_s, "To stop"):
            task = self._tasks.get(handle)
            if not await self._busy() or (task is not None and (await self._row(task)).status != 0):
                self._tasks.pop(handle, None)
                return
        raise UpstreamError(f"The engine `{self.name}` cannot be stopped; it goes on until its task is done.")

    async def unload(self, model: str = "") -> None:
        """It has no word for it."""
        raise NotSupported(f"The engine `{self.name}` holds its memory until its process is stopped.")

    async def aclose(self) -> None:
        """See `Engine.aclose`."""
        await self._http.aclose()

    async def _begin(self, asked: Generation, seed: int) -> str:
        task = _task_of(asked, seed)
        audio = input_or_none(asked, "audio")
        if audio is None:
            told = await self._data("POST", "/release_task", json=task)
        else:
            from aiohttp import FormData

            form = FormData()
            for key, value in task.items():
                form.add_field(key, value if isinstance(value, str) else msgspec.json.encode(value).decode())
            field = "reference_audio" if task.get("task_type", "text2music") == "text2music" else "src_audio"
            form.add_field(field, audio.data, filename=audio.name or "audio", content_type=audio.mime)
            told = await self._data("POST", "/release_task", data=form)
        try:
            return str(told["task_id"])
        except (KeyError, TypeError):
            raise self._strange() from None

    async def _ended(self, task: str, run: Run) -> list[_Piece]:
        """What the task made, once it has."""
        furthest, unknown = 0.0, 0
        while True:
            row = await self._row(task)
            pieces = self._pieces(row)
            if row.status == 1:
                return [piece for piece in pieces if piece.file] or self._nothing()
            if row.status == 2:
                raise failed(self.name, "it gives no reason; its log does")
            unknown = 0 if pieces else unknown + 1
            if unknown >= UNKNOWN_ANSWERS and not await self._busy():
                raise UpstreamBroken(f"The engine `{self.name}` has forgotten the task.")
            if pieces and pieces[0].progress is not None:
                furthest = max(furthest, min(1.0, pieces[0].progress))
                run.progress(Progress(furthest, message=pieces[0].stage or ""))
            await asyncio.sleep(self._section.poll_s)

    async def _row(self, task: str) -> _Row:
        told = await self._data("POST", "/query_result", json={"task_id_list": [task]})
        try:
            rows = msgspec.convert(told, list[_Row])
        except msgspec.ValidationError:
            raise self._strange() from None
        row = next((row for row in rows if row.task_id == task), None)
        if row is None:
            raise self._strange()
        return row

    def _pieces(self, row: _Row) -> list[_Piece]:
        try:
            return msgspec.json.decode(row.result or "[]", type=list[_Piece])
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise self._strange() from None

    async def _keep(self, piece: _Piece, run: Run) -> None:
        """Fetch a file; `file` is the path to ask for, from its server's root."""
        parts = urlsplit(piece.file)
        if parts.scheme or parts.netloc or not parts.path.startswith("/"):
            raise UpstreamInvalid(f"The engine `{self.name}` names a file that is somewhere else.")
        name = PurePosixPath(parse_qs(parts.query).get("path", [parts.path])[0]).name
        facts = {"seed": piece.seed_value} if isinstance(piece.seed_value, int | str) else {}
        try:
            async with aclosing(cast("Any", self._http.pieces("GET", piece.file))) as pieces:
                await run.save(pieces, mime=mime_of_name(name), name=name, facts=facts)
        except UpstreamRejected as error:
            raise UpstreamBroken(f"The engine `{self.name}` does not give out what it made: {error.message}") from None

    async def _models(self) -> list[str]:
        told = await self._data("GET", "/v1/models")
        try:
            names = [str(each["name"]) for each in told["models"]]
        except (KeyError, TypeError):
            raise self._strange() from None
        return [name for name in names if self._section.models is None or name in self._section.models]

    async def _busy(self) -> bool:
        """Whether any task waits or runs, whoever gave it."""
        told = await self._data("GET", "/v1/stats")
        try:
            counts = msgspec.convert(told["jobs"], dict[str, int])
        except (KeyError, TypeError, msgspec.ValidationError):
            raise self._strange() from None
        return any(counts.get(state, 0) for state in ("queued", "running"))

    async def _data(self, method: str, path: str, **more: Any) -> Any:
        told = await self._http.json(method, path, **more)
        if not isinstance(told, dict) or "data" not in told:
            raise self._strange()
        return cast("dict[str, Any]", told)["data"]

    def _nothing(self) -> list[_Piece]:
        raise UpstreamInvalid(f"The engine `{self.name}` made no file.")

    def _strange(self) -> UpstreamInvalid:
        return UpstreamInvalid(f"What answers as the engine `{self.name}` is no ACE-Step 1.5.")


def _task_of(asked: Generation, seed: int) -> dict[str, Any]:
    """A task in its words. A seed counts only where it is not told to draw one."""
    told = {
        "prompt": asked.prompt,
        "lyrics": asked.lyrics,
        "model": asked.model or None,
        "vocal_language": asked.language.partition("-")[0] if asked.language else None,
        "audio_format": (asked.format or "mp3").lower(),
        "audio_duration": asked.duration_s,
        "inference_steps": asked.steps,
        "guidance_scale": asked.guidance,
        "audio_cover_strength": asked.strength,
        "batch_size": asked.count,
        "use_random_seed": False,
        "seed": seed,
        **asked.options,
    }
    return {key: value for key, value in told.items() if value is not None}
