"""Requests to addresses that callers named: none leads into a private network, whatever its name says."""

from __future__ import annotations

import ssl

import pytest

from aldgate.core.errors import UpstreamUnreachable
from aldgate.upstream.outward import Outward

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "127.1", "2130706433", "0x7f000001"])
async def test_no_spelling_of_this_machine_is_reached(host: str) -> None:
    outward = Outward(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), 5.0, allow_private=False)
    try:
        with pytest.raises(UpstreamUnreachable):
            await outward.post(f"http://{host}:9/hook", {}, b"{}")
    finally:
        await outward.aclose()
