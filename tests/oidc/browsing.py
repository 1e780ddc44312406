"""A console that one logs in to, on a port of its own, and the browser in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from aldgate.core.claims import Claims
from aldgate.oidc.login import Logins
from aldgate.oidc.tokens import Tokens
from aldgate.surfaces.http.front import Front
from aldgate.surfaces.people.oidc import PATH, OidcFace
from aldgate.surfaces.server.listener import Bounds
from aldgate.surfaces.server.server import Address, Server
from tests.oidc.asking import Clock

KEY = b"k" * 32


class Console:
    """A gate whose console one logs in to, and the browser in front of it.

    Attributes:
        came: Whom the sessions are for.
        answer: What the session's beginning answers.
    """

    def __init__(self, browser: httpx2.AsyncClient, url: str, clock: Clock) -> None:
        self.browser = browser
        self.url = url
        self.clock = clock
        self.came: list[Claims] = []
        self.answer: Any = (200, [(b"set-cookie", b"session=1; HttpOnly"), (b"content-type", b"text/plain")], b"hello")

    async def sign_in(self, claims: Claims) -> Any:
        self.came.append(claims)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def begin(self, **query: str) -> httpx2.Response:
        return await self.browser.get(f"{self.url}{PATH}/corp", params=query)

    async def at_issuer(self, **query: str) -> str:
        """The URL by which the issuer sends the browser back."""
        begun = await self.begin(**query)
        assert begun.status_code == 303, begun.text
        allowed = await self.browser.get(begun.headers["location"])
        assert allowed.status_code == 302, allowed.text
        return allowed.headers["location"]

    async def come_back(self, url: str) -> httpx2.Response:
        return await self.browser.get(url)


@asynccontextmanager
async def console_of(tokens: Tokens, clock: Clock, public_url: str = "") -> AsyncIterator[Console]:
    async with httpx2.AsyncClient(trust_env=False) as browser:
        made = Console(browser, "", clock)
        face = OidcFace(Logins(tokens.issuers, KEY, clock), made.sign_in, public_url=public_url, new_id=lambda: "req-1")
        server = Server([Address("127.0.0.1", 0, Front({("GET", PATH): face.list}, [("GET", f"{PATH}/", face.serve)]))], Bounds())
        await server.open()
        serving = asyncio.create_task(server.until_stopped())
        made.url = server.urls[0]
        try:
            yield made
        finally:
            server.stop()
            await serving
            await server.drain(5)
