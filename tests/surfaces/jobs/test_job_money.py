"""What jobs cost and count, over a running gate: devices' rates and prices, budgets, limits, the ledger, metrics."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support import RunningGate, running_gate

pytestmark = pytest.mark.anyio
CONFIG = """
[devices.card]
host = "elsewhere"
vram_mb = 1000
rate_microusd_per_s = 300

[engines.studio]
kind = "builtin"
device = "card"
run_timeout_s = 100

[prices."builtin/svg"]
image = "0.02"
request = 0.001
"""
PICTURE = {"prompt": "a fox", "size": "32x32", "output_format": "png"}


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[RunningGate]:
    async with running_gate(tmp_path, config=CONFIG) as gate:
        yield gate


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def key_with(gate: RunningGate, **policy: Any) -> str:
    made = await gate.http.post("/admin/keys", json={"name": "painter", "policy": policy})
    assert made.status_code == 201, made.text
    return made.json()["key"]


async def paint(gate: RunningGate, key: str, model: str, **more: Any) -> httpx2.Response:
    return await gate.http.post("/v1/images/generations", json=PICTURE | {"model": model} | more, headers=bearer(key))


async def job_of(gate: RunningGate, key: str, model: str, **more: Any) -> dict[str, Any]:
    begun = await paint(gate, key, model, background=True, **more)
    assert begun.status_code == 202, begun.text
    return (await gate.http.get(f"/v1/jobs/{begun.json()['id']}", params={"wait": 30}, headers=bearer(key))).json()


async def test_a_device_costs_by_the_second(gate: RunningGate) -> None:
    job = await job_of(gate, await gate.key(), "studio/svg")
    assert (job["state"], job["cost_microusd"], job["work"]["gpu_seconds"]) == ("succeeded", 300, 1)
    (row,) = [row for row in await gate.usage() if row["calls"]]
    assert row["cost_microusd"] == 300


async def test_a_model_costs_by_the_picture_and_the_job(gate: RunningGate) -> None:
    job = await job_of(gate, await gate.key(), "builtin/svg", n=3)
    assert job["cost_microusd"] == 3 * 20_000 + 1_000 and job["work"]["images"] == 3


@pytest.mark.parametrize("model", ["builtin", "builtin/svg"])
async def test_who_names_no_model_pays_for_the_one_that_is_taken(gate: RunningGate, model: str) -> None:
    key = bearer(await gate.key())
    begun = await gate.http.post("/v1/jobs", json={"operation": "image", "prompt": "a fox", "model": model}, headers=key)
    job = (await gate.http.get(begun.headers["location"], params={"wait": 30}, headers=key)).json()
    assert (job["state"], job["cost_microusd"]) == ("succeeded", 21_000)


async def test_no_path_makes_pictures_of_too_many_pixels(tmp_path: Path) -> None:
    async with running_gate(tmp_path, config="[images]\nmax_pixels = 262144\n") as gate:
        key = bearer(await gate.key())
        for path, body in (
            ("/v1/jobs", {"operation": "image", "prompt": "a fox", "width": 2048, "height": 2048}),
            ("/generate/image", {"prompt": "a fox", "width": 2048, "height": 2048}),
            ("/v1/images/generations", {"prompt": "a fox", "size": "2048x2048"}),
        ):
            assert (await gate.http.post(path, json=body, headers=key)).status_code == 400, path


async def test_a_budget_pays_for_the_most_before_and_for_what_it_was_after(gate: RunningGate) -> None:
    poor = await key_with(gate, budgets=[{"microusd": 20_000, "period": "day"}])
    refused = await paint(gate, poor, "studio/svg")  # 100 seconds at 300 are 30,000
    assert refused.status_code == 402 and refused.json()["error"]["code"] == "budget_exceeded"
    rich = await key_with(gate, budgets=[{"microusd": 30_500, "period": "day"}])
    assert (await paint(gate, rich, "studio/svg")).status_code == 200
    assert (await paint(gate, rich, "studio/svg")).status_code == 200  # what was not used of it came back
    assert (await paint(gate, rich, "studio/svg")).status_code == 402  # 600 are spent, and 29,900 are less than the most


async def test_seconds_and_pictures_that_were_not_used_come_back_to_limits(gate: RunningGate) -> None:
    few = await key_with(gate, limits={"images_per_minute": 2, "gpu_seconds_per_day": 2})
    nobody = await paint(gate, few, "builtin/svg", n=2, size="9999x1")  # refused by the engine: it made nothing
    assert nobody.status_code == 400
    assert (await paint(gate, few, "studio/svg", n=2)).status_code == 200
    refused = await paint(gate, few, "studio/svg")
    assert refused.status_code == 429 and "images per minute" in refused.text


async def test_a_job_that_ended_is_counted_in_metrics_by_bounded_names(gate: RunningGate) -> None:
    key = await gate.key()
    assert (await paint(gate, key, "builtin/svg")).status_code == 200
    assert (await paint(gate, key, "builtin/nobody-has-this")).status_code == 404
    text = (await gate.http.get("/metrics")).text
    assert 'aldgate_calls_total{model="builtin/svg",operation="image",status="200"} 1.0' in text
    assert 'aldgate_cost_microusd_total{model="builtin/svg",operation="image",status="200"} 21000.0' in text
    assert 'aldgate_calls_total{model="builtin",operation="image",status="404"} 1.0' in text
    assert "nobody-has-this" not in text


@pytest.mark.parametrize(
    ("policy", "model", "status"),
    [
        ({"models": ["studio/*"]}, "studio/svg", 200),
        ({"models": ["studio/*"]}, "builtin/svg", 403),
        ({"denied_models": ["builtin/svg"]}, "builtin/svg", 403),
        ({"providers": ["builtin"]}, "studio/svg", 403),
        ({"models": ["art"]}, "art", 200),
    ],
)
async def test_policies_hold_for_what_engines_have(tmp_path: Path, policy: dict[str, Any], model: str, status: int) -> None:
    async with running_gate(tmp_path, config=CONFIG + '[aliases]\nart = "builtin/svg"\n') as gate:
        reply = await paint(gate, await key_with(gate, **policy), model)
        assert reply.status_code == status, reply.text
