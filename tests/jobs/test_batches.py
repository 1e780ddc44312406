"""What becomes of batches: each line is a call like any other, and what it came to is in the files."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aldgate.testing.upstream import faults
from tests.faults.lab import Lab, running_lab, within
from tests.jobs.running import Batcher, line

pytestmark = pytest.mark.anyio


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path) as lab:
        yield lab
        await lab.is_quiet()


async def batcher(lab: Lab, **wanted: object) -> Batcher:
    return Batcher(lab.gate.http, await lab.gate.key(**wanted))


async def test_every_line_is_a_call_in_the_ledger(lab: Lab) -> None:
    caller = await batcher(lab, rpm=1_000, budget="10/total")
    batch = await caller.run([line(f"question-{number}") for number in range(40)], metadata={"run": "7"})
    assert (batch["status"], batch["model"], batch["metadata"]) == ("completed", "gpt-4.1", {"run": "7"})
    assert batch["request_counts"] == {"total": 40, "completed": 40, "failed": 0}
    assert batch["created_at"] <= batch["in_progress_at"] <= batch["finalizing_at"] <= batch["completed_at"]
    assert (batch["error_file_id"], batch["errors"], batch["failed_at"]) == (None, None, None)
    found = await caller.results(batch["output_file_id"])
    assert list(found) == [f"question-{number}" for number in range(40)]
    assert {(each["response"]["status_code"], each["error"], "attempt" in each) for each in found.values()} == {(200, None, False)}
    assert {each["response"]["body"]["object"] for each in found.values()} == {"chat.completion"}
    assert len({each["id"] for each in found.values()}) == 40
    rows = await lab.rows()
    assert {row["call_id"] for row in rows} == {each["response"]["request_id"] for each in found.values()}
    assert len(rows) == len(lab.upstream.requests) == 40
    usage = batch["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (
        sum(row["input_tokens"] for row in rows),
        sum(row["output_tokens"] for row in rows),
    )
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0


async def test_lines_that_fail_are_in_the_error_file(lab: Lab) -> None:
    caller = await batcher(lab, scopes=["chat", "files", "batches"])
    lab.upstream.script(faults.status(400))
    lines = [line("good"), line("no-model", model="nobody/knows"), line("streamed", stream=True), line("bad", n="three")]
    batch = await caller.run(lines)
    assert (batch["status"], batch["model"]) == ("completed", None)
    failed = await caller.results(batch["error_file_id"])
    said = {name: (each["response"]["status_code"], each["response"]["body"]["error"]["code"]) for name, each in failed.items()}
    assert said["no-model"] == (404, "model_not_found")
    assert said["streamed"] == said["bad"] == (400, "invalid_request")
    assert failed["streamed"]["response"]["body"]["error"]["param"] == "stream"
    assert said["good"][0] == 400 and batch["output_file_id"] is None
    assert batch["request_counts"] == {"total": 4, "completed": 0, "failed": 4}


async def test_other_endpoints(lab: Lab) -> None:
    caller = await batcher(lab)
    batch = await caller.run([line("e", "/v1/embeddings", model="builtin/embed", input="a")], "/v1/embeddings")
    (found,) = (await caller.results(batch["output_file_id"])).values()
    assert found["response"]["body"]["object"] == "list"
    batch = await caller.run([line("c", "/v1/completions", model="builtin/echo", prompt="a b")], "/v1/completions")
    (found,) = (await caller.results(batch["output_file_id"])).values()
    assert found["response"]["body"]["choices"][0]["text"] == "a b"


async def test_limits_are_waited_for(lab: Lab) -> None:
    """A provider's 429 with a time to wait, and the key's own limit of calls at once, fail no line."""
    caller = await batcher(lab, concurrency=1)
    lab.upstream.script(faults.status(429, retry_after_s=1), faults.status(503))
    batch = await caller.run([line(f"{number}") for number in range(3)])
    assert batch["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    rows = await lab.rows()
    assert sorted(row["status"] for row in rows) == [200, 200, 200, 429, 503]
    assert len(lab.upstream.requests) == 5


async def test_a_spent_budget_fails_the_rest(lab: Lab) -> None:
    caller = await batcher(lab, budget="0.002/total")
    batch = await caller.run([line(f"{number}", max_tokens=100) for number in range(60)])
    assert batch["status"] == "completed"
    failed = await caller.results(batch["error_file_id"])
    assert {each["response"]["body"]["error"]["code"] for each in failed.values()} == {"budget_exceeded"}
    good = await caller.results(batch["output_file_id"])
    assert len(good) + len(failed) == 60 and good
    rows = await lab.rows()
    assert len(rows) == len(good) and sum(row["cost_microusd"] for row in rows) <= 2_000
    # What lines under way hold does not fail the others: a line's bound is over 800, its cost 60.
    assert len(good) >= (2_000 - 1_200) // 60


async def test_a_revoked_key_fails_the_rest(lab: Lab) -> None:
    made = (await lab.gate.http.post("/admin/keys", json={"name": "soon gone", "concurrency": 1})).json()
    caller, admin = Batcher(lab.gate.http, made["key"]), lab.gate.http
    lab.upstream.script(*(faults.status(429, retry_after_s=1) for _ in range(1)))
    batch = await caller.begin([line(f"{number}") for number in range(3)])
    await within(5, lab.upstream.saw_requests(1))
    await admin.delete(f"/admin/keys/{made['id']}")
    store = lab.gate.app.batches._shop.store
    while (now := await store.get_batch(made["id"], batch["id"])) is None or now.status != "completed":
        pass
    assert (now.completed, now.failed) == (0, 3)
    assert (await caller.ask("GET", f"/v1/batches/{batch['id']}")).json()["error"]["code"] == "revoked_api_key"


async def test_cancelling_lets_running_lines_end(lab: Lab) -> None:
    from aldgate.testing.upstream import Valve

    caller, valve = await batcher(lab), Valve()
    lab.upstream.script(*(faults.hang_before_head(valve) for _ in range(16)))
    batch = await caller.begin([line(f"{number}") for number in range(30)])
    await within(5, lab.upstream.saw_requests(16))
    reply = await caller.ask("POST", f"/v1/batches/{batch['id']}/cancel")
    assert (reply.status_code, reply.json()["status"]) == (200, "cancelling")
    assert reply.json()["cancelling_at"] >= batch["created_at"]
    again = await caller.ask("POST", f"/v1/batches/{batch['id']}/cancel")
    assert (again.status_code, again.json()["status"]) == (200, "cancelling")
    valve.open()
    ended = await caller.until(batch["id"])
    assert (ended["status"], ended["completed_at"]) == ("cancelled", None)
    assert ended["request_counts"] == {"total": 30, "completed": 16, "failed": 14}
    undone = await caller.results(ended["error_file_id"])
    assert {(each["response"], each["error"]["code"]) for each in undone.values()} == {(None, "batch_cancelled")}
    assert len(await caller.results(ended["output_file_id"])) == len(lab.upstream.requests) == 16
    late = await caller.ask("POST", f"/v1/batches/{(await caller.run([line('x')]))['id']}/cancel")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "conflict")
