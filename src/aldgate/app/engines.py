"""Engines, and who works on their jobs."""

from __future__ import annotations

import hashlib
import random
import time
from collections import ChainMap
from collections.abc import AsyncIterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from aldgate.app.app import App
from aldgate.artifacts.archive import Archive
from aldgate.config.devices import DeviceEntry
from aldgate.config.errors import ConfigError
from aldgate.config.prices import to_job_price
from aldgate.config.settings import Settings
from aldgate.core.artifacts import Provenance
from aldgate.core.generation import Generation
from aldgate.core.job_decisions import ByPlaces
from aldgate.core.jobs import CALLS, Job, Made, Price
from aldgate.engines.builtin.backend import Paces
from aldgate.engines.builtin.media.sound import SOUNDS
from aldgate.engines.finding import in_environment, on_this_machine
from aldgate.engines.section import BUILDERS, EngineSection, Surroundings, kind_of
from aldgate.engines.sound_formats import has_format, in_format
from aldgate.gate.jobs import Ended
from aldgate.jobs.calling import CallJobs, Calls
from aldgate.jobs.engine_watch import EngineWatch
from aldgate.jobs.job_shop import JobShop, nobody_minds
from aldgate.jobs.making import Jobs, Rules
from aldgate.jobs.worker import Worker
from aldgate.making import Engine
from aldgate.ports import Endpoint
from aldgate.storage import Store
from aldgate.store.writer import wait_for_event
from aldgate.surfaces.dialects import DIALECTS
from aldgate.surfaces.paths import BATCHED

LOOK_S = 60.0
"""Seconds between two questions to engines at the most: models come and go there."""
PACED = frozenset(Paces.__struct_fields__)
"""Tables of `[engines]` that are for the builtin models which answer at once."""


def engines_of(settings: Settings) -> dict[str, Engine]:
    """The engines that make things, in the order of the configuration; what is built in comes last.

    Raises:
        ConfigError: A table names no kind, or has what its kind has not.
    """
    surroundings = Surroundings(Path(settings.data).absolute(), settings.environment)
    tables = {name: table for name, table in settings.engines.items() if name not in PACED}
    if CALLS in tables:
        raise ConfigError(f"[engines.{CALLS}]: calls that are jobs have this name", hint="give the engine another one")
    if settings.discovery.environment:
        tables |= in_environment(settings.environment, tables)
    tables.setdefault("builtin", {})
    return {name: BUILDERS.load(kind_of(name, table, PACED))(name, table, surroundings) for name, table in tables.items()}


def engine_watch_of(settings: Settings, app: App, engines: dict[str, Engine]) -> EngineWatch:
    """Who asks engines what they have, and finds those that nobody configured."""
    surroundings = Surroundings(Path(settings.data).absolute(), settings.environment)
    ports = {listener.port for listener in settings.server.listeners}

    async def find() -> list[Engine]:
        if not app.reloader.settings.discovery.local:
            return []
        known = {str(table.get("base_url", "")).rstrip("/").replace("//localhost:", "//127.0.0.1:") for table in tables.values()}
        tables_found = await on_this_machine({*engines, *known}, ports)
        tables.update(tables_found)
        return [BUILDERS.load(name)(name, table, surroundings) for name, table in tables_found.items()]

    tables = dict(settings.engines)
    return EngineWatch(app.gate, engines, find, lambda: min(LOOK_S, app.reloader.settings.discovery.interval_s))


def workable(settings: Settings, app: App, store: Store, engines: dict[str, Engine]) -> Mapping[str, Engine]:
    """Whose jobs are worked on here: the engines', which may come to be more, and calls that are jobs: the gate makes them."""
    committed = app.writer.committed if settings.ledger.durability == "strict" else None
    calls: Engine = Calls(app.gate, app.identity, store, call_endpoint, committed)
    return ChainMap({CALLS: calls}, engines)


def worker_of(settings: Settings, app: App, store: Store, engines: Mapping[str, Engine], ended: Ended = nobody_minds) -> Worker:
    """Who works on jobs in this process. `engines` may come to have more; `ended` is told of jobs that have ended."""
    places = {name: places_of(settings, name) for name in engines}
    places[CALLS] = settings.batches.concurrency
    return Worker(
        JobShop(
            store=store,
            engines=engines,
            save=_Saving(app.archive),
            choose=ByPlaces(places),
            claim=app.placing.claim_jobs,
            lease_s=settings.jobs.lease_s,
            ended=ended,
            now=time.time,
            clock=time.monotonic,
            random=random.SystemRandom().random,
            wait=wait_for_event,
        )
    )


def jobs_of(settings: Settings, app: App, store: Store, engines: Mapping[str, Engine]) -> Jobs:
    """What faces ask of jobs."""

    def timeout_s(name: str) -> float:
        return float(settings.engines.get(name, {}).get("run_timeout_s", EngineSection().run_timeout_s))

    rules = Rules(
        price=lambda name, model: price_of(app.reloader.settings, name, model),
        prices_models=lambda name: any(each.startswith(f"{name}/") for each in app.reloader.settings.prices),
        most_pixels=lambda: app.reloader.settings.images.max_pixels,
    )
    return Jobs(
        app.gate,
        store,
        engines,
        lambda: app.reloader.settings.aliases,
        timeout_s,
        rules,
        app.watching,
        CallJobs(app.gate, store, call_endpoint, app.hooks),
        app.hooks,
        app.engine_watch.is_away,
    )


def call_endpoint(path: str) -> Endpoint:
    """What is spoken at a path whose calls may be jobs."""
    return Endpoint(DIALECTS.load("openai"), BATCHED[path])


def price_of(settings: Settings, engine: str, model: str) -> Price:
    """What jobs of an engine's model cost: what was said of the model, else of the engine, else of its device."""
    device = settings.devices.get(settings.engines.get(engine, {}).get("device", ""), DeviceEntry())
    entry = settings.prices.get(f"{engine}/{model}") or settings.prices.get(engine)
    return to_job_price(entry, device.rate_microusd_per_s)


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
            parents=tuple(job.extras.get("parents", ())),
            prompt_sha256=hashlib.sha256(asked.prompt.encode()).hexdigest() if asked is not None else None,
        )
        retention_s = job.extras.get("retention_s")
        kept = await self._archive.keep(
            job.owner.account, data, mime=mime, name=name, provenance=origin, facts=facts, retention_s=retention_s
        )
        return Made(kept.id, kept.mime, kept.bytes, kept.sha256, name, facts)
