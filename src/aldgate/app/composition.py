"""The composition root: everything the gate needs, opened in order and closed in reverse."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from aldgate.app.app import App
from aldgate.app.calls import alerts_of, cache_terms, gate_of, guard, open_valkey, writer_of
from aldgate.app.handlers import handlers_of
from aldgate.app.jobs import batch_worker, files_of, shelf_of
from aldgate.app.making import open_making
from aldgate.app.metrics import gauges_of, open_metrics
from aldgate.app.principals import identity_of, make_admin_key, oidc_face, read_clients, users_of
from aldgate.app.sealing import open_vault
from aldgate.app.tasks import finish, lasting
from aldgate.config.settings import Settings
from aldgate.gate.audit import Audit
from aldgate.gate.metrics import Metrics
from aldgate.gate.money.slices import Slices
from aldgate.gate.neighbours import Neighbours
from aldgate.gate.people import People
from aldgate.gate.principals.issued import TokenResolver
from aldgate.gate.principals.own_credentials import OwnCredentials
from aldgate.gate.principals.sessions import SessionResolver
from aldgate.gate.principals.vouched import VouchedUsers
from aldgate.gate.reload.reload import Reloader
from aldgate.gate.reload.roster import Roster
from aldgate.gate.watch import Watch
from aldgate.oidc.tokens import build_tokens
from aldgate.ports import Resolver
from aldgate.store.stores import open_store
from aldgate.surfaces.calls.cache import Cache
from aldgate.surfaces.calls.face import Doors
from aldgate.surfaces.calls.idempotency import Once
from aldgate.surfaces.http.bodies import BytesInFlight
from aldgate.surfaces.server.workers import Seat

log = logging.getLogger("aldgate")


@asynccontextmanager
async def create(settings: Settings, seat: Seat | None = None) -> AsyncGenerator[App]:
    """Open everything the gate needs, in order; close it in reverse.

    Args:
        settings: What it is to be.
        seat: This process's place among several workers; None: it is alone on its sockets.

    Raises:
        ConfigError: A setting cannot be used.
        StoreUnavailable: The database cannot be opened.
    """
    app = App()
    incarnation = secrets.token_hex(8)
    async with AsyncExitStack() as stack:
        app.roster = roster = Roster(settings)
        stack.push_async_callback(roster.aclose)
        app.store = store = open_store(settings, incarnation)
        stack.push_async_callback(store.aclose)
        await store.open()
        own = OwnCredentials(store, await open_vault(store, settings.auth.encryption_key))
        app.clients = clients = await read_clients(store, settings.auth.client_config_dir)
        resolvers: list[Resolver] = [clients]
        app.identity = identity = await identity_of(store, settings.auth, resolvers, own)
        users = users_of(settings, store, identity, own)
        resolvers += [SessionResolver(users.sessions, carrier) for carrier in (b"session", b"")]
        tokens = build_tokens(settings.auth.issuers, ca_bundle=settings.upstream.ca_bundle)
        stack.push_async_callback(tokens.aclose)
        vouched = VouchedUsers(store, users, own.bring)
        resolvers.append(TokenResolver(tokens, clients, vouched))
        app.make_admin_key = partial(make_admin_key, store, identity, settings.auth.admin_key)
        slices = Slices(store, incarnation, time.time)
        app.alerts = alerts_of(settings, store)
        stack.push_async_callback(app.alerts.aclose)
        app.writer = writer = writer_of(settings, store, lambda: app.alerts.noting(slices.reports()))
        await roster.look()
        for problem in roster.problems:
            log.warning("%s", problem)
        in_flight = BytesInFlight(settings.server.max_inflight_bytes)
        metrics = Metrics({})
        app.valkey = users.tries.shared = valkey = await open_valkey(settings, incarnation)
        if valkey is not None:
            stack.push_async_callback(valkey.aclose)
        app.gate = gate = gate_of(settings, roster, store, slices, writer, metrics, valkey)
        roster.serve(gate)
        app.watch = Watch(gate, identity)
        identity.on_change = app.watch.ask
        guard(settings, roster, gate, stack)
        app.cache = cache = Cache(*cache_terms(settings))
        audit = Audit(store)
        app.reloader = reloader = Reloader(
            settings, roster, gate, identity, lambda new: cache.change(*cache_terms(new)), audit, incarnation
        )
        changed = {"principals": identity.forget, "configuration": reloader.ask, "clients": clients.ask}
        app.neighbours = slices.neighbours = Neighbours(
            store, incarnation, slices.give_back, changed, settings.limits.recall_ms / 1000
        )
        await app.neighbours.look()
        metrics.gauges |= gauges_of(app, in_flight)
        app.exposed = await open_metrics(metrics, seat, stack)
        app.files = files_of(settings, store)
        await open_making(settings, app, store, stack)
        doors = Doors(
            gate=gate,
            identity=identity,
            watch=app.watch,
            once=Once(store, incarnation, time.time, app.neighbours.has),
            cache=cache,
            in_flight=in_flight,
            committed=writer.committed if settings.ledger.durability == "strict" else None,
            max_body_bytes=settings.server.max_body_bytes,
        )
        app.shelf = shelf = shelf_of(settings, store, in_flight, incarnation)
        app.background = shelf.background
        app.batches = batch_worker(settings, app, store, doors, shelf)
        people = People(store, gate, identity, users, own, audit)
        app.oidc = await oidc_face(settings, store, tokens, vouched, gate)
        app.handlers = handlers_of(settings, app, store, doors, shelf, people, audit)
        tasks = [asyncio.create_task(job) for job in lasting(app, store, works=settings.jobs.worker)]
        stack.push_async_callback(finish, tasks, writer, slices, store)
        stack.push_async_callback(app.background.aclose)
        stack.push_async_callback(app.worker.aclose)
        yield app
