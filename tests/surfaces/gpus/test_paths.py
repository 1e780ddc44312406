"""What GPUs hold, over HTTP: told to administrators alone, and no engine is asked for it."""

from pathlib import Path

from aldgate.testing.gpus import FakeGpus
from tests.jobs.test_placing import Bench
from tests.support import running_gate

DEVICE = """
[devices.big]
host = "elsewhere"
vram_mb = 80000
"""


async def test_devices_are_told_of(tmp_path: Path):
    async with running_gate(tmp_path, config=DEVICE) as gate:
        reply = await gate.http.get("/gpu/status")
        assert reply.status_code == 200, reply.text
        found = reply.json()
        big = next(each for each in found["gpu"]["gpus"] if each["device"] == "big")
        assert (big["total_mb"], big["used_mb"], big["free_mb"], big["host"]) == (80_000, 0, 80_000, "elsewhere")
        assert (found["loaded_models"], found["engines"]) == ([], [])


async def test_nobody_else_may_ask(tmp_path: Path):
    async with running_gate(tmp_path) as gate:
        headers = {"authorization": f"Bearer {await gate.key()}"}
        for method, path in (("GET", "/gpu/status"), ("POST", "/admin/gpu/stop"), ("POST", "/admin/gpu/free")):
            reply = await gate.http.request(method, path, headers=headers, json={} if method == "POST" else None)
            assert reply.status_code == 403, path


async def test_engines_are_stopped_by_name_and_all_at_once(tmp_path: Path, monkeypatch):
    async with running_gate(tmp_path) as gate:
        bench = Bench(gate.app.store, FakeGpus(), monkeypatch)
        gate.app.placing.__dict__.update(bench.placing.__dict__)
        await bench.does(1)
        told = (await gate.http.get("/gpu/status")).json()
        assert told["loaded_models"] == ["painter"]
        assert [each["state"] for gpu in told["gpu"]["gpus"] for each in gpu["residencies"]] == ["ready"]
        stopped = await gate.http.post("/admin/gpu/stop", json={"model": "painter"})
        assert (stopped.status_code, stopped.json()) == (200, {"stopped": ["painter"]})
        again = await gate.http.post("/admin/gpu/stop", json={"model": "painter"})
        assert again.status_code == 409
        unknown = await gate.http.post("/admin/gpu/stop", json={"model": "nobody"})
        assert unknown.status_code == 404 and "painter" in unknown.text
        await bench.does(2)
        freed = await gate.http.post("/admin/gpu/free", json={})
        assert freed.json() == {"stopped": ["painter"], "left": []}
        nowhere = await gate.http.post("/admin/gpu/free", json={"device": "nowhere"})
        assert nowhere.status_code == 404 and "nowhere" in nowhere.text
        await bench.does(3)
        assert (await gate.http.post("/admin/gpu/stop", json={"model": "painter/m"})).status_code == 200
        assert not bench.painter.is_loaded
        assert (await gate.http.post("/admin/gpu/free", json={"devise": ""})).status_code == 400
