"""What engines have, in the list of models and in what is told of upstreams."""

from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.engines.comfyui import FakeComfy
from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio
NOWHERE = '[engines.gone]\nkind = "alltalk"\nbase_url = "http://127.0.0.1:9"\n'


async def models(gate: RunningGate, key: str | None = None, **query: str) -> dict[str, dict[str, Any]]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    listed = (await gate.http.get("/v1/models", params=query, headers=headers)).json()["data"]
    return {each["id"]: each for each in listed}


async def key_with(gate: RunningGate, **policy: Any) -> str:
    return (await gate.http.post("/admin/keys", json={"name": "painter", "policy": policy})).json()["key"]


async def test_models_of_engines_are_listed_and_none_is_loaded_for_it(tmp_path: Path) -> None:
    async with FakeComfy() as comfy:
        config = f'[engines.comfy]\nkind = "comfyui"\nbase_url = "{comfy.url}"\n{NOWHERE}'
        async with running_gate(tmp_path, config=config) as gate:
            await gate.app.engine_watch.look()
            listed = await models(gate)
            mine = {name: each for name, each in listed.items() if each["owned_by"] == "comfy"}
            assert mine and all(name.startswith("comfy/") and each["modality"] == "image" for name, each in mine.items())
            assert listed["gone"]["modality"] == "speech"  # it tells of none: it is asked for by its own name
            assert (await gate.http.get(f"/v1/models/{next(iter(mine))}")).json() == next(iter(mine.values()))
            assert set(mine) < set(await models(gate, modality="image"))
            assert comfy.loads == comfy.works == 0
            comfy.fault = "error_500"
            await gate.app.engine_watch.look()
            assert set(mine) < set(await models(gate))  # one that does not answer keeps its last list


async def test_everybody_sees_what_they_may_have_made(tmp_path: Path) -> None:
    async with running_gate(tmp_path) as gate:
        assert "builtin/svg" not in await models(gate, await gate.key(scopes=["models", "chat", "speech"]))
        painter = await key_with(gate, denied_models=["builtin/tone"])
        assert "builtin/svg" in await models(gate, painter) and "builtin/tone" not in await models(gate, painter)
        headers = {"authorization": f"Bearer {painter}"}
        assert (await gate.http.get("/v1/models/builtin/tone", headers=headers)).status_code == 403
        assert (await gate.http.get("/v1/models/builtin/nothing", headers=headers)).status_code == 404


async def test_engines_are_among_the_upstreams(tmp_path: Path) -> None:
    async with running_gate(tmp_path, config=NOWHERE) as gate:
        await gate.app.engine_watch.look()
        told = (await gate.http.get("/health/upstreams")).json()
        assert told["engines"]["builtin"] == {"ok": True, "status": 200, "error": None}
        assert told["engines"]["gone"] == {"ok": False, "status": 502, "error": "upstream_unreachable"}
        assert told["ok"] is False


async def test_who_may_use_some_models_and_names_none_gets_the_first_of_these(tmp_path: Path) -> None:
    async with running_gate(tmp_path) as gate:
        body = {"prompt": "a fox", "size": "32x32"}
        for policy, status in (({"denied_models": ["builtin/svg"]}, 403), ({"models": ["builtin/svg"]}, 200)):
            headers = {"authorization": f"Bearer {await key_with(gate, **policy)}"}
            reply = await gate.http.post("/v1/images/generations", json=body, headers=headers)
            assert reply.status_code == status, reply.text
