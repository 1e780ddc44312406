from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aldgate.core.principals import ALL_SCOPES, CALLER_SCOPES
from tests.databases import ask
from tests.support import ADMIN_KEY, RunningGate

HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
NOTHING = {"rpm": None, "tpm": None, "tpd": None, "concurrency": None}


async def make(gate: RunningGate, **wanted: Any) -> dict[str, Any]:
    reply = await gate.http.post("/admin/keys", json={"name": "test", **wanted})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def call(gate: RunningGate, secret: str) -> httpx2.Response:
    return await gate.http.post("/v1/chat/completions", json=HELLO, headers={"authorization": f"Bearer {secret}"})


async def shown(gate: RunningGate, key_id: str) -> dict[str, Any]:
    (key,) = [each for each in (await gate.http.get("/admin/keys")).json()["keys"] if each["id"] == key_id]
    return key


@pytest.mark.anyio
async def test_a_key_is_made_shown_once_and_listed(gate: RunningGate) -> None:
    reply = await gate.http.post("/admin/keys", json={"name": "web shop"})
    assert (reply.status_code, reply.headers["cache-control"]) == (201, "no-store")
    assert reply.headers["x-request-id"].startswith("req-")
    made = reply.json()
    secret = made.pop("key")
    assert secret.startswith("agk-") and made["prefix"] == secret[:12] and len(secret) > 40
    assert made.pop("created") == made["created_at"]
    assert abs(datetime.fromisoformat(made.pop("created_at")) - datetime.now(UTC)) < timedelta(seconds=10)
    assert made == {
        "id": made["id"],
        "name": "web shop",
        "prefix": secret[:12],
        "active": True,
        "is_active": True,
        "usage_count": 0,
        "expires_at": None,
        "revoked_at": None,
        "last_used_at": None,
        "scopes": sorted(CALLER_SCOPES),
        "limits": NOTHING,
        "budget": None,
        "budgets": [],
        "owner": None,
        "made_by": "admin",
        "policy": {"scopes": sorted(CALLER_SCOPES)},
    }
    listed = await gate.http.get("/admin/keys")
    assert listed.json()["keys"][0]["id"] == made["id"] and secret not in listed.text
    assert (await call(gate, secret)).status_code == 200
    await gate.app.writer.committed()
    key = await shown(gate, made["id"])
    assert key["usage_count"] == 1 and key["last_used_at"] is not None


@pytest.mark.anyio
async def test_everything_a_key_may_have_is_kept_exactly(gate: RunningGate) -> None:
    limits = {"rpm": 10**12, "tpm": 10**12 - 1, "tpd": 1, "concurrency": 10**12}
    made = await make(gate, **limits, budget="1000000000/total", expires="36500d", scopes=["chat", "admin"])
    key = await shown(gate, made["id"])
    assert key["limits"] == limits
    assert key["budget"] == {"usd": "1000000000.00", "microusd": 10**15, "period": "total"}
    assert key["scopes"] == ["admin", "chat"]
    lives = datetime.fromisoformat(key["expires_at"]) - datetime.fromisoformat(key["created_at"])
    assert abs(lives - timedelta(days=36_500)) < timedelta(microseconds=5)  # a float of a hundred years has no finer steps
    small = await make(gate, budget="0.000001/day")
    assert small["budget"] == {"usd": "0.000001", "microusd": 1, "period": "day"}
    headers = (await call(gate, (await make(gate, rpm=10**12, tpm=10**12))["key"])).headers
    assert headers["x-ratelimit-limit-requests"] == headers["x-ratelimit-limit-tokens"] == str(10**12)


def turn_back(data: Path, table: str, column: str, key_id: str) -> None:
    """Two hours pass for the ends in `table` of this key."""
    ask(data, f"UPDATE {table} SET expires_at = expires_at - 7200 WHERE {column} = :key", key=key_id)


