"""The InvokeAI engine: a batch in its queue, watched by socket and by looking, fetched when it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from aldgate.core.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamRejected,
)
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.address import reach
from aldgate.engines.beside import beside
from aldgate.engines.endings import failed, interrupted, within
from aldgate.engines.http import EngineHttp
from aldgate.engines.invokeai.events import PATH, QUERY, Listener
from aldgate.engines.invokeai.graph import MOST_SEED, OUTPUT, SIDES, Model, batch_for, check, model_for
from aldgate.engines.pictures import check_format, save_picture
from aldgate.engines.polling import until_over
from aldgate.engines.section import EngineSection, Seconds, Surroundings, decode_section
from aldgate.engines.seeds import seed_of
from aldgate.making import Run

QUEUE = "/api/v1/queue/default"
MOST_PICTURE_BYTES = 256 * 1024 * 1024
_OVER = ("completed", "failed", "canceled")

T = TypeVar("T")


class InvokeSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engines.NAME]` of kind `invokeai`."""

    keep_metadata: bool = False
    """Leave in the PNG files what it writes about their making."""
    patience_s: Seconds = 20.0
    """Seconds it may be away while it works before the attempt is given up."""
    poll_s: Seconds = 2.0
    """Seconds between two looks at its queue, besides what its socket tells."""


class Session(msgspec.Struct, frozen=True):
    """What a run of a graph made; nodes have other names in it than in the graph."""

    results: dict[str, dict[str, Any]] = {}
    source_prepared_mapping: dict[str, list[str]] = {}


class Item(msgspec.Struct, frozen=True):
    """One run of a batch."""

    item_id: int
    status: str
    batch_id: str = ""
    error_type: str | None = None
    error_message: str | None = None
    session: Session = Session()

    @property
    def pictures(self) -> list[str]:
        """Names of the pictures that count."""
        made = [self.session.results.get(node, {}) for node in self.session.source_prepared_mapping.get(OUTPUT, ())]
        return [each["image"]["image_name"] for each in made if "image_name" in each.get("image", {})]


