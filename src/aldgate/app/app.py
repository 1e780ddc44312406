"""A running gate without its sockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aldgate.artifacts.archive import Archive
from aldgate.gate.gate import Gate
from aldgate.gate.money.alerts import Alerts
from aldgate.gate.neighbours import Neighbours
from aldgate.gate.principals.clients import Clients
from aldgate.gate.principals.identity import Identity
from aldgate.gate.reload.reload import Reloader
from aldgate.gate.reload.roster import Roster
from aldgate.gate.watch import Watch
from aldgate.jobs.batches import BatchWorker
from aldgate.jobs.counting import Counting
from aldgate.jobs.engine_watch import EngineWatch
from aldgate.jobs.files import Files
from aldgate.jobs.hooks import Hooks
from aldgate.jobs.making import Jobs
from aldgate.jobs.placing import Placing
from aldgate.jobs.watching import Watching
from aldgate.jobs.webhooks import Deliveries
from aldgate.jobs.worker import Worker
from aldgate.limiter.valkey.limiter import ValkeyLimiter
from aldgate.storage import Store
from aldgate.store.writer import LedgerWriter
from aldgate.surfaces.calls.cache import Cache
from aldgate.surfaces.http.asgi import Handler
from aldgate.surfaces.people.oidc import OidcFace
from aldgate.surfaces.queued.tickets import Tickets
from aldgate.surfaces.responses.background import Background
from aldgate.surfaces.responses.shelf import Shelf


class App:
    """A running gate without its sockets.

    Attributes:
        handlers: By face: everything, or health and metrics alone.
        make_admin_key: Makes the admin key if there is none, and returns it to be shown once; None if there is one. Called when
            everything else is ready, so that no start that fails takes the key with it.
    """

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.store: Store
        self.identity: Identity
        self.make_admin_key: Callable[[], Awaitable[str | None]]
        self.gate: Gate
        self.roster: Roster
        self.reloader: Reloader
        self.watch: Watch
        self.alerts: Alerts
        self.neighbours: Neighbours
        self.oidc: OidcFace
        self.valkey: ValkeyLimiter | None
        self.writer: LedgerWriter
        self.cache: Cache
        self.files: Files
        self.archive: Archive
        self.batches: BatchWorker
        self.placing: Placing
        self.worker: Worker
        self.watching: Watching
        self.counting: Counting
        self.jobs: Jobs
        self.hooks: Hooks
        self.deliveries: Deliveries
        self.tickets: Tickets
        self.engine_watch: EngineWatch
        self.clients: Clients
        self.shelf: Shelf
        self.background: Background
        self.exposed: Callable[[], Awaitable[bytes]]
