"""The composition root: the only file that imports everything."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aldgate import __version__
from aldgate.artifacts.local import Artifacts
from aldgate.config.caching import kept_s
from aldgate.config.caller_keys import caller_keys
from aldgate.config.check import is_on_loopback
from aldgate.config.errors import ConfigError
from aldgate.config.secret import Secret
from aldgate.config.settings import Auth, Listener, Settings
from aldgate.config.stray import warnings
from aldgate.core.alerts import parse_percents
from aldgate.core.errors import GatewayError, InvalidConfiguration
from aldgate.core.guardrails.kinds import Moderation, Webhook
from aldgate.gate.alerts import Alerts, Mailbox
from aldgate.gate.audit import Audit
from aldgate.gate.clients import Clients
from aldgate.gate.gate import Gate
from aldgate.gate.guarding import Guarding
from aldgate.gate.identity import Identity
from aldgate.gate.issued import TokenResolver
from aldgate.gate.metrics import Metrics
from aldgate.gate.moderating import Moderator
from aldgate.gate.neighbours import Neighbours
from aldgate.gate.own_credentials import OwnCredentials
from aldgate.gate.people import People
from aldgate.gate.reload import Reloader
from aldgate.gate.roster import Roster
from aldgate.gate.secret_checks import SecretChecks
from aldgate.gate.sessions import SessionResolver, Sessions
from aldgate.gate.slices import Slices
from aldgate.gate.static_keys import StaticKeys
from aldgate.gate.users import Users
from aldgate.gate.vault import Vault
from aldgate.gate.vouched import VouchedUsers
from aldgate.gate.watch import Watch
from aldgate.jobs.batch_run import Shop
from aldgate.jobs.batches import BatchWorker
from aldgate.jobs.files import Files
from aldgate.limiter.memory import MemoryLimiter
from aldgate.limiter.shared import SharedLimits, opener
from aldgate.limiter.valkey.limiter import ValkeyLimiter
from aldgate.logs import configure_logging
from aldgate.oidc.login import Logins
from aldgate.oidc.tokens import Tokens, build_tokens
from aldgate.ports import Resolver
from aldgate.registry import UnknownName
from aldgate.storage import Store
from aldgate.store.store import SqlStore
from aldgate.store.stores import open_url
from aldgate.store.writer import LedgerWriter, wait_for_event
from aldgate.surfaces.asgi import Handler
from aldgate.surfaces.background import Background
from aldgate.surfaces.banner import banner
from aldgate.surfaces.bodies import BytesInFlight
from aldgate.surfaces.cache import Cache
from aldgate.surfaces.face import Doors
from aldgate.surfaces.fellows import Fellows
from aldgate.surfaces.front import Front
from aldgate.surfaces.health import HealthFace
from aldgate.surfaces.idempotency import Once
from aldgate.surfaces.listener import Bounds
from aldgate.surfaces.oidc import OidcFace
from aldgate.surfaces.origins import Origins
from aldgate.surfaces.paths import SURFACES, batch_endpoint, every_path, health_paths
from aldgate.surfaces.registration import Registration
from aldgate.surfaces.server import BACKLOG, Address, CannotListen, Server, bind, tls_context
from aldgate.surfaces.shelf import Shelf
from aldgate.surfaces.sign_in import VouchedSignIn
from aldgate.surfaces.workers import Seat, Workers
from aldgate.upstream.pool import Origin, Pool
from aldgate.upstream.tls import client_context
from aldgate.upstream.webhooks import Webhooks

log = logging.getLogger("aldgate")


TIDY_S = 3_600


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
        self.identity: Identity
        self.watch: Watch
        self.alerts: Alerts
        self.neighbours: Neighbours
        self.oidc: OidcFace
        self.valkey: ValkeyLimiter | None
        self.writer: LedgerWriter
        self.cache: Cache
        self.files: Files
        self.batches: BatchWorker
        self.clients: Clients
        self.shelf: Shelf
        self.background: Background
        self.exposed: Callable[[], Awaitable[bytes]]


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
        app.store = store = _store(settings, incarnation)
        stack.push_async_callback(store.aclose)
        await store.open()
        own = OwnCredentials(store, await _vault(store, settings.auth.encryption_key))
        app.clients = clients = await _clients(store, _directory(settings.auth.client_config_dir))
        resolvers: list[Resolver] = [clients]
        app.identity = identity = await _identity(store, settings.auth, resolvers, own)
        users = _users(settings, store, identity, own)
        resolvers += [SessionResolver(users.sessions, carrier) for carrier in (b"session", b"")]
        tokens = build_tokens(settings.auth.issuers, ca_bundle=settings.upstream.ca_bundle)
        stack.push_async_callback(tokens.aclose)
        vouched = VouchedUsers(store, users, own.bring)
        resolvers.append(TokenResolver(tokens, store, vouched))
        app.make_admin_key = partial(_make_admin_key, store, identity, settings.auth.admin_key)
        slices = Slices(store, incarnation, time.time)
        app.alerts = _alerts(settings, store)
        stack.push_async_callback(app.alerts.aclose)
        app.writer = writer = LedgerWriter(
            store,
            window_s=settings.ledger.window_s,
            on_failure=settings.ledger.on_failure,
            report=lambda: app.alerts.noting(slices.reports()),
            on_alarm=lambda is_failing: None,  # the writer logs it, `/ready` and the metrics show it
        )
        await roster.look()
        for problem in roster.problems:
            log.warning("%s", problem)
        in_flight = BytesInFlight(settings.server.max_inflight_bytes)
        refuses = settings.ledger.on_failure == "refuse"
        metrics = Metrics({})
        valkey = await _valkey(settings, incarnation)
        if valkey is not None:
            stack.push_async_callback(valkey.aclose)
        app.valkey = valkey
        app.gate = gate = Gate(
            catalogue=roster.catalogue,
            backends=roster.backends,
            store=store,
            limiter=MemoryLimiter(),
            slices=slices,
            append=writer.append,
            may_record=lambda: not (refuses and writer.is_failing),
            metrics=metrics,
            default_max_tokens=settings.limits.default_max_tokens,
            step_tokens=settings.limits.stream_step_tokens,
            logs_calls=settings.log.calls,
            retries=settings.routing.retries,
            shared=None if valkey is None else SharedLimits(valkey),
        )
        roster.serve(gate)
        app.identity, app.watch = identity, Watch(gate, identity)
        identity.on_change = app.watch.ask
        _guard(settings, roster, gate, stack)
        app.cache = cache = Cache(*_cache_terms(settings))
        app.reloader = reloader = Reloader(settings, roster, gate, identity, lambda new: cache.change(*_cache_terms(new)))
        changed = {"principals": identity.forget, "configuration": reloader.ask, "clients": clients.ask}
        app.neighbours = slices.neighbours = Neighbours(
            store, incarnation, slices.give_back, changed, settings.limits.recall_ms / 1000
        )
        await app.neighbours.look()
        metrics.gauges |= _gauges(app, in_flight)
        app.exposed = await _exposed(metrics, seat, stack)
        app.files = _files(settings, store)
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
        shelf = _shelf(settings, store, in_flight, incarnation)
        app.shelf = shelf
        app.background = shelf.background
        app.batches = _batches(settings, app, store, doors, shelf)
        audit = Audit(store)
        people = People(store, gate, identity, users, own, audit)
        app.oidc = await _oidc(settings, store, tokens, vouched, gate)
        app.handlers = _handlers(settings, app, store, doors, shelf, people, audit)
        tasks = [asyncio.create_task(job) for job in _jobs(app, store)]
        stack.push_async_callback(_finish, tasks, writer, slices, store)
        stack.push_async_callback(app.background.aclose)
        yield app


def _gauges(app: App, in_flight: BytesInFlight) -> dict[str, tuple[str, Callable[[], float]]]:
    return {
        "aldgate_calls_under_way": ("Calls admitted and not settled.", lambda: app.gate.under_way),
        "aldgate_request_bytes_held": ("Bytes of request bodies held.", lambda: in_flight.held),
        "aldgate_ledger_rows_lost": ("Ledger rows dropped because the database was away too long.", lambda: app.writer.lost_rows),
        "aldgate_ledger_failing": ("1 while the ledger cannot be written.", lambda: float(app.writer.is_failing)),
        "aldgate_cache_bytes": ("Bytes of answers kept to be given again.", lambda: app.cache.bytes),
        "aldgate_valkey_up": ("1 while limits are counted together in Valkey.", lambda: float(_is_valkey_up(app))),
        "aldgate_processes": ("Processes that share the database and were seen lately.", lambda: len(app.neighbours.alive)),
        "aldgate_reload_failing": ("1 while the configuration cannot be used.", lambda: float(app.reloader.is_failing)),
    }


def _is_valkey_up(app: App) -> bool:
    return app.valkey is not None and app.valkey.is_up


async def _valkey(settings: Settings, incarnation: str) -> ValkeyLimiter | None:
    wanted = settings.valkey
    if not wanted.url:
        return None
    is_open = opener(wanted.on_failure == "open", wanted.open_limits, wanted.closed_limits)
    ca_bundle = wanted.ca_bundle
    tls = client_context(verify=True, ca_bundle=ca_bundle, client_cert="") if ca_bundle else None
    valkey = ValkeyLimiter(
        wanted.url, process=f"{socket.gethostname()}/{incarnation}", is_open=is_open, timeout_s=wanted.timeout_ms / 1000, tls=tls
    )
    try:
        await valkey.open()
    except GatewayError as error:
        log.warning("limits are not counted together until Valkey answers: %s", error.message)
    return valkey


def _jobs(app: App, store: Store) -> tuple[Coroutine[Any, Any, None], ...]:
    return (
        *(() if app.valkey is None else (app.valkey.run(),)),
        app.writer.run(),
        app.roster.sweeper.run(),
        app.watch.run(),
        app.alerts.run(),
        app.reloader.run(),
        app.clients.run(app.identity.forget),
        _looking(app),
        _tidying(app.files, store),
        app.batches.run(),
        app.background.run(),
        app.neighbours.run(),
    )


async def _exposed(metrics: Metrics, seat: Seat | None, stack: AsyncExitStack) -> Callable[[], Awaitable[bytes]]:
    """What `/metrics` answers: of several workers on one machine, each for all."""
    if seat is not None:
        fellows = Fellows(seat.directory, seat.number, seat.places, metrics.expose)
        await fellows.open()
        stack.push_async_callback(fellows.aclose)
        return fellows.exposed

    async def own() -> bytes:
        return metrics.expose()

    return own


def _alerts(settings: Settings, store: Store) -> Alerts:
    budgets, mailbox = settings.budgets, None
    if budgets.alert_url and budgets.alert_secret is not None:
        parts = urlsplit(budgets.alert_url)
        origin = Origin.of(f"{parts.scheme}://{parts.netloc}")
        upstream = settings.upstream
        tls = client_context(verify=upstream.verify_tls, ca_bundle=upstream.ca_bundle, client_cert="") if origin.is_tls else None
        mailbox = Mailbox(budgets.alert_url, budgets.alert_secret.reveal(), Pool(origin, max_body_bytes=65_536, tls=tls))
    return Alerts(store, parse_percents(budgets.alerts), mailbox, now=time.time, wait=wait_for_event)


def _guard(settings: Settings, roster: Roster, gate: Gate, stack: AsyncExitStack) -> None:
    webhooks = _webhooks(settings, roster)
    stack.push_async_callback(webhooks.aclose)
    gate.attempts.guarding = Guarding({Moderation: Moderator(gate).judge, Webhook: webhooks.judge})


def _webhooks(settings: Settings, roster: Roster) -> Webhooks:
    trust = settings.upstream
    return Webhooks(
        settings.guardrails.webhook_secret,
        partial(client_context, verify=trust.verify_tls, ca_bundle=trust.ca_bundle, client_cert=trust.client_cert),
        roster.sweeper,
        max_body_bytes=settings.server.max_reply_bytes,
    )


def _cache_terms(settings: Settings) -> tuple[dict[str, int], int, bool]:
    return kept_s(settings), settings.cache.max_bytes, settings.cache.unset_temperature


async def _finish(tasks: list[asyncio.Task[None]], writer: LedgerWriter, slices: Slices, store: Store) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await writer.aclose()
    await slices.give_all_back()
    with contextlib.suppress(GatewayError):  # it is taken for dead soon in any case
        await store.leave()


async def _looking(app: App) -> None:
    """Look for models again from time to time."""
    while True:
        await asyncio.sleep(app.reloader.settings.discovery.interval_s)
        await app.roster.look()
        app.gate.slices.forget_past()


async def _tidying(files: Files, store: Store) -> None:
    """Remove from time to time what has expired."""
    while True:
        await asyncio.sleep(TIDY_S)
        try:
            await files.sweep()
            await store.forget_dead()
        except (GatewayError, OSError) as error:
            log.warning("what has expired could not be removed", exc_info=error)


def _files(settings: Settings, store: Store) -> Files:
    artifacts = Artifacts(Path(settings.data).absolute() / "artifacts")
    bounds = settings.files
    return Files(store, artifacts, most_bytes=bounds.max_bytes, quota_bytes=bounds.quota_bytes, now=time.time)


def _shelf(settings: Settings, store: Store, in_flight: BytesInFlight, incarnation: str) -> Shelf:
    bounds = settings.responses
    memory = BytesInFlight(settings.server.max_inflight_bytes // 4)
    background = Background(
        store, in_flight, memory, most=bounds.max_background, quota_bytes=bounds.quota_bytes, now=time.time, wait=wait_for_event
    )
    return Shelf(store, incarnation, bounds.quota_bytes, memory, background)


def _batches(settings: Settings, app: App, store: Store, doors: Doors, shelf: Shelf) -> BatchWorker:
    return BatchWorker(
        Shop(
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


def _store(settings: Settings, incarnation: str) -> SqlStore:
    data = Path(settings.data).absolute()
    url = settings.store or f"sqlite:///{data / 'aldgate.db'}"
    try:
        if not settings.store:
            data.mkdir(parents=True, exist_ok=True, mode=0o700)
        return open_url(url, incarnation, durability=settings.ledger.durability)
    except OSError as error:
        hint = "name another directory with --data or ALDGATE_DATA"
        raise ConfigError(f"`data`: {data} cannot be made: {error.strerror}", hint=hint) from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"`store`: {error.name} is not installed", hint="pip install 'aldgate[postgres]'") from None
    except (UnknownName, ValueError) as error:
        hint = "write `sqlite:////path/to/aldgate.db` or `postgresql://user:password@host/database`"
        raise ConfigError(f"`store`: {error}", hint=hint) from None


async def _clients(store: Store, directory: Path | None) -> Clients:
    clients = Clients(store, SecretChecks(), directory)
    try:
        await clients.reload()
    except InvalidConfiguration as error:
        raise ConfigError(error.message, hint="name a directory that can be read, or none") from None
    return clients


def _directory(name: str) -> Path | None:
    return Path(name).expanduser().absolute() if name else None


async def _identity(store: Store, auth: Auth, resolvers: list[Resolver], own: OwnCredentials) -> Identity:
    preset = auth.admin_key
    pepper, _ = await store.secret("pepper", secrets.token_bytes(32))
    identity = Identity(store, pepper, b"", resolvers=resolvers, dress=own.bring)
    callers = ((key.secret.reveal().encode(), key.name, key.policy) for key in caller_keys(auth))
    admin = b"" if auth.admin_secret is None else auth.admin_secret.reveal().encode()
    resolvers.append(StaticKeys(identity.digest, callers, admin))
    if preset is not None:
        identity.appoint(identity.digest(preset.reveal().encode()))
    return identity


async def _vault(store: SqlStore, preset: Secret | None) -> Vault:
    """The keys that are configured come first; what the store's own sealed before opens all the same."""
    kept, _ = await store.secret("vault", secrets.token_bytes(32))
    configured = [] if preset is None else [part.encode() for part in preset.reveal().split()]
    return Vault([*configured, kept])


