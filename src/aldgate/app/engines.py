"""Engines, and who works on their jobs."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import AsyncIterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from aldgate.app.app import App
from aldgate.artifacts.archive import Archive
from aldgate.config.settings import Settings
from aldgate.core.artifacts import Provenance
from aldgate.core.generation import Generation
from aldgate.core.job_decisions import ByPlaces
from aldgate.core.jobs import Job, Made
from aldgate.engines.builtin.backend import Paces
from aldgate.engines.builtin.media.sound import SOUNDS
from aldgate.engines.section import BUILDERS, EngineSection, Surroundings, kind_of
from aldgate.engines.sound_formats import has_format, in_format
from aldgate.jobs.job_shop import JobShop
from aldgate.jobs.making import Jobs
from aldgate.jobs.questions import MODELS, PLACES, ModelsEngine
from aldgate.jobs.worker import Worker
from aldgate.making import Engine
from aldgate.storage import Store
from aldgate.store.writer import wait_for_event

PACED = frozenset(Paces.__struct_fields__)
"""Tables of `[engines]` that are for the builtin models which answer at once."""


def engines_of(settings: Settings) -> dict[str, Engine]:
    """The engines that make things, in the order of the configuration; what is built in comes last.

    Raises:
        ConfigError: A table names no kind, or has what its kind has not.
    """
    surroundings = Surroundings(Path(settings.data).absolute(), settings.environment)
    tables = {name: table for name, table in settings.engines.items() if name not in PACED}
    tables.setdefault("builtin", {})
    return {name: BUILDERS.load(kind_of(name, table, PACED))(name, table, surroundings) for name, table in tables.items()}


def worker_of(settings: Settings, app: App, store: Store, engines: Mapping[str, Engine]) -> Worker:
    """Who works on jobs in this process."""
    places = {**{name: places_of(settings, name) for name in engines}, MODELS: PLACES}
    committed = app.writer.committed if settings.ledger.durability == "strict" else None
    return Worker(
        JobShop(
            store=store,
            engines={**engines, MODELS: ModelsEngine(app.gate, app.identity, committed)},
            save=_Saving(app.archive),
            choose=ByPlaces(places),
            claim=app.placing.claim_jobs,
            now=time.time,
            clock=time.monotonic,
            random=random.random,
            wait=wait_for_event,
        )
    )


def jobs_of(settings: Settings, app: App, store: Store, engines: Mapping[str, Engine]) -> Jobs:
    """What faces ask of jobs."""

    def timeout_s(name: str) -> float:
        return float(settings.engines.get(name, {}).get("run_timeout_s", EngineSection().run_timeout_s))

    return Jobs(app.gate, store, engines, lambda: app.reloader.settings.aliases, timeout_s, app.watching)


def places_of(settings: Settings, name: str) -> int:
    """How many jobs an engine works on at once."""
    return int(settings.engines.get(name, {}).get("places", 2 if name == "builtin" else EngineSection().places))


class _Saving:
    """Keeps what jobs make as artifacts of whoever wanted them."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def __call__(
        self, job: Job, data: bytes | AsyncIterable[bytes], *, mime: str, name: str, facts: Mapping[str, Any]
    ) -> Made:
        """See `Save`."""
        asked = msgspec.json.decode(job.asked, type=Generation) if job.asked else None
        wanted = asked.format if asked is not None and asked.operation == "speech" else None
        if wanted is not None and wanted in SOUNDS and not has_format(mime, wanted):
            data, mime, name = in_format(data, wanted), SOUNDS[wanted].mime, f"speech.{wanted}"
        origin = Provenance(
            call_id=job.call_id,
            job_id=job.id,
            operation=job.operation,
            engine=job.engine,
            model=job.model or None,
            seed=facts.get("seed"),
            prompt_sha256=hashlib.sha256(asked.prompt.encode()).hexdigest() if asked is not None else None,
        )
        retention_s = job.extras.get("retention_s")
        kept = await self._archive.keep(
            job.owner.account, data, mime=mime, name=name, provenance=origin, facts=facts, retention_s=retention_s
        )
        return Made(kept.id, kept.mime, kept.bytes, kept.sha256, name, facts)
