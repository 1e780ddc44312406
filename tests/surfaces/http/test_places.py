"""Endpoints and networks of policies hold on every face, for administration and on sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from aldgate.core.policies import Policy
from aldgate.core.principals import ALL_SCOPES
from aldgate.testing.upstream import FakeUpstream
from tests.policies import key_with
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio
USER = [{"role": "user", "content": "hello"}]
CALLS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/v1/chat/completions", {"model": "gpt-4.1", "messages": USER}),
    ("POST", "/v1/messages", {"model": "gpt-4.1", "max_tokens": 5, "messages": USER}),
    ("POST", "/v1/messages/count_tokens", {"model": "gpt-4.1", "messages": USER}),
    ("POST", "/v1/responses", {"model": "gpt-4.1", "input": "hello"}),
    ("GET", "/v1/responses/resp_x", None),
    ("POST", "/v1beta/models/gpt-4.1:generateContent", {"contents": [{"parts": [{"text": "hello"}]}]}),
    ("POST", "/v1beta/models/gpt-4.1:countTokens", {"contents": [{"parts": [{"text": "hello"}]}]}),
    ("POST", "/api/chat", {"model": "gpt-4.1", "messages": USER}),
    ("POST", "/v1/explain", {"body": {"model": "gpt-4.1", "messages": USER}}),
    ("GET", "/api/tags", None),
    ("GET", "/v1/models", None),
    ("GET", "/v1beta/models", None),
    ("GET", "/v1/files", None),
    ("GET", "/v1/batches", None),
    ("GET", "/v1/usage", None),
    ("GET", "/admin/keys", None),
    ("GET", "/admin/clients", None),
]


@pytest.fixture(scope="module")
async def proxied(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGate]:
    """A gate that believes proxies on this machine."""
    config = '[server]\ntrusted_proxies = ["127.0.0.0/8"]\n'
    data: Path = tmp_path_factory.mktemp("proxied")
    async with running_gate(data, providers={"lab": lab(upstream.url)}, config=config) as gate:
        yield gate


async def ask(gate: RunningGate, call: tuple[str, str, Any], key: str, **headers: str) -> httpx2.Response:
    method, path, body = call
    return await gate.http.request(method, path, json=body, headers={"authorization": f"Bearer {key}", **headers})


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[1])
async def test_an_endpoint_that_is_not_listed_is_refused(gate: RunningGate, call: tuple[str, str, Any]) -> None:
    elsewhere = await key_with(gate, Policy(scopes=ALL_SCOPES, endpoints=("/elsewhere/*",)))
    refused = await ask(gate, call, elsewhere)
    assert refused.status_code == 403 and "key `shaped`" in refused.text and call[1] in refused.text
    here = await key_with(gate, Policy(scopes=ALL_SCOPES, endpoints=(call[1],)))
    assert (await ask(gate, call, here)).status_code not in (401, 403)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[1])
async def test_a_network_that_is_not_listed_is_refused(
    gate: RunningGate, proxied: RunningGate, call: tuple[str, str, Any]
) -> None:
    abroad = Policy(scopes=ALL_SCOPES, networks=("203.0.113.0/24",))
    claimed = {"x-forwarded-for": "203.0.113.9"}
    refused = await ask(gate, call, await key_with(gate, abroad), **claimed)
    assert refused.status_code == 403 and "127.0.0.1" in refused.text
    key = await key_with(proxied, abroad)
    assert (await ask(proxied, call, key, **claimed)).status_code not in (401, 403)
    assert (await ask(proxied, call, key)).status_code == 403
    pretended = {"x-forwarded-for": "203.0.113.9, 198.51.100.1"}
    refused = await ask(proxied, call, key, **pretended)
    assert refused.status_code == 403 and "198.51.100.1" in refused.text


async def test_sockets_have_places_too(gate: RunningGate, proxied: RunningGate) -> None:
    url = gate.url.replace("http", "ws") + "/v1/responses"
    for policy in (Policy(endpoints=("/v1/chat/*",)), Policy(networks=("10.0.0.0/8",))):
        key = await key_with(gate, policy)
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, additional_headers={"authorization": f"Bearer {key}"}, proxy=None):
                raise AssertionError
        assert refused.value.response.status_code == 403
    key = await key_with(proxied, Policy(networks=("10.0.0.0/8",), endpoints=("/v1/responses",)))
    headers = {"authorization": f"Bearer {key}", "x-forwarded-for": "10.1.1.1"}
    async with connect(proxied.url.replace("http", "ws") + "/v1/responses", additional_headers=headers, proxy=None):
        pass