async def _oidc(settings: Settings, store: SqlStore, tokens: Tokens, vouched: VouchedUsers, gate: Gate) -> OidcFace:
    secret, _ = await store.secret("oidc_login", secrets.token_bytes(32))
    public_url = settings.auth.public_url
    sign_in = VouchedSignIn(vouched, is_secure=public_url.startswith("https:"))
    return OidcFace(Logins(tokens.issuers, secret, time.time), sign_in, public_url=public_url, new_id=gate.new_id)


def _users(settings: Settings, store: SqlStore, identity: Identity, own: OwnCredentials) -> Users:
    auth = settings.auth
    idle_s, lifetime_s = auth.session_idle_s, auth.session_lifetime_s
    return Users(store, identity, Sessions(store, identity, own.bring, idle_s=idle_s, lifetime_s=lifetime_s, now=time.time))


async def _make_admin_key(store: Store, identity: Identity, preset: Secret | None) -> str | None:
    if preset is not None:
        return None
    fresh = "agk-admin-" + secrets.token_urlsafe(32)
    digest, is_new = await store.secret("admin_digest", identity.digest(fresh.encode()))
    identity.appoint(digest)
    return fresh if is_new else None


def _handlers(
    settings: Settings, app: App, store: Store, doors: Doors, shelf: Shelf, people: People, audit: Audit
) -> dict[str, Handler]:
    gate, writer, identity = app.gate, app.writer, doors.identity

    async def reasons() -> list[str]:
        found = ["the gate is stopping"] if gate.is_draining else []
        if writer.is_failing:
            found.append("the ledger cannot be written")
        try:
            await store.ping()
        except GatewayError as error:
            found.append(error.message)
        return found

    health = HealthFace(gate, identity, reasons, app.exposed)

    def administration() -> Handler:
        return SURFACES.load("api")(
            store=store,
            identity=identity,
            committed=writer.committed,
            new_id=gate.new_id,
            files=app.files,
            batches=app.batches,
            reloader=app.reloader,
            in_flight=doors.in_flight,
            most_unfinished=settings.batches.max_unfinished,
            audit=audit,
            registration=Registration(settings.auth.open_registration, is_on_loopback(settings.server)),
            clients=app.clients,
            tell=app.neighbours.change,
            people=people,
        ).app

    return {
        "all": every_path(doors, shelf, health, app.clients, app.oidc, administration, Origins(settings.server.cors_origins)),
        "ops": Front(health_paths(health), new_id=gate.new_id),
    }


