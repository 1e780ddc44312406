"""A real gate on a loopback port, in the test's own process: the same composition as `aldgate serve`, without its signals."""

from __future__ import annotations

import asyncio
import gc
import secrets
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import trustme

from aldgate.app import App, create
from aldgate.config.loader import load
from aldgate.surfaces.server.listener import Bounds
from aldgate.surfaces.server.server import Address, Server
from tests.databases import environment_of

ADMIN_KEY = "test-admin-" + "0123456789" * 3


class RunningGate:
    """A gate that answers at `url`.

    Attributes:
        http: A client with the admin key and `base_url` set.
    """

    def __init__(self, app: App, server: Server, http: httpx2.AsyncClient) -> None:
        self.app = app
        self.server = server
        self.url = server.urls[0]
        self.http = http

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    async def key(self, name: str = "test", **wanted: Any) -> str:
        """Make a key (`rpm=`, `tpm=`, `tpd=`, `concurrency=`, `budget=`, `expires=`, `scopes=`) and return its secret."""
        reply = await self.http.post("/admin/keys", json={"name": name, **wanted})
        assert reply.status_code == 201, reply.text
        return reply.json()["key"]

    async def usage(self, key: str | None = None, **query: str) -> list[dict[str, Any]]:
        """The ledger's sums, as that key (or the admin) sees them, once everything settled so far is written."""
        await self.app.writer.committed()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        reply = await self.http.get("/v1/usage", params=query, headers=headers)
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]


def anonymous(gate: RunningGate, headers: Mapping[str, str]) -> httpx2.AsyncClient:
    """A client with these headers and no others; without certificates to trust, which take a tenth of a second to read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx2.AsyncClient(base_url=gate.url, trust_env=False, headers=headers, verify=context, timeout=30)


def lab(upstream_url: str, **more: Any) -> dict[str, Any]:
    """The `[providers.lab]` table in front of a fake upstream."""
    return {"kind": "openai", "base_url": upstream_url, "api_key": "env:LAB_KEY", "models": ["gpt-4.1"], **more}


@asynccontextmanager
async def running_gate(
    data: Path,
    *,
    providers: Mapping[str, Mapping[str, Any]] | None = None,
    config: str = "",
    flags: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
    app_face: str = "all",
    authority: trustme.CA | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[RunningGate]:
    """Start a gate with this configuration on a free port, and stop it with everything settled.

    Args:
        data: Its data directory.
        providers: Provider tables, as in the file.
        config: More TOML.
        flags: Dotted settings that beat the file, as in `{"ledger.durability": "strict"}`.
        bounds: What the listener tolerates.
        environment: More of it.
        authority: Issues the gate's certificate: it then speaks HTTPS.
    """
    data.mkdir(parents=True, exist_ok=True)
    file = data / "aldgate.toml"
    file.write_text(config + "".join(provider_table(name, table) for name, table in (providers or {}).items()), encoding="utf-8")
    usual = {"ALDGATE_ADMIN_KEY": ADMIN_KEY, "LAB_KEY": "sk-lab-" + secrets.token_hex(8), **environment_of(data)}
    settings = load(
        flags={"data": str(data), "discovery.local": "false", "server.port": "0", **(flags or {})},
        environment={**usual, **(environment or {})},
        directory=data,
        file=file,
    )
    async with create(settings) as app:
        proxies = [ip_network(network) for network in settings.server.trusted_proxies]
        address = Address("127.0.0.1", 0, app.handlers[app_face], *_certificate(data, authority))
        server = Server([address], bounds or Bounds(), proxies)
        await server.open()
        serving = asyncio.create_task(server.until_stopped())
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        trust = ssl.SSLContext(
            ssl.PROTOCOL_TLS_CLIENT
        )  # without the system's authorities: reading them takes a tenth of a second
        if authority is not None:
            authority.configure_trust(trust)
        try:
            async with httpx2.AsyncClient(
                base_url=server.urls[0], headers=headers, timeout=30, trust_env=False, verify=trust
            ) as http:
                yield RunningGate(app, server, http)
        finally:
            app.gate.is_draining = True
            server.stop()
            await serving
            await server.drain(5)


def _certificate(data: Path, authority: trustme.CA | None) -> tuple[str, str]:
    """Files of a certificate for the loopback address and of its key; empty without an authority."""
    if authority is None:
        return "", ""
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(data / "tls.pem"))
    return str(data / "tls.pem"), str(data / "tls.pem")


def provider_table(name: str, table: Mapping[str, Any]) -> str:
    """The table as it stands in the file."""
    lines = [f"{key} = {_toml(value)}" for key, value in table.items()]
    return f"\n[providers.{name}]\n" + "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector, so that what it would have to undo shows."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
