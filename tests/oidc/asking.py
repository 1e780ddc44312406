"""A gate's side of a fake issuer: its entry in the configuration, and the verifier made of it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aldgate.config.issuers import IssuerEntry, check_issuers
from aldgate.oidc.tokens import Tokens, build_tokens
from aldgate.testing.issuer import FakeIssuer
from aldgate.testing.upstream import Play, Step, Valve, wire
from aldgate.testing.upstream.replies import Asked


class Clock:
    """The real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def entry(issuer: FakeIssuer, **more: Any) -> IssuerEntry:
    found = IssuerEntry(issuer=more.pop("issuer", issuer.url), audience=more.pop("audience", ("aldgate",)), **more)
    check_issuers({"corp": found})
    return found


@asynccontextmanager
async def believing(issuer: FakeIssuer, clock: Clock | None = None, *, trust: str = "", **more: Any) -> AsyncIterator[Tokens]:
    tokens = build_tokens({"corp": entry(issuer, **more)}, ca_bundle=trust, now=clock or Clock())
    try:
        yield tokens
    finally:
        await tokens.aclose()


def saying(document: Any) -> Step:
    """This document (JSON, or the bytes themselves), whatever was asked."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Step("saying", lambda _: iter([wire.whole(body)]))


def held(valve: Valve) -> Step:
    """Nothing until the valve is turned, then a failure."""

    def play(_: Asked) -> Play:
        yield valve
        yield wire.whole(b"{}", status=500)

    return Step("held", play)
