from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.databases import ask
from tests.support import RunningGate

HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
PASSWORD = "correct horse battery"


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


async def make(gate: RunningGate, name: str, **wanted: Any) -> dict[str, Any]:
    reply = await gate.http.post("/admin/users", json={"name": name, "password": PASSWORD, **wanted})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def login(gate: RunningGate, name: str, password: str = PASSWORD) -> str:
    reply = await gate.http.post("/v1/users/login", json={"username": name, "password": password})
    assert reply.status_code == 200, reply.text
    return reply.json()["token"]


async def call(gate: RunningGate, secret: str) -> httpx2.Response:
    return await gate.http.post("/v1/chat/completions", json=HELLO, headers=bearer(secret))


async def me(gate: RunningGate, secret: str) -> httpx2.Response:
    return await gate.http.get("/v1/users/me", headers=bearer(secret))


@pytest.mark.anyio
async def test_a_user_logs_in_and_calls(gate: RunningGate) -> None:
    made = await make(gate, "Ada", email="Ada@Example.com")
    assert (made["name"], made["email"], made["role"], made["active"]) == ("ada", "ada@example.com", "member", True)
    for name in ("ada", "ADA", "ada@example.com"):
        token = await login(gate, name)
        assert token.startswith("ags-")
        assert (await me(gate, token)).json()["username"] == "ada"
        assert (await call(gate, token)).status_code == 200


@pytest.mark.anyio
async def test_a_wrong_name_and_a_wrong_password_are_answered_alike(gate: RunningGate) -> None:
    await make(gate, "bert")
    await make(gate, "cora")
    await gate.http.post("/admin/users/cora/disable")
    answers = []
    for name, password in (("bert", "wrong horse"), ("nobody-here", "wrong horse"), ("cora", PASSWORD), ("", "")):
        reply = await gate.http.post("/v1/users/login", json={"username": name, "password": password})
        answers.append((reply.status_code, reply.json()))
    assert answers == [(401, {"detail": {"code": "invalid_credentials", "message": "Invalid credentials"}})] * 4


@pytest.mark.anyio
async def test_a_name_that_failed_too_often_has_to_wait_and_others_do_not(gate: RunningGate) -> None:
    await make(gate, "dora")
    await make(gate, "emil")
    replies = [await gate.http.post("/v1/users/login", json={"username": "dora", "password": "wrong"}) for _ in range(11)]
    assert [reply.status_code for reply in replies] == [401] * 10 + [429]
    assert 0 < int(replies[-1].headers["retry-after"]) <= 31
    assert (await gate.http.post("/v1/users/login", json={"username": "dora", "password": PASSWORD})).status_code == 429
    assert await login(gate, "emil")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"password": "short"}, "at least"),
        ({"password": "aaaaaaaaaaaa"}, "guessed"),
        ({"name": "has space"}, "A name is"),
        ({"name": "a|b"}, "A name is"),
        ({"email": "nowhere"}, "no email"),
        ({"role": "root"}, "Invalid enum value"),
        ({"team": "nobody"}, "no team"),
        ({"scopes": ["admin"]}, "unknown field"),
        ({"id": "user-1"}, "unknown field"),
    ],
)
async def test_what_is_no_user_is_not_made(gate: RunningGate, wanted: dict[str, Any], param: str) -> None:
    reply = await gate.http.post("/admin/users", json={"name": "x", "password": PASSWORD, **wanted})
    assert reply.status_code == 400 and param.replace("at least", "8 to") in reply.json()["detail"]


@pytest.mark.anyio
async def test_nobodys_name_is_anothers_address(gate: RunningGate) -> None:
    await make(gate, "finn@example.com")
    await make(gate, "gina", email="gina@example.com")
    for taken in ({"name": "gina@example.com"}, {"name": "hugo", "email": "finn@example.com"}, {"name": "GINA"}):
        reply = await gate.http.post("/admin/users", json={"password": PASSWORD, **taken})
        assert reply.status_code == 409, taken
    await make(gate, "hugo")
    assert (await gate.http.patch("/admin/users/hugo", json={"email": "finn@example.com"})).status_code == 409


