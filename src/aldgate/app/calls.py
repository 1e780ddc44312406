"""The gate, and what stands beside it while it makes calls: the ledger, shared counters, alerts, guardrails, the cache."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from urllib.parse import urlsplit

from aldgate.config.caching import kept_s
from aldgate.config.settings import Settings
from aldgate.core.alerts import parse_percents
from aldgate.core.errors import GatewayError
from aldgate.core.guardrails.kinds import Moderation, Webhook
from aldgate.gate.gate import Gate
from aldgate.gate.metrics import Metrics
from aldgate.gate.moderating import Moderator
from aldgate.gate.money.alerts import Alerts, Mailbox
from aldgate.gate.money.slices import Slices
from aldgate.gate.reload.roster import Roster
from aldgate.gate.translation.guarding import Guarding
from aldgate.limiter.memory import MemoryLimiter
from aldgate.limiter.shared import SharedLimits, opener
from aldgate.limiter.valkey.limiter import ValkeyLimiter
from aldgate.storage import SliceRequest, Store
from aldgate.store.writer import LedgerWriter, wait_for_event
from aldgate.upstream.pool import Origin, Pool
from aldgate.upstream.tls import client_context
from aldgate.upstream.webhooks import Webhooks

log = logging.getLogger("aldgate")


def gate_of(
    settings: Settings,
    roster: Roster,
    store: Store,
    slices: Slices,
    writer: LedgerWriter,
    metrics: Metrics,
    valkey: ValkeyLimiter | None,
) -> Gate:
    """The gate itself."""
    refuses = settings.ledger.on_failure == "refuse"
    return Gate(
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


def writer_of(settings: Settings, store: Store, report: Callable[[], Sequence[SliceRequest]]) -> LedgerWriter:
    """What writes the ledger, with a report of slices at each write."""
    return LedgerWriter(
        store,
        window_s=settings.ledger.window_s,
        on_failure=settings.ledger.on_failure,
        report=report,
        on_alarm=lambda is_failing: None,  # it logs it, `/ready` and the metrics show it
    )


async def open_valkey(settings: Settings, incarnation: str) -> ValkeyLimiter | None:
    """Shared counters; None if they are not configured. Where they do not answer, the gate starts without them."""
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


def alerts_of(settings: Settings, store: Store) -> Alerts:
    """What tells the operator that budgets are being spent: in the log, and at the URL that is configured."""
    budgets, mailbox = settings.budgets, None
    if budgets.alert_url and budgets.alert_secret is not None:
        parts = urlsplit(budgets.alert_url)
        origin = Origin.of(f"{parts.scheme}://{parts.netloc}")
        upstream = settings.upstream
        tls = client_context(verify=upstream.verify_tls, ca_bundle=upstream.ca_bundle, client_cert="") if origin.is_tls else None
        mailbox = Mailbox(budgets.alert_url, budgets.alert_secret.reveal(), Pool(origin, max_body_bytes=65_536, tls=tls))
    return Alerts(store, parse_percents(budgets.alerts), mailbox, now=time.time, wait=wait_for_event)


def guard(settings: Settings, roster: Roster, gate: Gate, stack: AsyncExitStack) -> None:
    """Let guardrails ask other models and webhooks."""
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


def cache_terms(settings: Settings) -> tuple[dict[str, int], int, bool]:
    """How long answers are kept by kind of call, in how many bytes, and whether those of an unset temperature are."""
    return kept_s(settings), settings.cache.max_bytes, settings.cache.unset_temperature
