"""What outlives its connection: files, kept responses, batches."""

from __future__ import annotations

import asyncio
import secrets
import time
from functools import partial
from pathlib import Path

from aldgate.app.app import App
from aldgate.artifacts.archive import Archive
from aldgate.artifacts.links import Links
from aldgate.artifacts.local import Artifacts
from aldgate.artifacts.places import open_place
from aldgate.config.settings import Settings
from aldgate.jobs.batch_shop import BatchShop
from aldgate.jobs.batches import BatchWorker
from aldgate.jobs.files import Files
from aldgate.storage import Store
from aldgate.store.writer import wait_for_event
from aldgate.surfaces.calls.face import Doors
from aldgate.surfaces.http.bodies import BytesInFlight
from aldgate.surfaces.queued.tickets import Tickets
from aldgate.surfaces.responses.background import Background
from aldgate.surfaces.responses.shelf import Shelf
from aldgate.surfaces.routes import batch_endpoint


def contents_of(settings: Settings) -> Path:
    """The directory of contents, of files and, unless they are in a bucket, of artifacts."""
    return Path(settings.data).absolute() / "artifacts"


async def archive_of(settings: Settings, store: Store, files: Files) -> Archive:
    """All artifacts. What is forgotten of files and of artifacts is forgotten in turn: they may share contents."""
    secret, _ = await store.secret("artifact_links", secrets.token_bytes(32))
    bounds = settings.artifacts
    return Archive(
        store,
        open_place(bounds, contents_of(settings)),
        Links(secret),
        most_bytes=bounds.max_bytes,
        quota_bytes=bounds.quota_bytes,
        lives_s=bounds.lifetime_s or None,
        now=time.time,
        turn=files.turn,
    )


async def tickets_of(store: Store) -> Tickets:
    """What lets pages watch one job, signed with a secret of this installation."""
    secret, _ = await store.secret("job_tickets", secrets.token_bytes(32))
    return Tickets(secret)


def files_of(settings: Settings, store: Store) -> Files:
    """Files of callers, in the data directory."""
    artifacts = Artifacts(contents_of(settings))
    bounds = settings.files
    return Files(store, artifacts, most_bytes=bounds.max_bytes, quota_bytes=bounds.quota_bytes, now=time.time)


def shelf_of(settings: Settings, store: Store, in_flight: BytesInFlight, incarnation: str) -> Shelf:
    """Where responses are kept, and who makes them in the background."""
    bounds = settings.responses
    memory = BytesInFlight(settings.server.max_inflight_bytes // 4)
    background = Background(
        store, in_flight, memory, most=bounds.max_background, quota_bytes=bounds.quota_bytes, wait=wait_for_event
    )
    return Shelf(store, incarnation, bounds.quota_bytes, memory, background)


def batch_worker(settings: Settings, app: App, store: Store, doors: Doors, shelf: Shelf) -> BatchWorker:
    """Who makes the calls of batches."""
    return BatchWorker(
        BatchShop(
            gate=doors.gate,
            identity=doors.identity,
            store=store,
            files=app.files,
            endpoints=partial(batch_endpoint, doors, shelf),
            in_flight=doors.in_flight,
            committed=doors.committed,
            places=asyncio.Semaphore(settings.batches.concurrency),
            width=settings.batches.concurrency,
            most_lines=settings.batches.max_lines,
            most_bytes=settings.server.max_body_bytes,
            now=time.time,
            wait=wait_for_event,
        )
    )