BAD: list[tuple[Any, str]] = [
    (b"", "truncated"),
    (b"{", "truncated"),
    (b"[]", "Expected `object`"),
    (b'{"name":"\xff"}', "utf-8"),
    (b"[" * 200_000, ""),
    ({}, "name"),
    ({"name": ""}, "name"),
    ({"name": 5}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"name": "a\x00b"}, "name"),
    ({"name": "a\r\nb"}, "name"),
    ({"name": "x", "rpm": 0}, "rpm"),
    ({"name": "x", "rpm": -1}, "rpm"),
    ({"name": "x", "tpm": 10**12 + 1}, "tpm"),
    ({"name": "x", "tpd": 1.5}, "tpd"),
    ({"name": "x", "concurrency": "1"}, "concurrency"),
    ({"name": "x", "budget": "10"}, "budget"),
    ({"name": "x", "budget": "0/day"}, "budget"),
    ({"name": "x", "budget": "1000000001/day"}, "budget"),
    ({"name": "x", "budget": 10}, "budget"),
    ({"name": "x", "expires": "soon"}, "expires"),
    ({"name": "x", "expires": "36501d"}, "expires"),
    ({"name": "x", "scopes": []}, "Scopes"),
    ({"name": "x", "scopes": ["chat", "everything"]}, "Scopes"),
    ({"name": "x", "scopes": [["chat"]]}, "scopes"),
    ({"name": "x", "budjet": "1/day"}, "budjet"),
    (b'{"name": "x", "rpm": 1, "rpm": 1000}', "rpm"),
    (b'{"name": "x", "rpm": 1, "r\\u0070m": 1}', "rpm"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("body", "word"), BAD, ids=range(len(BAD)))
async def test_a_bad_field_is_named(gate: RunningGate, body: Any, word: str) -> None:
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    reply = await gate.http.post("/admin/keys", **sent)
    assert reply.status_code == 400, reply.text
    refusal = reply.json()
    assert set(refusal) == {"detail", "code"} and refusal["code"] == "invalid_request"
    assert word in refusal["detail"]


@pytest.mark.anyio
async def test_only_json_of_moderate_size_is_read(gate: RunningGate) -> None:
    reply = await gate.http.post("/admin/keys", content=b"name=x", headers={"content-type": "application/x-www-form-urlencoded"})
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_media_type")
    reply = await gate.http.post("/admin/keys", content=b" " * 1_048_577)
    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/admin/keys"), ("GET", "/admin/keys"), ("DELETE", "/admin/keys/x"), ("POST", "/admin/keys/x/rotate")],
)
async def test_administration_needs_an_admin(gate: RunningGate, method: str, path: str) -> None:
    ordinary = await gate.key()
    for headers, status, code in (
        ({"authorization": ""}, 401, "invalid_api_key"),
        ({"authorization": "Basic x"}, 401, "invalid_api_key"),
        ({"authorization": "Bearer nobody's"}, 401, "invalid_api_key"),
        ({"authorization": f"Bearer {ordinary}"}, 403, "scope_denied"),
    ):
        reply = await gate.http.request(method, path, headers=headers, json={"name": "x"})
        assert (reply.status_code, reply.json()["code"]) == (status, code)
        assert reply.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    async with httpx2.AsyncClient(base_url=gate.url, trust_env=False) as stranger:
        reply = await stranger.request(method, path)
        assert (reply.status_code, reply.json()["code"]) == (401, "missing_api_key")


@pytest.mark.anyio
async def test_a_key_with_the_admin_scope_administers_and_either_header_carries_it(gate: RunningGate) -> None:
    secret = await gate.key(scopes=["admin"])
    async with httpx2.AsyncClient(base_url=gate.url, trust_env=False) as client:
        assert (await client.get("/admin/keys", headers={"x-api-key": secret})).status_code == 200
        assert (await client.get("/admin/keys", headers={"Authorization": f"bearer  {secret}"})).status_code == 200
        both = {"authorization": "Bearer wrong", "x-api-key": ADMIN_KEY}
        assert (await client.get("/admin/keys", headers=both)).status_code == 401
    assert (await call(gate, secret)).status_code == 403


