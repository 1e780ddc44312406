"""The engine for AUTOMATIC1111's web UI and for Forge, which has the same API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from aldgate.core.errors import UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamRejected
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Preview, Progress, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.a1111.asking import (
    MOST_SEED,
    Checkpoint,
    Made,
    Memory,
    Now,
    Task,
    checkpoint_for,
    decoded,
    info_of,
    payload_for,
    pictures_in,
)
from aldgate.engines.address import reach
from aldgate.engines.beside import beside
from aldgate.engines.endings import failed, interrupted, within
from aldgate.engines.http import EngineHttp
from aldgate.engines.pictures import check_format, mime_of, save_picture, whitened
from aldgate.engines.section import EngineSection, Seconds, Surroundings, decode_section
from aldgate.engines.seeds import seed_of
from aldgate.making import Run

MIB = 1024 * 1024
API_DISABLED = "api_disabled"
"""The `upstream_code` of a server that runs without `--api`."""
MOST_REPLY_BYTES = 512 * MIB

T = TypeVar("T")


class A1111Section(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engines.NAME]` of kind `a1111`, which is Forge's too. `api_key` is `user:password`, as in `--api-auth`."""

    alone: bool = False
    """Nobody else uses it: whatever runs there is ours, and may be interrupted even where it does not say whose it is."""
    keep_metadata: bool = False
    """Leave the parameters in the PNG files, where it writes them."""
    poll_s: Seconds = 1.0
    """Seconds between two looks at its progress."""


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> A1111Engine:
    """An engine of kind `a1111`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    section = decode_section(name, table, A1111Section)
    return A1111Engine(name, section, reach(name, section, surroundings, usual="http://127.0.0.1:7860", scheme="Basic"))


class A1111Engine:
    """A server of `/sdapi/v1`. The handle of an attempt is the id of its task there.

    Args:
        name: As configured.
        section: Its table.
        http: Its address.
    """

    kind = "a1111"
    operations: frozenset[Operation] = frozenset({"image"})
    recovery: Recovery = "cancel"

    def __init__(self, name: str, section: A1111Section, http: EngineHttp) -> None:
        self.name = name
        self._section = section
        self._http = http

    async def state(self) -> EngineState:
        """Checkpoints and memory; which is loaded it says as well."""
        known = await self._checkpoints()
        options: dict[str, Any] = self._read(await self._call("GET", "options"), dict[str, Any])
        loaded = str(options.get("sd_model_checkpoint") or "")
        now = self._read(await self._call("GET", "progress", params={"skip_current_image": "true"}), Now)
        cuda = self._read(await self._call("GET", "memory"), Memory).cuda
        system = cuda.system
        loaded = loaded if cuda.holds_checkpoint else ""
        allowed = self._section.models
        return EngineState(
            models=tuple(
                EngineModel(name=each.model_name or each.title, operations=self.operations, is_loaded=each.is_called(loaded))
                for each in known
                if allowed is None or any(each.is_called(name) for name in allowed)
            ),
            is_busy=not now.is_idle,
            free_mb=system.free // MIB if system else None,
            total_mb=system.total // MIB if system else None,
        )

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Ask and wait. See `Engine.generate`."""
        check_format(asked.format)
        task = f"task({run.reference})"
        inputs = tuple([await whitened(each) if each.role == "mask" else each for each in asked.inputs])
        body = payload_for(replace(asked, inputs=inputs), seed_of(asked, run.reference, most=MOST_SEED), task)
        wanted = asked.model or (self._section.models or [""])[0]
        checkpoint = checkpoint_for(wanted, await self._checkpoints(), self.name) if wanted else None
        if checkpoint is not None:
            body["override_settings"]["sd_model_checkpoint"] = checkpoint.title
        async with within(self.name, self._section.run_timeout_s):
            await run.submitting(task)
            # After an unloading A1111 has to be told to load again; where nothing was unloaded this does nothing.
            with suppress(UpstreamRejected):
                await self._call("POST", "reload-checkpoint")
            async with beside(self._watch(task, run)):
                path = "img2img" if "init_images" in body else "txt2img"
                made = self._read(await self._made(path, body), Made)
            await self._check_whole()
            return await self._kept(made, asked, checkpoint, run)

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """Nothing can be collected from it: whoever asked has to be there for the reply."""
        return None

    async def stop(self, handle: str) -> None:
        """Interrupt the task if it is what runs; wait until it no longer does.

        Where the server does not tell whose work runs (`--nowebui`), only an engine that is `alone` interrupts; another waits for
        the end of whatever runs.
        """
        async with within(self.name, self._section.request_timeout_s, "To stop"):
            has_asked = False
            while True:
                is_ours, is_over = await self._standing(handle)
                if is_over:
                    return
                if is_ours and not has_asked:
                    await self._call("POST", "interrupt")
                    has_asked = True
                await asyncio.sleep(self._section.poll_s / 10)

    async def unload(self, model: str = "") -> None:
        """Have it take its checkpoint off the device."""
        await self._call("POST", "unload-checkpoint")

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def _made(self, path: str, body: dict[str, Any]) -> Any:
        try:
            limit = self._section.run_timeout_s
            return await self._call("POST", path, json=body, timeout_s=limit, most_bytes=MOST_REPLY_BYTES)
        except UpstreamBroken as error:
            if error.upstream_status == 500:
                raise failed(self.name, error.message.partition("500: ")[2]) from error
            raise

    async def _check_whole(self) -> None:
        """See that nobody interrupted it: the pictures of work that was come without a word of it."""
        now = self._read(await self._call("GET", "progress", params={"skip_current_image": "true"}), Now)
        if now.state.interrupted and now.is_idle:
            raise interrupted(self.name)

    async def _kept(self, made: Made, asked: Generation, checkpoint: Checkpoint | None, run: Run) -> Generated:
        info = info_of(made, self.name)
        if checkpoint is not None and info.sd_model_name and not checkpoint.is_called(info.sd_model_name):
            raise UpstreamInvalid(f"The engine `{self.name}` used `{info.sd_model_name}`, not `{checkpoint.title}`.")
        seed = seed_of(asked, run.reference, most=MOST_SEED) if info.seed is None else info.seed
        for number, picture in enumerate(pictures_in(made, info, asked.count, self.name)):
            facts = {"seed": info.all_seeds[number] if number < len(info.all_seeds) else seed + number}
            keep = self._section.keep_metadata
            await save_picture(
                run,
                picture,
                name=f"image-{number + 1}",
                asked=asked.format,
                quality=asked.hints.get("output_compression"),
                keep_words=keep,
                facts=facts,
            )
        run.progress(Progress(fraction=1.0))
        return Generated(seed=seed, details={"model": info.sd_model_name} if info.sd_model_name else {})

    async def _watch(self, task: str, run: Run) -> None:
        most = 0.0
        while True:
            # What cannot be told is not worth an error: the reply to the request itself says how it went.
            with suppress(UpstreamError):
                if await self._is_active(task):
                    now = self._read(await self._call("GET", "progress", params={"skip_current_image": "false"}), Now)
                    most = max(most, min(now.progress, 1.0))
                    preview = self._preview(now.current_image)
                    state = now.state
                    run.progress(Progress(most, state.sampling_step, state.sampling_steps or None, preview=preview))
            await asyncio.sleep(self._section.poll_s)

    async def _is_active(self, task: str) -> bool:
        """Whether what runs is ours; where it is not said, what runs is taken to be ours if nobody else is there."""
        found = await self._task(task)
        return self._section.alone if found is None else found.active

    async def _standing(self, task: str) -> tuple[bool, bool]:
        """Whether the task runs, and whether it is over."""
        found = await self._task(task)
        if found is not None:
            return found.active, not found.active and not found.queued
        now = self._read(await self._call("GET", "progress", params={"skip_current_image": "true"}), Now)
        return self._section.alone, now.is_idle

    async def _task(self, task: str) -> Task | None:
        """Of one task; None: the server does not tell of single ones."""
        asked = {"id_task": task, "id_live_preview": -1, "live_preview": False}
        try:
            return self._read(await self._http.json("POST", "/internal/progress", json=asked), Task)
        except UpstreamRejected:
            return None

    def _preview(self, image: str | None) -> Preview | None:
        if not image:
            return None
        data = decoded(image, self.name)
        mime = mime_of(data)
        return Preview(mime, data) if mime else None

    async def _checkpoints(self) -> list[Checkpoint]:
        return self._read(await self._call("GET", "sd-models"), list[Checkpoint])

    async def _call(self, method: str, path: str, **more: Any) -> Any:
        try:
            return await self._http.json(method, f"/sdapi/v1/{path}", **more)
        except UpstreamRejected as error:
            if error.upstream_status == 404 and path == "sd-models":
                said = f"The server of the engine `{self.name}` has no API: start it with `--api`."
                raise UpstreamError(said, upstream_status=404, upstream_code=API_DISABLED) from error
            raise

    def _read(self, value: Any, kind: type[T]) -> T:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"The engine `{self.name}` does not answer as A1111 does: {error}") from None
