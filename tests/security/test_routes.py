"""Every route of the OpenAPI document under every credential that is none."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import httpx2
import pytest

from aldgate.core.policies import Policy
from aldgate.surfaces.http.openapi import Path
from tests.policies import key_with
from tests.security.routes import ABOUT_ONESELF, GUARDED, asked, filled, name_of
from tests.support import RunningGate, anonymous

pytestmark = pytest.mark.anyio
every_route = pytest.mark.parametrize("path", GUARDED, ids=name_of)


@pytest.fixture(scope="module")
async def stranger(gate: RunningGate) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without credentials."""
    async with anonymous(gate, {}) as http:
        yield http


@pytest.fixture(scope="module")
async def credentials(gate: RunningGate) -> dict[str, dict[str, str]]:
    """Headers by what is wrong with them."""
    now = time.time()
    secrets = {
        "bad": "agk-" + "x" * 43,
        "expired": await key_with(gate, Policy(), expires_at=now - 1),
        "expired by its policy": await key_with(gate, Policy(expires_at=now - 1)),
        "revoked": await key_with(gate, Policy(), revoked_at=now - 1),
        "without scopes": await key_with(gate, Policy(scopes=frozenset())),
        "a caller's": await key_with(gate, Policy()),
    }
    return {"none": {}, "empty": {"x-api-key": ""}} | {
        name: {"authorization": f"Bearer {secret}"} for name, secret in secrets.items()
    }


@every_route
async def test_cve_2026_12773_no_route_is_passed_without_a_good_credential(
    stranger: httpx2.AsyncClient, credentials: dict[str, dict[str, str]], path: Path
) -> None:
    """None, empty, unknown, expired and revoked ones are 401 at every route, whatever its body."""
    for wrong in ("none", "empty", "bad", "expired", "expired by its policy", "revoked"):
        reply = await asked(stranger, path, credentials[wrong])
        assert reply.status_code == 401, (wrong, reply.text)


@every_route
async def test_cve_2026_12773_no_route_is_passed_beyond_the_scopes(
    stranger: httpx2.AsyncClient, credentials: dict[str, dict[str, str]], path: Path
) -> None:
    """A good key without the scope is 403 at every route but those about itself; made-up tokens of users are not found."""
    reply = await asked(stranger, path, credentials["without scopes"])
    if name_of(path) in ABOUT_ONESELF:
        assert reply.status_code == 200
        assert path.path != "/v1/explain" or reply.json()["verdict"] == "denied"
    else:
        assert reply.status_code == 403 or (path.path, reply.status_code) == ("/v1/users/tokens/{id}", 404), reply.text
    if path.tag == "admin":
        assert (await asked(stranger, path, credentials["a caller's"])).status_code == 403


@every_route
async def test_cve_2026_12773_another_spelling_of_a_path_opens_nothing(stranger: httpx2.AsyncClient, path: Path) -> None:
    """Slashes, dots, escapes and letters in another case lead to a refusal, too."""
    plain = filled(path, {})
    first = f"%{ord(plain[1]):02x}" + plain[2:]
    for spelt in (
        f"{plain}/",
        f"/{plain}",
        f"/x/..{plain}",
        f"/.{plain}",
        f"/{first}",
        plain.upper(),
        f"{plain};x",
        f"{plain}%00",
    ):
        url = httpx2.URL(stranger.base_url).copy_with(raw_path=spelt.encode())
        reply = await stranger.request(path.method.upper(), url)
        assert reply.status_code in (307, 308, 400, 401, 403, 404, 405, 415), (spelt, reply.status_code)