async def run(settings: Settings, seat: Seat | None = None, bound: Sequence[socket.socket | None] = ()) -> None:
    """Serve until told to stop, then let calls under way end.

    Args:
        settings: What is to be served.
        seat: This process's place among several workers.
        bound: The sockets of the listeners, where others serve on them, too.
    """
    async with create(settings, seat) as app:
        bounds = Bounds(
            settings.server.max_head_bytes,
            settings.server.head_timeout_s,
            settings.server.body_min_bytes_per_s,
            settings.server.keep_alive_s,
            settings.server.max_connections,
            settings.server.max_body_bytes,
        )
        if seat is not None and seat.is_successor:
            await _catch_up(app.reloader)
        listeners = settings.server.listeners
        sockets = bound or [None] * len(listeners)
        addresses = [_address(listener, app, each) for listener, each in zip(listeners, sockets, strict=True)]
        proxies = [ip_network(network) for network in settings.server.trusted_proxies]
        server = Server(addresses, bounds, proxies, seat.parent if seat is not None else None)
        await server.open()
        _on_hangup(app.reloader.ask)
        _spare_the_collector()
        fresh_admin_key = await app.make_admin_key()
        if seat is None or seat.is_first_of_all:
            sys.stdout.write(banner(settings, server.urls, fresh_admin_key, app.gate.catalogue))
            sys.stdout.flush()
        if seat is not None:
            seat.ready()
        await server.until_stopped()
        app.gate.is_draining = True
        await asyncio.gather(*(each.drain(settings.server.drain_s) for each in (server, app.batches, app.background)))


