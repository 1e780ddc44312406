"""The audit log: no administrative path is forgotten, and what it says can be checked."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from aldgate.gate.audit import is_secret, written
from aldgate.surfaces.admin.act_names import act_of
from aldgate.surfaces.openapi.document import PATHS
from tests.databases import ask
from tests.support import ADMIN_KEY, RunningGate

CHANGING = [(path.method, path.path) for path in PATHS if path.path.startswith("/admin/") and path.method not in ("get", "head")]


async def log(gate: RunningGate, **query: Any) -> list[dict[str, Any]]:
    reply = await gate.http.get("/admin/audit", params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def test_there_are_paths_that_change_something() -> None:
    assert len(CHANGING) >= 4


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "path"), CHANGING)
async def test_every_administrative_path_leaves_a_row(gate: RunningGate, method: str, path: str) -> None:
    """Whatever comes of it: done, or refused because nothing of that name is there or nothing was sent."""
    target = path.replace("{key_id}", "key-nobody")
    parameters = {piece for piece in target.split("/") if piece.startswith("{")}
    for piece in parameters:
        target = target.replace(piece, "nobody")
    before = (await log(gate, limit=1) or [{"seq": 0}])[0]["seq"]
    reply = await gate.http.request(method.upper(), target)
    (row,) = await log(gate, after=before)
    assert row["outcome"] == ("done" if reply.status_code < 400 else "refused")
    assert (row["who"], row["origin"]) == ("admin", "127.0.0.1")
    assert row["act"] == act_of(method.upper(), path)


@pytest.mark.anyio
async def test_an_act_has_one_name_whether_it_is_done_or_refused(gate: RunningGate) -> None:
    async def does(method: str, template: str, body: Any = None, **named: str) -> dict[str, Any]:
        reply = await gate.http.request(method, template.format(**named), json=body)
        assert reply.status_code in (200, 201), (template, reply.text)
        assert (await log(gate, limit=1))[0]["act"] == act_of(method, template)
        return reply.json()

    await does("POST", "/admin/reload")
    await does("POST", "/api/v1/clients/reload")
    await does("POST", "/admin/provider-credentials/seal")
    await does("POST", "/admin/budgets/release", {"all": True})
    for path in ("/admin/organisations", "/admin/teams", "/admin/clients"):
        account = (await does("POST", path, {"name": "named"}))["id"]
        if path == "/admin/clients":
            await does("POST", path + "/{id}/rotate", {}, id=account)
        await does("PATCH", path + "/{id}", {"name": "renamed"}, id=account)
        for act in ("disable", "enable"):
            await does("POST", path + "/{id}/" + act, id=account)
        await does("DELETE", path + "/{id}", id=account)
    key = (await does("POST", "/admin/keys", {"name": "named"}))["id"]
    await does("PATCH", "/admin/keys/{key_id}", {"name": "renamed"}, key_id=key)
    await does("POST", "/admin/keys/{key_id}/rotate", {}, key_id=key)
    await does("DELETE", "/admin/keys/{key_id}", key_id=key)
    await does("DELETE", "/auth/keys/{key}", key=(await does("POST", "/auth/keys", {"name": "named"}))["data"]["id"])
    await does("POST", "/admin/users", {"name": "named"})
    await does("PATCH", "/admin/users/{name}", {"display_name": "Named"}, name="named")
    for act in ("reset", "disable", "enable"):
        await does("POST", "/admin/users/{name}/" + act, name="named")
    await does("POST", "/admin/users/invites", {"role": "member"})


@pytest.mark.anyio
async def test_what_was_done_is_in_the_log_before_it_is_answered(gate: RunningGate) -> None:
    key = await gate.key("audited")
    row = (await log(gate, limit=1))[0]
    assert (row["act"], row["outcome"], row["who_kind"]) == ("key.create", "done", "admin")
    listed = (await gate.http.get("/admin/keys")).json()["keys"]
    made = next(each for each in listed if each["name"] == "audited")
    await gate.http.delete(f"/admin/keys/{made['id']}")
    assert [row["act"] for row in await log(gate, target=made["id"])] == ["key.revoke", "key.create"]
    text = (await gate.http.get("/admin/audit", params={"limit": 1000})).text
    assert key not in text and ADMIN_KEY not in text


@pytest.mark.anyio
async def test_a_known_caller_who_may_not_is_noted_and_a_stranger_is_not(gate: RunningGate) -> None:
    key = await gate.key("nosy")
    last = (await log(gate, limit=1))[0]["seq"]
    assert (await gate.http.post("/admin/reload", headers={"authorization": f"Bearer {key}"})).status_code == 403
    (row,) = await log(gate, after=last)
    assert (row["who_name"], row["outcome"], row["details"]) == ("nosy", "refused", '{"status":403}')
    assert (await gate.http.post("/admin/reload", headers={"authorization": "Bearer agk-nobody"})).status_code == 401
    assert await log(gate, after=row["seq"]) == []
    for _ in range(70):
        await gate.http.post("/admin/reload", headers={"authorization": f"Bearer {key}"})
    assert 0 < len(await log(gate, after=row["seq"], limit=1000)) <= 60


@pytest.mark.anyio
async def test_the_log_is_listed_filtered_and_exported(gate: RunningGate) -> None:
    await gate.key("listed")
    assert {row["act"] for row in await log(gate, act="key.create")} == {"key.create"}
    assert await log(gate, who="nobody") == [] == await log(gate, until="2020-01-01")
    first = (await gate.http.get("/admin/audit", params={"limit": 1})).json()
    (older,) = await log(gate, limit=1, before=first["data"][0]["seq"])
    assert first["has_more"] and older["seq"] == first["data"][0]["seq"] - 1
    sheet = await gate.http.get("/admin/audit", headers={"accept": "text/csv"})
    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(sheet.text)))
    assert [int(row["seq"]) for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/admin/audit", {"limit": "0"}),
        ("/admin/audit", {"who": "a\0"}),
        ("/admin/audit", {"colour": "red"}),
        ("/admin/audit", {"format": "xml"}),
        ("/admin/audit/verify", {"anchor": "1:00"}),
        ("/admin/audit/anchor", {"anchor": "1"}),
    ],
)
async def test_what_cannot_be_read_is_refused(gate: RunningGate, path: str, query: dict[str, str]) -> None:
    assert (await gate.http.get(path, params=query)).status_code == 400


@pytest.mark.anyio
async def test_verify_says_which_row_was_changed(gate: RunningGate, data: Path) -> None:
    await gate.key("verified")
    anchor = (await gate.http.get("/admin/audit/anchor")).json()["anchor"]
    good = (await gate.http.get("/admin/audit/verify", params={"anchor": anchor})).json()
    assert (good["is_whole"], good["findings"], good["anchor"]) == (True, [], anchor)
    (was,) = ask(data, "SELECT who FROM audit WHERE seq = 1")
    ask(data, "UPDATE audit SET who = 'nobody' WHERE seq = 1")
    bad = (await gate.http.get("/admin/audit/verify")).json()
    ask(data, "UPDATE audit SET who = :who WHERE seq = 1", **was)
    assert not bad["is_whole"] and [(each["seq"], each["what"]) for each in bad["findings"]] == [(1, "changed")]


@pytest.mark.anyio
async def test_only_an_admin_reads_the_log(gate: RunningGate) -> None:
    key = await gate.key()
    for path in ("/admin/audit", "/admin/audit/verify", "/admin/audit/anchor", "/admin/usage", "/admin/ledger"):
        assert (await gate.http.get(path, headers={"authorization": f"Bearer {key}"})).status_code == 403


def test_details_have_no_secrets_and_a_bound() -> None:
    details = {"name": "app", "client_secret": "s3cret", "list": [{"api_key": "s3cret", "max_tokens": "5"}], "password": None}
    assert written(details) == '{"client_secret":"***","list":[{"api_key":"***","max_tokens":"5"}],"name":"app","password":null}'
    assert written({"text": "x" * 10_000}) == '{"left_out":["text"]}'
    assert [name for name in ("secret", "API_KEY", "token", "max_tokens", "keys", "monkey") if is_secret(name)] == [
        "secret",
        "API_KEY",
        "token",
    ]
