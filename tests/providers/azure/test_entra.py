import asyncio
import json

import pytest

from aldgate.core.errors import GatewayError, UpstreamAuth, UpstreamInvalid
from aldgate.providers.azure.entra import Tokens
from aldgate.testing.upstream import FakeUpstream, Step, azure, wire
from aldgate.upstream.pool import Origin, Pool


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def tokens(upstream: FakeUpstream, clock: Clock | None = None) -> Tokens:
    pool = Pool(Origin.of(upstream.url))
    return Tokens(pool, "/base", tenant="a b", client_id="app", secret="s&=+", scope="https://x/.default", clock=clock or Clock())


def giving(*replies: bytes) -> list[Step]:
    return [Step("token", lambda _, reply=reply: iter([reply])) for reply in replies]


@pytest.mark.anyio
async def test_a_token_is_asked_for_as_the_protocol_has_it_and_once_for_all() -> None:
    async with FakeUpstream() as upstream:
        upstream.script(*giving(azure.token(3600)))
        entra = tokens(upstream)
        assert entra.ready() is None
        assert await asyncio.gather(*(entra.token() for _ in range(5))) == ["entra-token"] * 5
        assert entra.ready() == "entra-token"
        (seen,) = upstream.requests
        assert seen.path == "/base/a%20b/oauth2/v2.0/token"
        assert seen.header("content-type") == "application/x-www-form-urlencoded"
        assert (
            seen.body == b"grant_type=client_credentials&client_id=app&client_secret=s%26%3D%2B&scope=https%3A%2F%2Fx%2F.default"
        )
        await entra.pool.aclose()


@pytest.mark.anyio
async def test_a_token_is_renewed_before_it_expires_and_kept_while_that_fails() -> None:
    clock = Clock()
    async with FakeUpstream() as upstream:
        upstream.script(*giving(azure.token(3600, "one"), azure.token(3600, "two")))
        entra = tokens(upstream, clock)
        await entra.token()
        clock.now += 3600 - 300.5
        assert entra.ready() == "one"
        clock.now += 1
        assert entra.ready() is None and await entra.token() == "two"
        clock.now += 3600 - 1
        upstream.script(*giving(wire.whole(b"", status=503)))
        assert await entra.token() == "two", "it still holds"
        clock.now += 2
        upstream.script(*giving(wire.whole(b"", status=503)))
        with pytest.raises(UpstreamInvalid):
            await entra.token()
        await entra.pool.aclose()


@pytest.mark.anyio
async def test_a_token_that_was_refused_is_replaced_unless_it_is_already() -> None:
    async with FakeUpstream() as upstream:
        upstream.script(*giving(azure.token(3600, "one"), azure.token(3600, "two")))
        entra = tokens(upstream)
        await entra.token()
        entra.refused("one")
        assert await entra.token() == "two"
        entra.refused("one")
        assert entra.ready() == "two"
        await entra.pool.aclose()


REFUSED = json.dumps({"error": "invalid_client", "error_description": "AADSTS7000215: s&=+"}).encode()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (wire.whole(REFUSED, status=401), UpstreamAuth),
        (wire.whole(b"{}", status=400), UpstreamAuth),
        (wire.whole(b"<html>", status=404), UpstreamInvalid),
        (wire.whole(b"{}"), UpstreamInvalid),
        (azure.token(3600, "a\r\nb"), UpstreamInvalid),
        (wire.whole(b"", status=302), UpstreamInvalid),
    ],
    ids=range(6),
)
@pytest.mark.anyio
async def test_no_token_is_an_error_that_tells_no_secret(reply: bytes, kind: type[GatewayError]) -> None:
    async with FakeUpstream() as upstream:
        upstream.script(*giving(reply))
        entra = tokens(upstream)
        with pytest.raises(kind) as raised:
            await entra.token()
        assert "s&=+" not in str(raised.value)
        await entra.pool.aclose()
