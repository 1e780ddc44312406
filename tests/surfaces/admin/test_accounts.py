"""Organisations, teams, clients and keys over `/admin`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.core.principals import Principal
from aldgate.gate.audit import Audit
from tests.support import RunningGate, anonymous, running_gate

pytestmark = pytest.mark.anyio
CHAT = {"model": "builtin/echo", "messages": [{"role": "user", "content": "hello"}]}
POLICY = {
    "scopes": ["chat", "models"],
    "models": ["builtin/*"],
    "denied_models": ["builtin/x*"],
    "providers": ["builtin"],
    "max_input_tokens": 1000,
    "max_output_tokens": 50,
    "parameter_caps": {"temperature": 1.0},
    "networks": ["127.0.0.0/8", "::1"],
    "limits": {"rpm": 60, "gpu_seconds_per_day": 10},
    "budgets": ["10.00/month", "1.00/day soft"],
}


@pytest.fixture(scope="module")
async def gate(anyio_backend: str, data: Path) -> AsyncIterator[RunningGate]:
    async with running_gate(data) as gate:
        yield gate


async def made(gate: RunningGate, kind: str, name: str, **wanted: Any) -> dict[str, Any]:
    reply = await gate.http.post(f"/admin/{kind}", json={"name": name, **wanted})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def refused(gate: RunningGate, path: str, body: Any, method: str = "POST") -> tuple[int, str]:
    reply = await gate.http.request(method, path, json=body)
    assert reply.status_code >= 400, reply.text
    return reply.status_code, reply.json()["detail"]


async def call(gate: RunningGate, headers: Mapping[str, str], **changes: Any) -> httpx2.Response:
    async with anonymous(gate, headers) as http:
        return await http.post("/v1/chat/completions", json={**CHAT, **changes})


def key(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("kind", ["organisations", "teams", "clients"])
async def test_an_account_is_made_shown_changed_and_deleted(gate: RunningGate, kind: str) -> None:
    account = await made(gate, kind, "first", policy=POLICY)
    shown = (await gate.http.get(f"/admin/{kind}/first")).json()
    assert shown == (await gate.http.get(f"/admin/{kind}/{account['id']}")).json()
    assert shown["policy"] == POLICY | {"limits": POLICY["limits"]} and shown["active"]
    assert account["id"].split("-")[0] in ("org", "team", "client") and shown["kind"] == kind.removesuffix("s")
    (listed,) = [each for each in (await gate.http.get(f"/admin/{kind}")).json()["data"] if each["name"] == "first"]
    assert listed["id"] == account["id"] and listed["policy"] == POLICY
    patch = {"name": "second", "policy": {"models": None, "limits": {"rpm": 5}, "budgets": ["1.00/day"]}}
    changed = (await gate.http.patch(f"/admin/{kind}/first", json=patch)).json()
    assert changed["name"] == "second" and "models" not in changed["policy"]
    assert changed["policy"]["limits"] == {"rpm": 5, "gpu_seconds_per_day": 10}
    assert changed["policy"]["budgets"] == ["1.00/day"] and changed["policy"]["max_output_tokens"] == 50
    assert (await gate.http.patch(f"/admin/{kind}/second", json={"policy": None})).json()["policy"] == {}
    assert (await gate.http.delete(f"/admin/{kind}/second")).json() == {"id": account["id"], "deleted": True}
    assert (await gate.http.get(f"/admin/{kind}/second")).status_code == 404


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"models": "gpt"}, "policy.models"),
        ({"model": ["gpt"]}, "model"),
        ({"scopes": ["chat", "fly"]}, "policy.scopes"),
        ({"scopes": []}, "policy.scopes"),
        ({"budgets": ["10 dollars"]}, "policy.budgets[0]"),
        ({"budgets": ["1/day", "2/day"]}, "policy.budgets[1]"),
        ({"budgets": [{"microusd": -5, "period": "day"}]}, "policy.budgets[0]"),
        ({"limits": {"rpm": 0}}, "policy.limits.rpm"),
        ({"parameter_caps": {"max_tokens": 5}}, "policy.parameter_caps"),
        ({"parameter_caps": {"model": 5}}, "policy.parameter_caps"),
        ({"parameter_defaults": {"messages": []}}, "policy.parameter_defaults"),
        ({"forced_parameters": {"stream": False}}, "policy.forced_parameters"),
        ({"limits": {"rps": 1}}, "rps"),
        ({"networks": ["10.0.0.0/8", "home"]}, "policy.networks[1]"),
        ({"expires": "soon"}, "policy.expires"),
        ({"expires_at": "tomorrow"}, "policy.expires_at"),
        ({"retention": "0d"}, "policy.retention"),
        ({"max_output_tokens": 0}, "policy.max_output_tokens"),
        ({"parameter_caps": {"temperature": "hot"}}, "policy.parameter_caps"),
    ],
)
async def test_what_is_wrong_with_a_policy_is_named(gate: RunningGate, policy: dict[str, Any], field: str) -> None:
    for path, body in (("/admin/teams", {"name": "wrong"}), ("/admin/keys", {"name": "wrong"})):
        status, detail = await refused(gate, path, {**body, "policy": policy})
        assert status == 400 and field in detail, detail
    await gate.http.post("/admin/teams", json={"name": "standing"})
    status, detail = await refused(gate, "/admin/teams/standing", {"policy": policy}, "PATCH")
    assert status == 400 and field in detail, detail


async def test_accounts_are_under_what_may_be_above_them_so_there_is_no_circle(gate: RunningGate) -> None:
    firm = await made(gate, "organisations", "firm")
    team = await made(gate, "teams", "lab", parent="organisation:firm")
    assert (team["parent"], team["parent_name"]) == (firm["id"], "organisation:firm")
    client = await made(gate, "clients", "robot", parent=team["id"])
    other = await made(gate, "clients", "lone", parent="organisation:firm")
    assert other["parent"] == firm["id"]
    for path, parent in (
        ("organisations/firm", team["id"]),
        ("organisations/firm", firm["id"]),
        ("teams/lab", client["id"]),
        ("teams/lab", "team:lab"),
        ("clients/robot", client["id"]),
        ("clients/robot", "team:nobody"),
    ):
        status, detail = await refused(gate, f"/admin/{path}", {"parent": parent}, "PATCH")
        assert status == 400 and "`parent`" in detail
    assert (await gate.http.patch("/admin/teams/lab", json={"parent": None})).json()["parent"] is None
    assert (await gate.http.delete("/admin/organisations/firm")).status_code == 409
    assert (await gate.http.delete("/admin/teams/lab")).status_code == 409


async def test_a_name_is_taken_once_per_kind(gate: RunningGate) -> None:
    for kind in ("teams", "organisations", "clients"):
        await made(gate, kind, "same")
        assert (await refused(gate, f"/admin/{kind}", {"name": "same"}))[0] == 409
        await made(gate, kind, "not the same")
        assert (await refused(gate, f"/admin/{kind}/not the same", {"name": "same"}, "PATCH"))[0] == 409
    assert (await refused(gate, "/admin/teams", {"name": "a\u0007b"}))[0] == 400
    assert (await refused(gate, "/admin/teams", {"name": "x", "name2": "y"}))[0] == 400


async def test_only_admins_administer(gate: RunningGate) -> None:
    secret = await gate.key("plain")
    async with anonymous(gate, key(secret)) as http:
        for path in ("/admin/teams", "/admin/clients/x", "/admin/organisations"):
            assert (await http.get(path)).status_code == 403
        assert (await http.post("/admin/teams", json={"name": "mine"})).status_code == 403
        assert (await http.patch("/admin/keys/key-1", json={"name": "mine"})).status_code == 403


async def test_a_key_of_an_account_is_held_to_all_that_is_above_it(gate: RunningGate) -> None:
    await made(gate, "organisations", "strict", policy={"max_output_tokens": 5})
    await made(gate, "teams", "strict", parent="organisation:strict", policy={"denied_models": ["builtin/embed"]})
    reply = await gate.http.post("/admin/keys", json={"name": "k", "owner": "team:strict", "policy": {"models": ["builtin/*"]}})
    secret = reply.json()
    assert secret["owner"].startswith("team-") and secret["made_by"] == "admin"
    answer = await call(gate, key(secret["key"]))
    assert answer.status_code == 200 and answer.json()["usage"]["completion_tokens"] <= 5
    await gate.http.post("/admin/organisations/strict/disable")
    closed = await call(gate, key(secret["key"]))
    assert closed.status_code == 401 and "disabled" in closed.text
    await gate.http.post("/admin/organisations/strict/enable")
    assert (await call(gate, key(secret["key"]))).status_code == 200
    await gate.http.patch("/admin/teams/strict", json={"policy": {"denied_models": ["builtin/*"]}})
    denied = await call(gate, key(secret["key"]))
    assert denied.status_code == 403 and "team `strict`" in denied.text
    assert (await refused(gate, "/admin/keys", {"name": "k", "owner": "team:nobody"}))[0] == 400
    assert (await gate.http.delete("/admin/teams/strict")).status_code == 409


async def test_a_keys_limits_and_budgets_of_every_kind(gate: RunningGate) -> None:
    wanted = {"name": "k", "rpm": 5, "images_per_day": 3, "budgets": ["1.00/hour", "20.00/month soft"]}
    policy = {"limits": {"rpm": 100, "tpd": 7}, "budgets": ["9.00/day"], "scopes": ["chat"]}
    shown = (await gate.http.post("/admin/keys", json={**wanted, "policy": policy})).json()
    assert {name: limit for name, limit in shown["limits"].items() if limit} == {"rpm": 5, "tpd": 7, "images_per_day": 3}
    assert shown["budgets"] == ["1.00/hour", "20.00/month soft"] and shown["scopes"] == ["chat"]
    assert (await refused(gate, "/admin/keys", {"name": "k", "budget": "1/day", "budgets": ["1/day"]}))[0] == 400


async def test_a_key_is_changed_and_counts_from_the_next_call_on(gate: RunningGate) -> None:
    shown = (await gate.http.post("/admin/keys", json={"name": "k", "expires": "1d", "scopes": ["chat"]})).json()
    path = f"/admin/keys/{shown['id']}"
    assert (await call(gate, key(shown["key"]))).status_code == 200
    await gate.app.writer.committed()
    changed = (await gate.http.patch(path, json={"name": "renamed", "expires": None, "policy": {"scopes": ["embed"]}})).json()
    assert (changed["name"], changed["expires_at"], changed["scopes"]) == ("renamed", None, ["embed"])
    assert changed["usage_count"] == 1 and changed["id"] == shown["id"]
    assert (await call(gate, key(shown["key"]))).status_code == 403
    assert (await refused(gate, "/admin/keys/key-nobody", {"name": "x"}, "PATCH"))[0] == 404
    assert (await refused(gate, path, {"rpm": 5}, "PATCH"))[0] == 400
    await gate.http.delete(path)
    assert (await refused(gate, path, {"name": "x"}, "PATCH"))[0] == 409


async def test_a_clients_secret_is_shown_once_and_rotates_with_an_overlap(gate: RunningGate) -> None:
    shop = await made(gate, "clients", "shop", default_provider="builtin", default_model="echo")
    assert (shop["client_id"], shop["secrets"], shop["default_model"]) == ("shop", 1, "echo")
    old = {"client_id": "shop", "client_secret": shop["client_secret"]}
    assert shop["client_secret"] not in (await gate.http.get("/admin/clients")).text
    assert "client_secret" not in (await gate.http.get("/admin/clients/shop")).json()
    assert (await call(gate, old)).status_code == 200
    new = (await gate.http.post("/admin/clients/shop/rotate", json={"overlap": "1h"})).json()
    assert new["secrets"] == 2
    for secret in (shop["client_secret"], new["client_secret"]):
        assert (await call(gate, old | {"client_secret": secret})).status_code == 200
    last = (await gate.http.post("/admin/clients/shop/rotate", json={"overlap": "0"})).json()
    for secret, status in ((shop["client_secret"], 401), (new["client_secret"], 401), (last["client_secret"], 200)):
        assert (await call(gate, old | {"client_secret": secret})).status_code == status
    assert last["secrets"] == 1
    for _ in range(3):
        assert (await gate.http.post("/admin/clients/shop/rotate")).status_code == 200
    assert (await gate.http.post("/admin/clients/shop/rotate")).status_code == 409
    assert (await gate.http.post("/admin/clients/nobody/rotate")).status_code == 404


async def test_a_client_of_the_database_has_its_defaults_and_its_policy(gate: RunningGate) -> None:
    made_now = await made(gate, "clients", "prompter", default_provider="builtin", default_model="echo")
    headers = {"client_id": made_now["id"], "client_secret": made_now["client_secret"]}
    async with anonymous(gate, headers) as http:
        assert (await http.post("/api/v1/generate", json={"prompt": "hi"})).json()["model"] == "echo"
        await gate.http.patch("/admin/clients/prompter", json={"default_model": "none", "policy": {"scopes": ["chat"]}})
        assert (await http.post("/api/v1/generate", json={"prompt": "hi"})).status_code == 404
        assert (await http.get("/v1/models")).status_code == 403
        await gate.http.post("/admin/clients/prompter/disable")
        assert (await http.post("/api/v1/generate", json={"prompt": "hi", "model": "echo"})).status_code == 401
        await gate.http.delete("/admin/clients/prompter")
        assert (await http.post("/api/v1/generate", json={"prompt": "hi", "model": "echo"})).status_code == 401


async def test_every_act_reaches_whoever_keeps_a_record(gate: RunningGate, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str, str, Mapping[str, Any]]] = []

    really = Audit.did

    async def did(self: Audit, who: Principal, act: str, target: str, details: Mapping[str, Any]) -> None:
        told.append((who.id, act, target, details))
        await really(self, who, act, target, details)

    monkeypatch.setattr(Audit, "did", did)
    client = await made(gate, "clients", "watched", policy={"models": ["a"]})
    await gate.http.patch("/admin/clients/watched", json={"policy": {"models": None}})
    rotated = (await gate.http.post("/admin/clients/watched/rotate")).json()
    shown = (await gate.http.post("/admin/keys", json={"name": "k", "owner": client["id"]})).json()
    await gate.http.patch(f"/admin/keys/{shown['id']}", json={"name": "k2"})
    await gate.http.post(f"/admin/keys/{shown['id']}/rotate")
    await gate.http.delete(f"/admin/keys/{shown['id']}")
    for verb in ("disable", "enable"):
        await gate.http.post(f"/admin/clients/watched/{verb}")
    await gate.http.post("/api/v1/clients/reload")
    assert [act for _, act, _, _ in told] == [
        "client.create",
        "client.edit",
        "client.rotate",
        "key.create",
        "key.edit",
        "key.rotate",
        "key.revoke",
        "client.disable",
        "client.enable",
        "client.reload",
    ]
    assert {who for who, *_ in told} == {"admin"} and told[0][2:] == (
        client["id"],
        {"name": "watched", "policy": {"models": ["a"]}},
    )
    assert told[1][3] == {"policy": {"models": None}}
    for secret in (client["client_secret"], rotated["client_secret"], shown["key"]):
        assert secret not in repr(told)