async def _catch_up(reloader: Reloader) -> None:
    """Take over what the other workers have since they began."""
    try:
        await reloader.reload()
    except ConfigError as error:
        log.error("a worker begins with the configuration of the start: %s", error.message, extra={"hint": error.hint})


def _on_hangup(ask: Callable[[], None]) -> None:
    """SIGHUP reads the configuration again, as it does with other servers; a terminal that closes ends the gate no longer."""
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows has neither the signal nor handlers in its loop
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, ask)


def check(settings: Settings) -> None:
    """See that the parts that read their own settings can: providers, engines, TLS, the database's URL. Connects to nothing.

    Raises:
        ConfigError: One cannot.
    """
    Roster(settings)
    build_tokens(settings.auth.issuers, ca_bundle=settings.upstream.ca_bundle)
    if settings.store:
        _store(settings, "check")
    for listener in settings.server.listeners:
        try:
            tls_context(listener.tls_cert, listener.tls_key)
        except CannotListen as error:
            raise ConfigError(str(error), hint=error.hint) from error


def _spare_the_collector() -> None:
    """Take what the start made out of the garbage collector's sight and let it look less often: calls make no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 50)


def _address(listener: Listener, app: App, listening: socket.socket | None) -> Address:
    handler = app.handlers[listener.faces]
    return Address(listener.host, listener.port, handler, listener.tls_cert, listener.tls_key, listening)


def serve(settings: Settings) -> None:
    """Run the gate; returns when it has stopped. Prints what went wrong, with a hint, and exits with 1."""
    configure_logging(settings.log.level, settings.log.format)
    log.info("starting", extra={"version": __version__, "pid": os.getpid()})
    for warning in warnings(settings):
        log.warning(warning)
    with _telling():
        if settings.server.workers == 1:
            return _serve_here(settings)
        bound = [bind(listener.host, listener.port) for listener in settings.server.listeners]
        for each in bound:
            each.listen(BACKLOG)

    def work(seat: Seat) -> None:
        with _telling():
            _serve_here(settings, seat, bound)

    def close() -> None:
        for each in bound:
            each.close()

    sys.exit(Workers(settings.server.workers, work, close, settings.server.drain_s).run())


def _serve_here(settings: Settings, seat: Seat | None = None, bound: Sequence[socket.socket] = ()) -> None:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run(settings, seat, bound))


@contextmanager
def _telling() -> Generator[None]:
    try:
        yield
    except ConfigError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")
    except CannotListen as error:
        sys.exit(f"error: {error}\nhint: {error.hint}")
    except GatewayError as error:
        sys.exit(f"error: {error.message}\nhint: look at `store` and `data` in the configuration ({error.__cause__})")


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # not on every platform
    except ImportError:
        return None
    return uvloop.Loop
