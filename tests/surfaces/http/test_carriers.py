"""The first carrier of a credential decides, whatever the others bring, and every restriction holds over every carrier."""

from __future__ import annotations

import time
from itertools import combinations

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from aldgate.core.limits import Limits
from aldgate.core.policies import Policy
from tests.policies import key_with
from tests.support import RunningGate

pytestmark = pytest.mark.anyio
HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
CARRIERS = ("authorization", "x-api-key", "x-goog-api-key", "client_id", "x-admin-secret")
"""In the order in which they are looked at."""
OF_KEYS = tuple(carrier for carrier in CARRIERS if carrier != "client_id")
QUERIED = ("?api_key=", "?token=")
STATES = {"good": 200, "bad": 401, "expired": 401, "revoked": 401, "empty": 401}


async def secret_in(gate: RunningGate, state: str) -> str:
    now = time.time()
    if state in ("bad", "empty"):
        return "agk-nobody" if state == "bad" else ""
    ends = {"expired": {"expires_at": now - 1}, "revoked": {"revoked_at": now - 1}}
    return await key_with(gate, Policy(), **ends.get(state, {}))


def carried(carrier: str, secret: str) -> dict[str, str]:
    if carrier == "client_id":
        return {"client_id": "nobody", "client_secret": secret}
    return {carrier: f"Bearer {secret}".strip() if carrier == "authorization" else secret}


async def called(gate: RunningGate, headers: dict[str, str], path: str = "/v1/chat/completions") -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=gate.url, trust_env=False) as http:
        return await http.post(path, json=HELLO, headers=headers)


async def opened(gate: RunningGate, query: str, headers: dict[str, str] | None = None) -> int:
    try:
        url = gate.url.replace("http", "ws", 1) + "/v1/responses" + query
        async with connect(url, additional_headers=headers, proxy=None):
            return 200
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("carrier", OF_KEYS)
async def test_a_key_counts_in_every_carrier(gate: RunningGate, carrier: str, state: str) -> None:
    headers = carried(carrier, await secret_in(gate, state))
    assert (await called(gate, headers)).status_code == STATES[state]
    assert await opened(gate, "", headers) == STATES[state]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("query", QUERIED)
async def test_a_query_counts_on_sockets_alone(gate: RunningGate, query: str, state: str) -> None:
    secret = await secret_in(gate, state)
    assert await opened(gate, query + secret) == STATES[state]
    assert (await called(gate, {}, f"/v1/chat/completions{query}{secret}")).status_code == 401


@pytest.mark.parametrize("state", ["bad", "expired", "revoked", "empty"])
@pytest.mark.parametrize(("first", "second"), list(combinations(CARRIERS, 2)))
async def test_nothing_falls_through(gate: RunningGate, first: str, second: str, state: str) -> None:
    good, other = await secret_in(gate, "good"), await secret_in(gate, state)
    both = carried(second, good) | carried(first, other)
    assert (await called(gate, both)).status_code == 401
    assert await opened(gate, "", both) == 401
    if first != "client_id":
        assert (await called(gate, carried(second, other) | carried(first, good))).status_code == 200


async def test_a_sessions_token_comes_behind_keys_and_before_query_and_cookie(gate: RunningGate) -> None:
    await gate.http.post("/admin/users", json={"name": "ada", "password": "correct horse battery"})
    login = await gate.http.post("/v1/users/login", json={"username": "ada", "password": "correct horse battery"})
    token, key = {"x-session-token": login.json()["token"]}, await secret_in(gate, "good")
    assert (await called(gate, token)).status_code == 200
    assert (await called(gate, {"x-session-token": key})).status_code == 401, "a key is not carried so"
    for carrier in CARRIERS:
        assert (await called(gate, token | carried(carrier, "agk-nobody"))).status_code == 401
    wrong = {"x-session-token": "ags-nobody"}
    assert await opened(gate, f"?api_key={key}", wrong) == 401
    assert await opened(gate, "?api_key=agk-nobody", token) == 200
    assert await opened(gate, "", wrong | {"cookie": f"aldgate_session={login.json()['token']}"}) == 401


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_headers_go_before_the_query_and_the_query_before_the_cookie(gate: RunningGate, carrier: str) -> None:
    good = await secret_in(gate, "good")
    assert await opened(gate, f"?api_key={good}", carried(carrier, "agk-nobody")) == 401
    assert await opened(gate, f"?api_key=agk-nobody&token={good}") == 401
    assert await opened(gate, f"?api_key={good}&api_key=x") == 401
    assert await opened(gate, f"?api_key={good}", {"cookie": "aldgate_session=nobody"}) == 200
    assert await opened(gate, f"?token=session%00{good}") == 401


@pytest.mark.parametrize("carrier", OF_KEYS)
async def test_restrictions_hold_in_every_carrier(gate: RunningGate, carrier: str) -> None:
    restrictions = {
        403: [
            Policy(scopes=frozenset({"embed"})),
            Policy(denied_models=("*gpt-4.1",)),
            Policy(endpoints=("/v1/embeddings",)),
            Policy(networks=("10.0.0.0/8",)),
            Policy(max_input_tokens=1),
        ],
        401: [Policy(expires_at=time.time() - 1)],
    }
    for status, policies in restrictions.items():
        for policy in policies:
            assert (await called(gate, carried(carrier, await key_with(gate, policy)))).status_code == status, policy
    slow = carried(carrier, await key_with(gate, Policy(limits=Limits(rpm=1))))
    assert [(await called(gate, slow)).status_code for _ in range(2)] == [200, 429]
    assert (await called(gate, slow, "/admin/keys")).status_code == 403


async def test_a_key_in_a_query_is_not_logged(gate: RunningGate, caplog: pytest.LogCaptureFixture) -> None:
    good = await secret_in(gate, "good")
    with caplog.at_level("DEBUG", "aldgate"):
        assert await opened(gate, f"?api_key={good}") == 200
    assert good not in caplog.text