class Enqueued(msgspec.Struct, frozen=True):
    """The reply to a new batch."""

    enqueued: int
    batch: dict[str, Any]


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> InvokeEngine:
    """An engine of kind `invokeai`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    section = decode_section(name, table, InvokeSection)
    return InvokeEngine(name, section, reach(name, section, surroundings, usual="http://127.0.0.1:9090"))


class InvokeEngine:
    """An InvokeAI server. The handle of an attempt is the id of its batch, which is ours to choose.

    Args:
        name: As configured.
        section: Its table.
        http: Its address.
    """

    kind = "invokeai"
    operations: frozenset[Operation] = frozenset({"image"})
    recovery: Recovery = "adopt"

    def __init__(self, name: str, section: InvokeSection, http: EngineHttp) -> None:
        self.name = name
        self._section = section
        self._http = http

    async def state(self) -> EngineState:
        """Version, models, whether it works."""
        version = self._read(await self._http.json("GET", "/api/v1/app/version"), dict[str, Any])
        status = self._read(await self._http.json("GET", f"{QUEUE}/status"), dict[str, dict[str, Any]])
        allowed = self._section.models
        known = [model for model in await self._models() if allowed is None or model.name in allowed]
        queue = status.get("queue", {})
        return EngineState(
            models=tuple(EngineModel(name=model.name, operations=self.operations) for model in known if model.base in SIDES),
            version=str(version.get("version", "")),
            is_busy=bool(queue.get("pending") or queue.get("in_progress")),
        )

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Queue a batch and wait. See `Engine.generate`."""
        check(asked)
        check_format(asked.format)
        seed = seed_of(asked, run.reference, most=MOST_SEED)
        model = model_for(asked.model or (self._section.models or [""])[0], await self._models(), self.name)
        async with within(self.name, self._section.run_timeout_s):
            await run.submitting(run.reference)
            image = await self._upload(asked) if asked.inputs else None
            woken = asyncio.Event()
            async with beside(self._listen(asked, run, woken)):
                await self._enqueue(batch_for(asked, model, seed, run.reference, image))
                items = await self._ended(run.reference, woken)
            if not items:
                raise UpstreamBroken(f"The engine `{self.name}` has forgotten the work.")
            return await self._collected(items, asked, run, model.name)

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """Find the batch in the queue. See `Engine.adopt`."""
        async with within(self.name, self._section.run_timeout_s):
            woken = asyncio.Event()
            async with beside(self._listen(asked, run, woken)):
                items = await self._ended(handle, woken)
            return await self._collected(items, asked, run, asked.model) if items else None

    async def stop(self, handle: str) -> None:
        """Cancel the batch, and wait until none of it runs."""
        async with within(self.name, self._section.request_timeout_s, "To stop"):
            if all(item.status in _OVER for item in await self._items(handle)):
                return
            await self._http.json("PUT", f"{QUEUE}/cancel_by_batch_ids", json={"batch_ids": [handle]})
            while True:
                if all(item.status in _OVER for item in await self._items(handle)):
                    return
                await asyncio.sleep(self._section.poll_s / 10)

    async def unload(self, model: str = "") -> None:
        """Have it empty its cache of models."""
        await self._http.json("POST", "/api/v2/models/empty_model_cache")

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def _models(self) -> list[Model]:
        found = await self._http.json("GET", "/api/v2/models/", params={"model_type": "main"})
        return self._read(found, dict[str, list[Model]]).get("models", [])

    async def _upload(self, asked: Generation) -> str:
        from aiohttp import FormData

        given = asked.inputs[0]
        form = FormData()
        form.add_field("file", given.data, filename=given.name or "image", content_type=given.mime)
        query = {"image_category": "user", "is_intermediate": "true"}
        lies = self._read(await self._http.json("POST", "/api/v1/images/upload", params=query, data=form), dict[str, Any])
        return str(lies.get("image_name"))

    async def _enqueue(self, batch: dict[str, Any]) -> None:
        reply = self._read(
            await self._http.json("POST", f"{QUEUE}/enqueue_batch", json={"batch": batch, "prepend": False}), Enqueued
        )
        if reply.batch.get("batch_id") != batch["batch_id"]:
            raise UpstreamInvalid(f"The engine `{self.name}` knows the work by another id than it was given.")
        if not reply.enqueued:
            raise UpstreamInvalid(f"The engine `{self.name}` put nothing in its queue.")

    async def _items(self, batch_id: str) -> list[Item]:
        items = self._read(await self._http.json("GET", f"{QUEUE}/list_all", params={"destination": batch_id}), list[Item])
        return sorted((item for item in items if item.batch_id == batch_id), key=lambda item: item.item_id)

    async def _ended(self, batch_id: str, woken: asyncio.Event) -> list[Item]:
        """Wait until all of a batch has ended; empty: it is not there."""

        async def look() -> tuple[bool, list[Item]]:
            items = await self._items(batch_id)
            return all(item.status in _OVER for item in items), items

        poll_s, patience_s = self._section.poll_s, self._section.patience_s
        return await until_over(self.name, look, woken, poll_s=poll_s, patience_s=patience_s)

    async def _listen(self, asked: Generation, run: Run, woken: asyncio.Event) -> None:
        listener = Listener(run.reference, asked.count)
        while True:
            # Without a socket there is no progress, and the work goes on: the queue is looked at all the same.
            with suppress(UpstreamError):
                async with self._http.socket(PATH, params=QUERY) as socket:
                    async for message in socket:
                        frame = str(message.data)
                        if (answer := listener.answer(frame)) is not None:
                            await socket.send_str(answer)
                        elif (told := listener.told(frame)) is not None:
                            run.progress(told)
                        if listener.may_have_ended:
                            woken.set()
            await asyncio.sleep(self._section.poll_s)

    async def _collected(self, items: list[Item], asked: Generation, run: Run, model: str) -> Generated:
        for item in items:
            if item.status == "canceled":
                raise interrupted(self.name)
            if item.status == "failed":
                raise failed(self.name, item.error_message or "", kind=item.error_type or "")
        seed = seed_of(asked, run.reference, most=MOST_SEED)
        names = [name for item in items for name in item.pictures]
        if not names:
            raise UpstreamInvalid(f"The engine `{self.name}` finished without a picture.")
        for number, name in enumerate(names):
            data = await self._picture(name)
            keep = self._section.keep_metadata
            facts = {"seed": (seed + number) % (MOST_SEED + 1)}
            await save_picture(
                run,
                data,
                name=f"image-{number + 1}",
                asked=asked.format,
                quality=asked.hints.get("output_compression"),
                keep_words=keep,
                facts=facts,
            )
        run.progress(Progress(fraction=1.0))
        return Generated(seed=seed, details={"model": model, "batch_id": run.reference})

    async def _picture(self, name: str) -> bytes:
        try:
            return await self._http.whole("GET", f"/api/v1/images/i/{name}/full", most_bytes=MOST_PICTURE_BYTES)
        except UpstreamRejected as error:
            raise UpstreamBroken(f"The engine `{self.name}` made `{name}` and has it no longer.") from error

    def _read(self, value: Any, kind: type[T]) -> T:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"The engine `{self.name}` does not answer as InvokeAI does: {error}") from None