@pytest.mark.anyio
async def test_a_policy_of_a_user_bounds_sessions_and_keys_together(gate: RunningGate) -> None:
    made = await make(gate, "nora", policy={"limits": {"rpm": 2}})
    assert made["policy"]["limits"] == {"rpm": 2} and "chat" in made["policy"]["scopes"]
    session = await login(gate, "nora")
    key = (await gate.http.post("/v1/users/tokens", json={}, headers=bearer(session))).json()["token"]
    assert [(await call(gate, secret)).status_code for secret in (session, key, session, key)] == [200, 200, 429, 429]
    patch = {"policy": {"limits": None, "denied_models": ["*"]}}
    changed = (await gate.http.patch("/admin/users/nora", json=patch)).json()
    assert changed["policy"] == {"scopes": made["policy"]["scopes"], "denied_models": ["*"]}
    assert [(await call(gate, secret)).status_code for secret in (session, key)] == [403, 403]
    demoted = (await gate.http.patch("/admin/users/nora", json={"role": "viewer", "policy": None})).json()
    assert demoted["policy"] == {"scopes": ["models", "usage"]}
    assert (await gate.http.patch("/admin/users/nora", json={"policy": demoted["policy"]})).status_code == 200
    for wanted in ({"scopes": ["admin"]}, {"limits": {"rpm": 0}}, {"nothing": 1}):
        assert (await gate.http.patch("/admin/users/nora", json={"policy": wanted})).status_code == 400
        assert (await gate.http.post("/admin/users", json={"name": "x", "policy": wanted})).status_code == 400


@pytest.mark.anyio
async def test_a_user_is_put_under_a_team_by_its_name_with_or_without_the_kind(gate: RunningGate) -> None:
    team = (await gate.http.post("/admin/teams", json={"name": "searchers"})).json()["id"]
    assert [(await make(gate, name, team=said))["parent"] for name, said in (("p1", "searchers"), ("p2", "team:searchers"))] == [
        team
    ] * 2
    refused = await gate.http.post("/admin/users", json={"name": "p3", "team": "organisation:searchers"})
    assert refused.status_code == 400


@pytest.mark.anyio
async def test_roles_bound_sessions_and_their_keys(gate: RunningGate) -> None:
    await make(gate, "ida", role="viewer")
    token = await login(gate, "ida")
    assert (await call(gate, token)).status_code == 403
    assert (await gate.http.get("/v1/models", headers=bearer(token))).status_code == 200
    assert (await gate.http.get("/admin/users", headers=bearer(token))).status_code == 403
    beyond = await gate.http.post("/v1/users/tokens", json={"scopes": ["chat"]}, headers=bearer(token))
    assert beyond.status_code == 403 and beyond.json()["detail"]["code"] == "scope_denied"
    await gate.http.patch("/admin/users/ida", json={"role": "admin"})
    assert (await gate.http.get("/admin/users", headers=bearer(token))).status_code == 200
    key = (await gate.http.post("/v1/users/tokens", json={"scopes": ["admin", "chat"]}, headers=bearer(token))).json()["token"]
    usual = (await gate.http.post("/v1/users/tokens", headers=bearer(token))).json()
    assert "admin" not in usual["info"]["scopes"] and "chat" in usual["info"]["scopes"]
    assert (await gate.http.get("/admin/users", headers=bearer(key))).status_code == 200
    await gate.http.patch("/admin/users/ida", json={"role": "viewer"})
    for secret in (token, key):
        assert (await gate.http.get("/admin/users", headers=bearer(secret))).status_code == 403
        assert (await call(gate, secret)).status_code == 403


@pytest.mark.anyio
async def test_a_password_that_was_made_up_opens_nothing_but_the_way_to_a_new_one(gate: RunningGate) -> None:
    made = (await gate.http.post("/admin/users", json={"name": "jana"})).json()
    token = await login(gate, "jana", made["password"])
    assert (await me(gate, token)).json()["must_change_password"] is True
    refused = await call(gate, token)
    assert refused.status_code == 403 and "change it first" in refused.json()["error"]["message"]
    assert (await gate.http.post("/v1/users/tokens", headers=bearer(token))).status_code == 403
    change = {"current_password": made["password"], "new_password": PASSWORD}
    wrong = await gate.http.post("/v1/users/change-password", json={**change, "current_password": "x"}, headers=bearer(token))
    assert wrong.status_code == 400
    assert (await gate.http.post("/v1/users/change-password", json=change, headers=bearer(token))).json() == {"changed": True}
    assert (await me(gate, token)).status_code == 401
    token = await login(gate, "jana")
    assert (await call(gate, token)).status_code == 200
    reset = (await gate.http.post("/admin/users/jana/reset")).json()
    assert (await me(gate, token)).status_code == 401 and reset["must_change_password"] is True
    assert await login(gate, "jana", reset["password"])


@pytest.mark.anyio
async def test_whoever_is_disabled_is_out_at_once_with_all_keys(gate: RunningGate) -> None:
    await make(gate, "karl")
    token = await login(gate, "karl")
    key = (await gate.http.post("/v1/users/tokens", json={"name": "script"}, headers=bearer(token))).json()["token"]
    assert (await call(gate, key)).status_code == (await call(gate, token)).status_code == 200
    assert (await gate.http.post("/admin/users/karl/disable")).json()["active"] is False
    assert (await call(gate, key)).status_code == (await call(gate, token)).status_code == 401
    assert (await gate.http.post("/admin/users/karl/enable")).json()["active"] is True
    assert (await call(gate, key)).status_code == 200
    assert (await call(gate, token)).status_code == 401, "a session that has ended stays ended"


