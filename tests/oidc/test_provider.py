"""An OpenID provider that others wrote (oidc-provider-mock, made of Authlib), in a process and an environment of its own."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aldgate.config.issuers import IssuerEntry
from aldgate.config.secret import Secret
from aldgate.core.levels import Role
from aldgate.oidc.tokens import build_tokens
from tests.clients.installing import python
from tests.oidc.asking import Clock
from tests.oidc.browsing import Console, console_of

pytestmark = pytest.mark.anyio

ANN = '{"sub": "ann", "email": "ann@example.com", "email_verified": true, "roles": ["staff"]}'


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The provider's."""
    command = [python(Path(__file__).with_name("provider.lock")), "-m", "oidc_provider_mock", "--port", "0", "--user-claims", ANN]
    running = subprocess.Popen(
        command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]}
    )
    assert running.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(running.stdout, selectors.EVENT_READ)
            assert selector.select(60), "the provider printed nothing"
        said = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in running.stdout)
        found = next((match for match in said if match is not None), None)
        assert found is not None, "the provider does not say where it listens"
        yield found[0]
    finally:
        running.terminate()
        running.wait(10)
        running.stdout.close()


@pytest.fixture
async def console(url: str) -> AsyncIterator[Console]:
    roles: dict[str, Role] = {"staff": "member"}
    entry = IssuerEntry(issuer=url, client_id="gate", client_secret=Secret("its-secret"), roles=roles)
    tokens = build_tokens({"corp": entry})
    async with console_of(tokens, Clock()) as made:
        yield made
    await tokens.aclose()


async def sent_back(console: Console) -> str:
    """Where the provider sends the browser once its form is filled in."""
    begun = await console.begin(next="/ui/keys")
    form = await console.browser.get(begun.headers["location"])
    assert form.status_code == 200, form.text
    filled = await console.browser.post(begun.headers["location"], data={"sub": "ann"})
    assert filled.status_code == 302, filled.text
    return filled.headers["location"]


async def test_somebody_logs_in(console: Console) -> None:
    came = await console.come_back(await sent_back(console))
    assert came.status_code == 303, came.text
    assert came.headers["location"] == "/ui/keys"
    (ann,) = console.came
    assert (ann.subject, ann.email, ann.is_email_verified, ann.roles) == ("ann", "ann@example.com", True, {"member"})


async def test_another_browser_does_not(console: Console) -> None:
    back = await sent_back(console)
    console.browser.cookies.clear()
    assert (await console.come_back(back)).status_code == 401 and console.came == []


async def test_a_code_that_is_not_the_providers(console: Console) -> None:
    back = await sent_back(console)
    told = await console.come_back(back.replace("code=", "code=x"))
    assert told.status_code == 401 and "did not confirm" in told.text and console.came == []
