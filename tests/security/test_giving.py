"""An administrator whose own rights are bounded gives nobody more, at any path; looking and taking away they may."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx2
import pytest

from aldgate.core.levels import ALL_SCOPES
from aldgate.core.policies import Policy
from tests.core.test_giving import RESTRICTED
from tests.policies import key_with
from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio
PASSWORD = "correct horse battery"
HOUR_S = 3_600


class House:
    """A gate with something of each kind in it, all free of restrictions, and the ids of these."""

    def __init__(self, gate: RunningGate) -> None:
        self.gate = gate
        self.ids: dict[str, str] = {}

    async def furnish(self) -> None:
        for kind, path in (("organisation", "organisations"), ("team", "teams"), ("client", "clients"), ("key", "keys")):
            self.ids[kind] = (await self.made(f"/admin/{path}", name="free"))["id"]
        self.ids["user"] = (await self.made("/admin/users", name="free", password=PASSWORD))["id"]

    async def made(self, path: str, **wanted: Any) -> dict[str, Any]:
        reply = await self.gate.http.post(path, json=wanted)
        assert reply.status_code in (200, 201), reply.text
        return reply.json()

    async def asked(self, secret: str, method: str, path: str, json: Any = None, **more: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {secret}"}
        return await self.gate.http.request(method, path.format(**self.ids), json=json, headers=headers, **more)


@pytest.fixture(scope="module")
async def house(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with running_gate(tmp_path_factory.mktemp("giving")) as gate:
        house = House(gate)
        await house.furnish()
        yield house


GIVING: list[tuple[str, str, Any]] = [
    ("POST", "/admin/keys", {"name": "more"}),
    ("POST", "/auth/keys", {"name": "more"}),
    ("POST", "/admin/keys/generate", {"name": "more"}),
    ("PATCH", "/admin/keys/{key}", {"policy": {"max_output_tokens": 5}}),
    ("POST", "/admin/keys/{key}/rotate", {}),
    ("POST", "/admin/organisations", {"name": "more"}),
    ("POST", "/admin/teams", {"name": "more"}),
    ("POST", "/admin/clients", {"name": "more"}),
    ("PATCH", "/admin/organisations/{organisation}", {"policy": {"budgets": None}}),
    ("PATCH", "/admin/teams/{team}", {"parent": None}),
    ("PATCH", "/admin/clients/{client}", {"name": "other"}),
    ("POST", "/admin/organisations/{organisation}/enable", None),
    ("POST", "/admin/teams/{team}/enable", None),
    ("POST", "/admin/clients/{client}/enable", None),
    ("POST", "/admin/clients/{client}/rotate", {}),
    ("POST", "/admin/users", {"name": "more", "role": "admin"}),
    ("PATCH", "/admin/users/{user}", {"role": "admin"}),
    ("POST", "/admin/users/{user}/reset", {}),
    ("POST", "/admin/users/{user}/enable", None),
    ("POST", "/admin/users/invites", {"role": "admin"}),
    ("POST", "/v1/users/invites", {"role": "admin"}),
    ("POST", "/admin/budgets/release", {"all": True}),
    ("POST", "/admin/reload", None),
    ("POST", "/admin/provider-credentials/seal", None),
    ("GET", "/api/v1/clients/reload", None),
    ("POST", "/api/v1/clients/reload", None),
]
AT = [f"{method} {path}" for method, path, _ in GIVING]


@pytest.mark.parametrize(("method", "path", "body"), GIVING, ids=AT)
async def test_who_is_restricted_gives_nothing_that_is_not(house: House, method: str, path: str, body: Any) -> None:
    for field in ("limits", "budgets", "models", "networks"):
        policy = {"scopes": ALL_SCOPES, field: getattr(RESTRICTED[field], field)}
        secret = await key_with(house.gate, Policy(**policy))
        reply = await house.asked(secret, method, path, body)
        assert reply.status_code == 403 and f"restricts you (`{field}`)" in reply.text, reply.text


@pytest.mark.parametrize("field", RESTRICTED)
async def test_no_field_is_forgotten(house: House, field: str) -> None:
    secret = await key_with(house.gate, Policy(**{"scopes": ALL_SCOPES, field: getattr(RESTRICTED[field], field)}))
    reply = await house.asked(secret, "POST", "/admin/keys", {"name": "more"})
    assert reply.status_code == 403 and f"restricts you (`{field}`)" in reply.text


async def test_who_is_restricted_looks_and_takes_away(house: House) -> None:
    secret = await key_with(house.gate, Policy(scopes=ALL_SCOPES, models=("none",)))
    for path in ("/admin/keys", "/admin/teams", "/admin/users", "/admin/budgets", "/admin/audit"):
        assert (await house.asked(secret, "GET", path)).status_code == 200
    doomed = (await house.made("/admin/keys", name="doomed"))["id"]
    assert (await house.asked(secret, "DELETE", f"/admin/keys/{doomed}")).status_code == 200
    team = (await house.made("/admin/teams", name="doomed"))["id"]
    assert (await house.asked(secret, "POST", f"/admin/teams/{team}/disable")).status_code == 200
    assert (await house.asked(secret, "DELETE", f"/admin/teams/{team}")).status_code == 200


async def test_an_administrator_of_a_team_administers_what_is_under_it(house: House) -> None:
    """Whose team has a budget makes keys that share it, and can neither raise it nor step out of it."""
    organisation = (await house.made("/admin/organisations", name="acme", policy={"budgets": ["100/month"]}))["id"]
    team = (await house.made("/admin/teams", name="research", parent=organisation))["id"]
    await house.made("/admin/users", name="chief", password=PASSWORD, role="admin", team="research")
    login = await house.gate.http.post("/v1/users/login", json={"username": "chief", "password": PASSWORD})
    chief = login.json()["token"]
    made = await house.asked(chief, "POST", "/admin/keys", {"name": "ours", "owner": team})
    assert made.status_code == 201
    key = made.json()["id"]
    edited = await house.asked(chief, "PATCH", f"/admin/keys/{key}", {"policy": {"budgets": ["1000/day"]}})
    assert edited.status_code == 200, "the organisation's budget holds all the same"
    assert (await house.asked(chief, "POST", "/admin/users", {"name": "helper", "team": "research"})).status_code == 201
    assert (await house.asked(chief, "PATCH", f"/admin/teams/{team}", {"policy": {"limits": {"rpm": 5}}})).status_code == 200
    for method, path, body in (
        ("POST", "/admin/keys", {"name": "free"}),
        ("POST", "/admin/keys", {"name": "free", "owner": "team:free"}),
        ("PATCH", f"/admin/organisations/{organisation}", {"policy": {"budgets": ["1000/month"]}}),
        ("PATCH", f"/admin/teams/{team}", {"parent": None}),
        ("PATCH", f"/admin/teams/{team}", {"policy": {"limits": None}}),
        ("PATCH", "/admin/users/chief", {"team": None}),
        ("POST", "/admin/users/free/reset", {}),
        ("POST", "/admin/keys/{key}/rotate", {}),
        ("POST", "/admin/budgets/release", {"account": organisation}),
    ):
        assert (await house.asked(chief, method, path, body)).status_code == 403, (method, path, body)


async def test_who_expires_gives_only_what_expires_by_then(house: House) -> None:
    end = time.time() + HOUR_S
    secret = await key_with(house.gate, Policy(scopes=ALL_SCOPES), expires_at=end)
    made = await house.asked(secret, "POST", "/admin/keys", {"name": "lent", "expires": "90d"})
    assert made.status_code == 201
    shown = await house.gate.app.store.get_key(made.json()["id"])
    assert shown is not None and shown.expires_at == pytest.approx(end, abs=1)
    seeded = (await house.asked(secret, "POST", "/auth/keys", {"name": "lent"})).json()["data"]
    assert seeded["expires_at"] == made.json()["expires_at"]
    longer = await house.asked(secret, "PATCH", f"/admin/keys/{shown.id}", {"expires": None})
    assert longer.status_code == 403 and "would outlive them" in longer.text
    assert (await house.asked(secret, "PATCH", f"/admin/keys/{shown.id}", {"name": "still lent"})).status_code == 200
    assert (await house.asked(secret, "POST", f"/admin/keys/{shown.id}/rotate", {})).status_code == 200
    name = secrets.token_hex(4)
    for path, more in (("/admin/teams", {}), ("/admin/clients", {}), ("/admin/users", {"role": "admin"})):
        account = await house.asked(secret, "POST", path, {"name": name, **more})
        assert account.status_code == 201 and _seconds(account.json()["policy"]["expires_at"]) == pytest.approx(end, abs=1)
        assert (await house.asked(secret, "PATCH", f"{path}/{name}", {"policy": {"expires_at": None}})).status_code == 403
    for method, path, body in GIVING:
        if "{" in path or "invites" in path:
            assert (await house.asked(secret, method, path, body)).status_code == 403, path


async def test_nobody_pulls_others_beneath_themselves(house: House) -> None:
    """What is free of the maker's bounds is not the maker's to change, even into what has them: a reset would follow."""
    organisation = (await house.made("/admin/organisations", name="puller", policy={"budgets": ["100/month"]}))["id"]
    team = (await house.made("/admin/teams", name="pullers", parent=organisation))["id"]
    secret = await key_with(house.gate, Policy(scopes=ALL_SCOPES), owner=team)
    for path, body in (
        ("/admin/users/{user}", {"team": team}),
        ("/admin/clients/{client}", {"parent": team}),
        ("/admin/teams/{team}", {"parent": organisation}),
    ):
        pulled = await house.asked(secret, "PATCH", path, body)
        assert pulled.status_code == 403 and "restricts you (`budgets`)" in pulled.text, (path, pulled.text)
        assert (await house.gate.http.request("PATCH", path.format(**house.ids), json=body)).status_code == 200
        freed = dict.fromkeys(body)
        assert (await house.gate.http.request("PATCH", path.format(**house.ids), json=freed)).status_code == 200


async def test_who_expires_cannot_take_what_lasts_by_shortening_it(house: House) -> None:
    secret = await key_with(house.gate, Policy(scopes=ALL_SCOPES), expires_at=time.time() + HOUR_S)
    for path, body in (
        ("/admin/keys/{key}", {"expires": "5m"}),
        ("/admin/users/{user}", {"policy": {"expires": "5m"}}),
        ("/admin/clients/{client}", {"policy": {"expires": "5m"}}),
        ("/admin/teams/{team}", {"policy": {"expires": "5m"}}),
    ):
        shortened = await house.asked(secret, "PATCH", path, body)
        assert shortened.status_code == 403 and "would outlive them" in shortened.text, (path, shortened.text)


def _seconds(shown: str) -> float:
    return datetime.fromisoformat(shown).timestamp()


async def test_a_key_may_rotate_itself(house: House) -> None:
    """What restricts it holds for its new secret, too."""
    secret = await key_with(house.gate, Policy(scopes=ALL_SCOPES, models=("x",)), expires_at=time.time() + HOUR_S)
    me = await house.gate.app.identity.identify(secret.encode())
    assert (await house.asked(secret, "POST", f"/admin/keys/{me.id}/rotate", {})).status_code == 200
    assert (await house.asked(secret, "PATCH", f"/admin/keys/{me.id}", {"policy": {"models": None}})).status_code == 403
