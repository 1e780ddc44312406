"""A gate's side of a fake issuer: its entry in the configuration, and the verifier made of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aldgate.config.issuers import IssuerEntry, check_issuers
from aldgate.oidc.tokens import Tokens, build_tokens
from aldgate.testing.issuer import FakeIssuer


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