@pytest.mark.anyio
async def test_logging_out_ends_this_session_and_no_other(gate: RunningGate) -> None:
    await make(gate, "lena")
    one, other = await login(gate, "lena"), await login(gate, "lena")
    assert (await gate.http.post("/v1/users/logout", headers=bearer(one))).json() == {"ok": True}
    assert (await me(gate, one)).status_code == 401 and (await me(gate, other)).status_code == 200


@pytest.mark.anyio
async def test_an_invite_makes_one_user_with_its_role(gate: RunningGate) -> None:
    invite = (await gate.http.post("/v1/users/invites", json={"role": "viewer", "email": "olga@example.com"})).json()
    wanted = {"email": "olga@example.com", "password": PASSWORD, "invite_token": invite["invite_token"]}
    for bad in ({"invite_token": "agi-x"}, {"email": "other@example.com"}, {"password": "short"}, {"role": "admin"}):
        assert (await gate.http.post("/v1/users/register", json={**wanted, **bad})).status_code == 400, bad
    reply = await gate.http.post("/v1/users/register", json={**wanted, "display_name": "Olga"})
    assert reply.status_code == 201
    assert {name: reply.json()[name] for name in ("username", "email", "display_name", "role")} == {
        "username": "olga@example.com",
        "email": "olga@example.com",
        "display_name": "Olga",
        "role": "viewer",
    }
    again = await gate.http.post("/v1/users/register", json={**wanted, "email": "olga@example.com", "username": "olga"})
    assert again.status_code == 400
    assert await login(gate, "olga@example.com")


@pytest.mark.anyio
async def test_a_profile_is_kept_and_holds_no_more_than_it_may(gate: RunningGate) -> None:
    await make(gate, "paul")
    headers = bearer(await login(gate, "paul"))
    changed = {"display_name": "Paul", "preferred_model": "gpt-4.1", "preferences": {"theme": ["dark", 1]}}
    reply = await gate.http.patch("/v1/users/me", json=changed, headers=headers)
    assert {name: reply.json()[name] for name in changed} == changed
    assert (await gate.http.patch("/v1/users/me", json={"display_name": None}, headers=headers)).json()["display_name"] is None
    for bad in ({"role": "admin"}, {"email": "x@y"}, {"preferences": {"x": "y" * 70_000}}):
        assert (await gate.http.patch("/v1/users/me", json=bad, headers=headers)).status_code == 400


@pytest.mark.anyio
async def test_tokens_are_their_users_alone_and_make_no_more_than_they_are(gate: RunningGate) -> None:
    await make(gate, "rosa")
    await make(gate, "sven")
    rosa, sven = bearer(await login(gate, "rosa")), bearer(await login(gate, "sven"))
    made = (await gate.http.post("/v1/users/tokens", json={"name": "a", "scopes": ["chat"]}, headers=rosa)).json()
    assert made["info"]["name"] == "a" and made["info"]["scopes"] == ["chat"] and made["info"]["expires_at"] is None
    assert [each["id"] for each in (await gate.http.get("/v1/users/tokens", headers=rosa)).json()] == [made["info"]["id"]]
    assert (await gate.http.get("/v1/users/tokens", headers=sven)).json() == []
    path = f"/v1/users/tokens/{made['info']['id']}"
    assert (await gate.http.delete(path, headers=sven)).status_code == 404
    child = await gate.http.post("/v1/users/tokens", json={"expires_days": 3}, headers=bearer(made["token"]))
    assert child.status_code == 403 and "makes no other keys" in child.json()["detail"]["message"]
    lent = (await gate.http.post("/v1/users/tokens", json={"expires_days": 3}, headers=rosa)).json()
    assert lent["info"]["expires_at"] is not None
    assert (await gate.http.delete(path, headers=rosa)).json() == {"revoked": True}
    assert (await call(gate, made["token"])).status_code == 401
    assert (await gate.http.delete(path, headers=rosa)).status_code == 404
    assert (await gate.http.post("/v1/users/tokens")).status_code == 403, "the admin key is no user"


@pytest.mark.anyio
async def test_calls_of_a_user_and_their_keys_are_in_the_ledger_as_theirs(gate: RunningGate, data: Path) -> None:
    made = await make(gate, "tina")
    token = await login(gate, "tina")
    key = (await gate.http.post("/v1/users/tokens", headers=bearer(token))).json()["token"]
    await call(gate, token)
    await call(gate, key)
    await gate.app.writer.committed()
    rows = ask(data, "SELECT account FROM ledger WHERE user_id = :id", id=made["id"])
    assert len(rows) == 2 and made["id"] in {row["account"] for row in rows}
