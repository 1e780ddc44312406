from pathlib import Path

import pytest

from tests.support import RunningGate, running_gate


@pytest.mark.anyio
async def test_models_are_listed_in_openais_shape(gate: RunningGate) -> None:
    reply = await gate.http.get("/v1/models")
    assert reply.headers["x-request-id"].startswith("req-")
    listed = reply.json()
    assert listed["object"] == "list"
    ids = ["lab/gpt-4.1", "lab/org/model:free", "builtin/echo", "builtin/embed", "builtin/rerank", "builtin/moderate", "fast"]
    assert [each["id"] for each in listed["data"]][: len(ids)] == ids
    assert "builtin/svg" in {each["id"] for each in listed["data"][len(ids) :]}
    for each in listed["data"]:
        assert each["object"] == "model" and {"context_window", "capabilities", "prices", "name", "modality"} <= set(each)
        assert isinstance(each["created"], int)
    assert [each["owned_by"] for each in listed["data"]][: len(ids)] == ["lab", "lab", *["builtin"] * 4, "lab"]


@pytest.mark.anyio
async def test_an_alias_that_leads_nowhere_or_is_shadowed_is_not_listed(tmp_path: Path) -> None:
    aliases = '[aliases]\nslow = "gone"\n"builtin/echo" = "builtin/embed"\necho = "builtin/embed"\nmine = "builtin:echo"\n'
    async with running_gate(tmp_path, config=aliases) as gate:
        listed = (await gate.http.get("/v1/models")).json()["data"]
        ids = ["builtin/echo", "builtin/embed", "builtin/rerank", "builtin/moderate", "mine"]
        assert [each["id"] for each in listed if each["modality"] in ("text", "embedding", "rerank", "moderation")] == ids
        assert (await gate.http.get("/v1/models/slow")).status_code == 404


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-4.1", "lab/gpt-4.1"),
        ("lab/gpt-4.1", "lab/gpt-4.1"),
        ("lab:gpt-4.1", "lab/gpt-4.1"),
        ("fast", "fast"),
        ("lab/org/model:free", "lab/org/model:free"),
        ("org/model:free", "lab/org/model:free"),
        ("lab%2Forg%2Fmodel%3Afree", "lab/org/model:free"),
    ],
)
async def test_any_spelling_shows_the_model(gate: RunningGate, name: str, model: str) -> None:
    reply = await gate.http.get(f"/v1/models/{name}")
    assert (reply.status_code, reply.json()["id"]) == (200, model)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["nothing", "lab", "lab/", "%00", "%ff", "x" * 5_000, "gpt-4.1/"])
async def test_what_is_not_there_is_not_found(gate: RunningGate, name: str) -> None:
    reply = await gate.http.get(f"/v1/models/{name}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")
    assert len(reply.text) < 600


@pytest.mark.anyio
async def test_listing_needs_its_scope_and_a_key(gate: RunningGate) -> None:
    key = await gate.key(scopes=["chat"])
    for path in ("/v1/models", "/v1/models/gpt-4.1"):
        reply = await gate.http.get(path, headers={"authorization": f"Bearer {key}"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "scope_denied")
        reply = await gate.http.get(path, headers={"authorization": "Bearer wrong"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.anyio
async def test_what_the_operator_says_of_a_model_is_shown(tmp_path: Path) -> None:
    config = '[models."builtin/echo"]\ncontext_window = 9\ncan = ["tools"]\ncannot = ["vision"]\nends_on = 2027-01-31\n'
    async with running_gate(tmp_path, config=config) as gate:
        shown = (await gate.http.get("/v1/models/echo")).json()
        assert (shown["context_window"], shown["shutdown_date"]) == (9, "2027-01-31")
        assert (shown["capabilities"]["tools"], shown["capabilities"]["vision"]) == (True, False)
        page = (await gate.http.get("/v1/models", params={"limit": "1"})).json()
        assert (len(page["data"]), page["next_cursor"]) == (1, "1")
        assert (await gate.http.get("/v1/models", params={"limit": "none"})).status_code == 400
