"""Liveness, readiness and metrics: no credential on loopback, no I/O for liveness, never a live probe of an upstream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from aldgate import __version__
from aldgate.core.errors import GatewayError, ScopeDenied
from aldgate.gate.gate import Gate
from aldgate.gate.principals.identity import Identity
from aldgate.surfaces.http.asgi import Headers, Receive, Scope, Send, send_whole
from aldgate.surfaces.http.credentials import principal_of
from aldgate.surfaces.http.faults import render_for_path

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Probes:
    """What probes ask of any process.

    Args:
        reasons: Why it is not ready, in words; empty when it is.
    """

    def __init__(self, reasons: Callable[[], Awaitable[list[str]]]) -> None:
        self._reasons = reasons

    async def health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET and HEAD /health: the process answers. One superset of what the five united gateways answered."""
        body: dict[str, Any] = {
            "status": "ok",
            "ok": True,
            "success": True,
            "gateway": "healthy",
            "data": {"status": "healthy"},
            "error": None,
            "timestamp": datetime.now(UTC).isoformat(),
        }
        await _send_json(send, scope, 200, body)

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET and HEAD /ready: 200, or 503 with reasons."""
        reasons = await self._reasons()
        is_ready = not reasons
        body = {"status": "ready" if is_ready else "not_ready", "ok": is_ready, "ready": is_ready, "reasons": reasons}
        await _send_json(send, scope, 200 if is_ready else 503, body)

    async def version(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /version."""
        await _send_json(send, scope, 200, {"name": "aldgate", "version": __version__})


class HealthFace(Probes):
    """What probes and scrapers ask of a gate.

    Args:
        reasons: As of `Probes`.
        exposed: The metrics as Prometheus reads them.
    """

    def __init__(
        self,
        gate: Gate,
        identity: Identity,
        reasons: Callable[[], Awaitable[list[str]]],
        exposed: Callable[[], Awaitable[bytes]],
    ) -> None:
        super().__init__(reasons)
        self._exposed = exposed
        self._gate = gate
        self._identity = identity

    async def here(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET and HEAD /: who listens, and where to read on. Claude Code asks HEAD before its first call."""
        body: dict[str, Any] = {
            "service": "aldgate",
            "version": __version__,
            "message": "One gate in front of every model.",
            "docs_url": "/docs",
            "redoc_url": "/redoc",
            "endpoints": "/openapi.json",
        }
        await _send_json(send, scope, 200, body)

    async def upstreams(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /health/upstreams: how each provider and engine answered last. Nobody is asked now."""
        try:
            await self._check(scope, "What providers there are needs an admin key here.")
        except GatewayError as error:
            return await send_whole(send, *render_for_path(scope["path"], error))
        gate = self._gate
        found = {name: _told(gate.heard.get(name)) for name in gate.backends}
        engines = {name: _told(fault) for name, fault in gate.engines_heard.items()}
        is_ok = all(each["ok"] for each in (*found.values(), *engines.values()))
        await _send_json(send, scope, 200, {"ok": is_ok, "upstreams": found, "engines": engines})

    async def _check(self, scope: Scope, refusal: str) -> None:
        """Open on loopback; elsewhere it needs an admin key."""
        if (scope.get("server") or ("",))[0] not in LOOPBACK:
            principal = await principal_of(scope, self._identity)
            if "admin" not in principal.rights.scopes:
                raise ScopeDenied(refusal)

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /metrics: Prometheus' text format. Open on loopback; elsewhere it needs an admin key."""
        try:
            await self._check(scope, "Metrics need an admin key here.")
        except GatewayError as error:
            return await send_whole(send, *render_for_path(scope["path"], error))
        body = await self._exposed()
        headers = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        await send_whole(send, 200, headers, body)


def _told(fault: tuple[int, str] | None) -> dict[str, Any]:
    status, code = fault if fault is not None else (200, None)
    return {"ok": fault is None, "status": status, "error": code}


async def _send_json(send: Send, scope: Scope, status: int, answer: dict[str, Any]) -> None:
    body = msgspec.json.encode(answer)
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send_whole(send, status, headers, b"" if scope["method"] == "HEAD" else body)
