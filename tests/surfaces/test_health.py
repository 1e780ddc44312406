from datetime import datetime
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aldgate import __version__
from aldgate.surfaces.http.asgi import Message
from aldgate.testing.upstream import FakeUpstream, faults
from tests.support import ADMIN_KEY, RunningGate, lab, running_gate


@pytest.mark.anyio
async def test_health_is_what_each_older_gateway_called_it(gate: RunningGate) -> None:
    async with httpx2.AsyncClient(base_url=gate.url, trust_env=False) as stranger:
        reply = await stranger.get("/health")
        assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-store")
        answer = reply.json()
        assert datetime.fromisoformat(answer.pop("timestamp")).tzinfo is not None
        assert answer == {
            "status": "ok",
            "ok": True,
            "success": True,
            "gateway": "healthy",
            "data": {"status": "healthy"},
            "error": None,
        }
        head = await stranger.head("/health")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == reply.headers["content-length"]


@pytest.mark.anyio
async def test_ready_says_yes_or_why_not(tmp_path: Path) -> None:
    async with running_gate(tmp_path) as gate:
        for path in ("/ready", "/readyz"):
            reply = await gate.http.get(path)
            assert (reply.status_code, reply.json()) == (200, {"status": "ready", "ok": True, "ready": True, "reasons": []})
            head = await gate.http.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == reply.headers["content-length"]
        gate.app.gate.is_draining = True
        assert (await gate.http.head("/readyz")).status_code == 503
        reply = await gate.http.get("/ready")
        assert reply.status_code == 503
        assert reply.json() == {"status": "not_ready", "ok": False, "ready": False, "reasons": ["the gate is stopping"]}
        assert (await gate.http.get("/health")).status_code == 200


@pytest.mark.anyio
async def test_metrics_are_open_on_loopback_and_parse(gate: RunningGate) -> None:
    await gate.http.post("/v1/chat/completions", json={"model": "gpt-4.1", "messages": [{"role": "user", "content": "x"}]})
    async with httpx2.AsyncClient(base_url=gate.url, trust_env=False) as stranger:
        reply = await stranger.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(reply.text)}
    (sample,) = [each for each in families["aldgate_calls"].samples if each.name.endswith("_total")]
    assert sample.labels == {"operation": "chat", "model": "lab/gpt-4.1", "status": "200"} and sample.value == 1
    for name in ("aldgate_calls_under_way", "aldgate_request_bytes_held", "aldgate_ledger_rows_lost", "aldgate_ledger_failing"):
        assert families[name].samples[0].value == 0


@pytest.mark.anyio
@pytest.mark.parametrize(("secret", "status"), [("", 401), ("wrong", 401), ("ordinary", 403), (ADMIN_KEY, 200)])
async def test_metrics_need_an_admin_elsewhere(gate: RunningGate, secret: str, status: int) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing here reads")

    key = await gate.key() if secret == "ordinary" else secret
    headers = {b"x-api-key": key.encode()} if key else {}
    scope = {"type": "http", "method": "GET", "path": "/metrics", "server": ("192.0.2.1", 80), "aldgate.headers": headers}
    await gate.app.handlers["ops"](scope, receive, send)
    assert sent[0]["status"] == status and (b"aldgate_calls" in sent[1]["body"]) is (status == 200)


@pytest.mark.anyio
async def test_the_operators_face_serves_health_and_nothing_else(tmp_path: Path) -> None:
    async with running_gate(tmp_path, app_face="ops") as gate:
        for path in ("/health", "/ready", "/readyz", "/metrics"):
            assert (await gate.http.get(path)).status_code == 200
        for path in ("/v1/models", "/admin/keys", "/docs", "/openapi.json"):
            assert (await gate.http.get(path)).status_code == 404


@pytest.mark.anyio
async def test_upstreams_tell_how_each_provider_answered_last(tmp_path: Path) -> None:
    async with FakeUpstream() as good, FakeUpstream() as bad:
        tables = {"good": {"base_url": good.url}, "bad": lab(bad.url)}
        async with running_gate(tmp_path, providers=tables) as gate:
            counts = len(good.requests), len(bad.requests)
            healthy = {"ok": True, "status": 200, "error": None}
            assert (await gate.http.get("/health/upstreams")).json() == {
                "ok": True,
                "upstreams": {"good": healthy, "bad": healthy, "builtin": healthy},
                "engines": {"builtin": healthy},
            }
            assert (len(good.requests), len(bad.requests)) == counts  # nobody was asked
            bad.script(faults.status(500), faults.status(400))
            call = {"model": "bad/gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
            seen: list[bool] = []
            for _ in range(3):
                await gate.http.post("/v1/chat/completions", json=call)
                answer = (await gate.http.get("/health/upstreams")).json()
                seen.append(answer["upstreams"]["bad"]["ok"])
                assert answer["ok"] is seen[-1] and answer["upstreams"]["good"] == healthy
            assert seen == [False, True, True]  # a refused request is an answer


@pytest.mark.anyio
async def test_upstreams_tell_of_a_provider_that_another_one_answered_for(tmp_path: Path) -> None:
    route = '[routes.team]\ndeployments = ["bad/gpt-4.1", "good/gpt-4.1"]\n'
    async with FakeUpstream() as good, FakeUpstream() as bad:
        async with running_gate(tmp_path, providers={"good": lab(good.url), "bad": lab(bad.url)}, config=route) as gate:
            bad.script(faults.status(503))
            call = {"model": "team", "messages": [{"role": "user", "content": "hello"}]}
            assert (await gate.http.post("/v1/chat/completions", json=call)).headers["x-aldgate-model"] == "good/gpt-4.1"
            answer = (await gate.http.get("/health/upstreams")).json()
            assert answer["ok"] is False and answer["upstreams"]["good"]["ok"]
            assert answer["upstreams"]["bad"] == {"ok": False, "status": 503, "error": "upstream_overloaded"}


@pytest.mark.anyio
async def test_the_version_is_told(gate: RunningGate) -> None:
    assert (await gate.http.get("/version")).json() == {"name": "aldgate", "version": __version__}