@pytest.mark.anyio
async def test_a_revoked_key_is_refused_at_its_next_call(gate: RunningGate) -> None:
    made = await make(gate)
    assert (await call(gate, made["key"])).status_code == 200
    for _ in range(2):
        reply = await gate.http.delete(f"/admin/keys/{made['id']}")
        assert (reply.status_code, reply.json()) == (200, {"id": made["id"], "message": "Key revoked"})
    refused = await call(gate, made["key"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "revoked_api_key")
    key = await shown(gate, made["id"])
    assert key["active"] is False and key["revoked_at"] is not None
    reply = await gate.http.post(f"/admin/keys/{made['id']}/rotate")
    assert (reply.status_code, reply.json()["code"]) == (409, "conflict")
    assert "revoked" in reply.json()["detail"]


@pytest.mark.anyio
async def test_an_expired_key_is_refused_and_shown_as_inactive(gate: RunningGate, data: Path) -> None:
    made, other = await make(gate, expires="1h"), await make(gate, expires="1h")
    turn_back(data, "keys", "id", made["id"])
    refused = await call(gate, made["key"])
    assert (await call(gate, other["key"])).status_code == 200
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "expired_api_key")
    assert (await shown(gate, made["id"]))["active"] is False


@pytest.mark.anyio
async def test_after_a_rotation_both_secrets_work_until_the_overlap_ends(gate: RunningGate, data: Path) -> None:
    made = await make(gate, rpm=1_000)
    reply = await gate.http.post(f"/admin/keys/{made['id']}/rotate", json={"overlap": "1h"})
    rotated = reply.json()
    assert reply.status_code == 200 and rotated["id"] == made["id"] and rotated["key"] != made["key"]
    assert rotated["limits"]["rpm"] == 1_000 and rotated["prefix"] == rotated["key"][:12]
    overlap = datetime.fromisoformat(rotated["old_expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < overlap <= timedelta(hours=1)
    for secret in (made["key"], rotated["key"]):
        assert (await call(gate, secret)).status_code == 200
    (row,) = await gate.usage(rotated["key"])
    assert row["calls"] == 2
    turn_back(data, "credentials", "key_id", made["id"])
    await make(gate)  # whoever administers makes the gate look everybody up anew
    expired = await call(gate, made["key"])
    assert (expired.status_code, expired.json()["error"]["code"]) == (401, "expired_api_key")
    assert (await call(gate, rotated["key"])).status_code == 200
    last = (await gate.http.post(f"/admin/keys/{made['id']}/rotate", json={"overlap": "0"})).json()
    for secret, status in ((made["key"], 401), (rotated["key"], 401), (last["key"], 200)):
        assert (await call(gate, secret)).status_code == status
    assert (await shown(gate, made["id"]))["prefix"] == last["prefix"]


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b'{"overlap": "1h", "overlap": "0"}', b"[]", b"{"])
async def test_a_rotation_is_asked_for_once(gate: RunningGate, body: bytes) -> None:
    made = await make(gate)
    reply = await gate.http.post(f"/admin/keys/{made['id']}/rotate", content=body)
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")
    assert (await call(gate, made["key"])).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("body", [{"overlap": "soon"}, {"overlap": 5}, {"overlap": "-1s"}, {"overlop": "1h"}, {"overlap": "0d"}])
async def test_an_overlap_is_a_duration(gate: RunningGate, body: dict[str, Any]) -> None:
    made = await make(gate)
    reply = await gate.http.post(f"/admin/keys/{made['id']}/rotate", json=body)
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")


@pytest.mark.anyio
async def test_an_empty_body_rotates_with_an_hour_of_overlap(gate: RunningGate) -> None:
    made = await make(gate)
    assert (await gate.http.post(f"/admin/keys/{made['id']}/rotate")).status_code == 200
    assert (await call(gate, made["key"])).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("key_id", ["key-none", "%00", "%F0%9F%92%A9", "x" * 5_000, "%ff%fe", "..", "a%2Fb"])
async def test_a_key_that_does_not_exist_is_not_found(gate: RunningGate, key_id: str) -> None:
    for method, path in (("DELETE", f"/admin/keys/{key_id}"), ("POST", f"/admin/keys/{key_id}/rotate")):
        reply = await gate.http.request(method, path)
        assert reply.status_code in (404, 405), reply.text
        assert set(reply.json()) == {"detail", "code"} and len(reply.text) < 600


@pytest.mark.anyio
async def test_every_scope_can_be_given_alone(gate: RunningGate) -> None:
    for scope in sorted(ALL_SCOPES):
        assert (await make(gate, scopes=[scope]))["scopes"] == [scope]
