"""What becomes of batches: each line is a call like any other, and what it came to is in the files."""

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import httpx2
import msgspec
import pytest

from aldgate.core.calls import Named, Peek
from aldgate.core.principals import Operation
from aldgate.dialects.openai.dialect import OpenAI
from aldgate.ports import Endpoint
from aldgate.testing.upstream import Valve, faults
from tests.faults.lab import Lab, running_lab, within
from tests.faults.test_full_disk import locked
from tests.jobs.running import Batcher, line
from tests.support import ADMIN_KEY

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
    assert {(each["response"]["status_code"], each["error"], "attempt" in each) for each in found.values()} == {
        (200, None, False)
    }
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
    lines = [line("good"), line("no-model", model="nobody/knows"), line("bad", n="three")]
    batch = await caller.run(lines)
    assert (batch["status"], batch["model"]) == ("completed", None)
    failed = await caller.results(batch["error_file_id"])
    said = {name: (each["response"]["status_code"], each["response"]["body"]["error"]["code"]) for name, each in failed.items()}
    assert said["no-model"] == (404, "model_not_found")
    assert said["bad"] == (400, "invalid_request")
    assert said["good"][0] == 400 and batch["output_file_id"] is None
    assert batch["request_counts"] == {"total": 3, "completed": 0, "failed": 3}


async def test_other_endpoints(lab: Lab) -> None:
    caller = await batcher(lab)
    batch = await caller.run([line("e", "/v1/embeddings", model="builtin/embed", input="a")], "/v1/embeddings")
    (found,) = (await caller.results(batch["output_file_id"])).values()
    assert found["response"]["body"]["object"] == "list"
    batch = await caller.run([line("c", "/v1/completions", model="builtin/echo", prompt="a b")], "/v1/completions")
    (found,) = (await caller.results(batch["output_file_id"])).values()
    assert found["response"]["body"]["choices"][0]["text"] == "a b"
    batch = await caller.run([line("m", "/v1/moderations", model="builtin/moderate", input="a")], "/v1/moderations")
    (found,) = (await caller.results(batch["output_file_id"])).values()
    assert found["response"]["body"]["results"][0]["flagged"] is False


async def test_responses_know_what_went_before_and_are_kept(lab: Lab) -> None:
    caller, where = await batcher(lab), "/v1/responses"
    first = (await caller.ask("POST", where, json={"model": "builtin/echo", "input": "one"})).json()
    asked = {"model": "builtin/echo", "input": "two", "previous_response_id": first["id"]}
    lines = [
        line("goes on", where, **asked),
        line("forgotten", where, **asked, store=False),
        line("nowhere", where, model="builtin/echo", input="x", previous_response_id="resp_none"),
        line("behind", where, model="builtin/echo", input="x", background=True),
    ]
    batch = await caller.run(lines, where)
    good, failed = await caller.results(batch["output_file_id"]), await caller.results(batch["error_file_id"])
    assert set(good) == {"goes on", "forgotten"}
    kept, forgotten = (good[name]["response"]["body"] for name in ("goes on", "forgotten"))
    assert kept["previous_response_id"] == first["id"] and kept["output"][0]["content"][0]["text"] == "two"
    assert (await caller.ask("GET", f"{where}/{kept['id']}")).json()["id"] == kept["id"]
    assert (await caller.ask("GET", f"{where}/{forgotten['id']}")).status_code == 404
    codes = {name: each["response"]["body"]["error"]["code"] for name, each in failed.items()}
    assert codes == {"nowhere": "previous_response_not_found", "behind": "invalid_request"}


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


BAD = b"""{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4.1", "messages": []}}
not json

{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4.1", "messages": []}}
{"custom_id": "b", "method": "POST", "url": "/v1/embeddings", "body": {"model": "gpt-4.1"}}
{"custom_id": "c", "method": "GET", "url": "/v1/chat/completions", "body": {"model": "gpt-4.1"}}
{"custom_id": "d", "method": "POST", "url": "/v1/chat/completions"}
{"custom_id": 7, "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4.1"}}
[1]"""


async def test_a_file_with_bad_lines_fails_before_any_is_called(lab: Lab) -> None:
    caller = await batcher(lab)
    batch = await caller.run(BAD)
    assert (batch["status"], batch["output_file_id"], batch["in_progress_at"]) == ("failed", None, None)
    assert batch["failed_at"] >= batch["created_at"] and batch["errors"]["object"] == "list"
    assert [(each["line"], each["code"], each["param"]) for each in batch["errors"]["data"]] == [
        (2, "invalid_json_line", None),
        (4, "duplicate_custom_id", "custom_id"),
        (5, "url_mismatch", "url"),
        (6, "invalid_method", "method"),
        (7, "missing_required_parameter", "body"),
        (8, "invalid_request", "custom_id"),
        (9, "invalid_request", None),
    ]
    assert all(each["message"].endswith(".") for each in batch["errors"]["data"])
    assert batch["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    empty = await caller.run(b"\n \n")
    assert [(each["line"], each["code"]) for each in empty["errors"]["data"]] == [(None, "empty_file")]
    assert lab.upstream.requests == []


async def test_bounds_on_lines(tmp_path: Path) -> None:
    flags = {"batches.max_lines": "3", "server.max_body_bytes": "2000", "batches.max_unfinished": "1"}
    async with running_lab(tmp_path, flags=flags) as lab:
        caller = await batcher(lab)
        many = await caller.run([line(f"{number}") for number in range(9)])
        assert [(each["line"], each["code"]) for each in many["errors"]["data"]] == [(4, "too_many_tasks")]
        huge = await caller.run([line("fits"), line("huge", user="x" * 70_000), line("fits too")])
        assert [(each["line"], each["code"]) for each in huge["errors"]["data"]] == [(2, "line_too_long")]
        lab.upstream.script(faults.status(429, retry_after_s=60))
        first = await caller.begin([line("waits")])
        await within(5, lab.upstream.saw_requests(1))
        second = await caller.make(first["input_file_id"])
        assert (second.status_code, second.json()["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_what_makes_no_batch(lab: Lab) -> None:
    caller, other = await batcher(lab), await batcher(lab)
    file = await caller.file(b"{}\n")
    kept = (await caller.upload(b"{}\n", purpose="user_data")).json()

    async def refused(reply: Awaitable[httpx2.Response]) -> tuple[int, str, str | None]:
        answer = await reply
        error = answer.json()["error"]
        return answer.status_code, error["code"], error["param"]

    assert await refused(caller.make("file-none")) == (400, "invalid_request", "input_file_id")
    assert await refused(other.make(file["id"])) == (400, "invalid_request", "input_file_id")
    assert await refused(caller.make(kept["id"])) == (400, "invalid_request", "input_file_id")
    assert await refused(caller.make(file["id"], "/v1/audio/speech")) == (400, "invalid_request", "endpoint")
    assert await refused(caller.make(file["id"], completion_window="1h")) == (400, "invalid_request", "completion_window")
    assert (await refused(caller.make(file["id"], metadata={"k": "v" * 513})))[:2] == (400, "invalid_request")
    bad = {"anchor": "created_at", "seconds": 60}
    assert await refused(caller.make(file["id"], output_expires_after=bad)) == (400, "invalid_request", "output_expires_after")
    narrow = await batcher(lab, scopes=["files", "batches", "embed"])
    assert (await refused(narrow.make((await narrow.file(b"{}"))["id"])))[:2] == (403, "scope_denied")
    none = await batcher(lab, scopes=["chat", "files"])
    assert (await refused(none.make((await none.file(b"{}"))["id"])))[:2] == (403, "scope_denied")


async def test_an_idempotency_key_makes_one_batch(lab: Lab) -> None:
    caller, other = await batcher(lab), await batcher(lab)
    once = {"idempotency-key": "nightly-7"}
    file = await caller.file(b'{"custom_id": 1}')
    first, again = [(await caller.make(file["id"], headers=once)).json()["id"] for _ in range(2)]
    assert first == again
    changed = await caller.make(file["id"], metadata={"a": "b"}, headers=once)
    assert (changed.status_code, changed.json()["error"]["code"]) == (409, "idempotency_conflict")
    elsewhere = await other.make((await other.file(b"{}"))["id"], headers=once)
    assert elsewhere.json()["id"] != first


async def test_nobody_else_sees_a_batch_or_a_file(lab: Lab) -> None:
    owner, other = await batcher(lab), await batcher(lab)
    batch = await owner.run([line("mine")])
    ids = batch["input_file_id"], batch["output_file_id"]
    for stranger in (other, Batcher(lab.gate.http, ADMIN_KEY)):
        for verb, path in [
            ("GET", f"/v1/batches/{batch['id']}"),
            ("POST", f"/v1/batches/{batch['id']}/cancel"),
            *((verb, f"/v1/files/{each}") for each in ids for verb in ("GET", "DELETE")),
            *(("GET", f"/v1/files/{each}/content") for each in ids),
            ("GET", f"/v1/files?after={ids[0]}"),
            ("GET", f"/v1/batches?after={batch['id']}"),
        ]:
            reply = await stranger.ask(verb, path)
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found"), path
            missing = await stranger.ask(verb, path.replace(batch["id"], "batch_none").replace("file-", "file-no"))
            assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found_error")
        for path in ("/v1/files", "/v1/batches"):
            assert (await stranger.ask("GET", path)).json()["data"] == []
    assert [each["id"] for each in (await owner.ask("GET", "/v1/batches")).json()["data"]] == [batch["id"]]
    assert {each["id"] for each in (await owner.ask("GET", "/v1/files")).json()["data"]} == set(ids)


async def test_batches_are_listed_in_pages(lab: Lab) -> None:
    caller = await batcher(lab)
    file = await caller.file(b"{}")
    made = [(await caller.make(file["id"])).json()["id"] for _ in range(5)][::-1]
    first = (await caller.ask("GET", "/v1/batches?limit=3")).json()
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (made[:3], True)
    rest = (await caller.ask("GET", f"/v1/batches?after={first['last_id']}")).json()
    assert ([each["id"] for each in rest["data"]], rest["has_more"], rest["first_id"]) == (made[3:], False, made[3])
    for limit in ("0", "101", "x"):
        assert (await caller.ask("GET", f"/v1/batches?limit={limit}")).status_code == 400


async def test_a_file_deleted_after_the_batch_began_is_read_to_its_end(lab: Lab) -> None:
    caller, valve = await batcher(lab), Valve()
    lab.upstream.script(*(faults.hang_before_head(valve) for _ in range(16)))
    batch = await caller.begin([line(f"{number}") for number in range(20)])
    await within(5, lab.upstream.saw_requests(16))
    assert (await caller.ask("DELETE", f"/v1/files/{batch['input_file_id']}")).json()["deleted"] is True
    valve.open()
    assert (await caller.until(batch["id"]))["request_counts"] == {"total": 20, "completed": 20, "failed": 0}


async def test_a_database_that_is_away_cuts_no_call_off(lab: Lab, tmp_path: Path) -> None:
    caller, valve = await batcher(lab), Valve()
    lab.upstream.script(*(faults.hang_before_head(valve) for _ in range(16)))
    batch = await caller.begin([line(f"{number}") for number in range(20)])
    await within(5, lab.upstream.saw_requests(16))
    with locked(tmp_path):
        valve.open()
        await within(5, lab.upstream.saw_requests(16))
        while lab.gate.app.gate.under_way:
            assert (await caller.http.get("/health")).status_code == 200
    done = await caller.until(batch["id"])
    assert done["request_counts"] == {"total": 20, "completed": 20, "failed": 0}
    assert len(lab.upstream.requests) == 20 == len(await lab.rows())


class Faulty(OpenAI):
    """The dialect with a fault in it."""

    def peek(self, operation: Operation, body: bytes, named: Named | None = None) -> Peek:
        if b'"content": "1"' in body:
            raise ZeroDivisionError
        return super().peek(operation, body, named)


async def test_a_fault_of_ours_fails_a_line_and_no_other(lab: Lab) -> None:
    caller, worker = await batcher(lab), lab.gate.app.batches
    worker._shop = msgspec.structs.replace(worker._shop, endpoints=lambda path: Endpoint(Faulty(), "chat"))
    batch = await caller.run([line(f"{number}") for number in range(3)])
    (failed,) = (await caller.results(batch["error_file_id"])).values()
    assert (failed["custom_id"], failed["response"]["status_code"]) == ("1", 500)
    assert failed["response"]["body"]["error"]["code"] == "internal_error"
    assert batch["request_counts"]["completed"] == 2


async def test_another_worker_stops_this_one(lab: Lab) -> None:
    """As when this process was away for longer than its lease: what it still has under way is dropped."""
    caller, valve, store = await batcher(lab), Valve(), lab.gate.app.batches._shop.store
    lab.upstream.script(*(faults.hang_before_head(valve) for _ in range(3)))
    batch = await caller.begin([line(f"{number}") for number in range(3)])
    await within(5, lab.upstream.saw_requests(3))
    (run,) = lab.gate.app.batches._runs.values()
    await store.hold_batch(run._batch, -1)
    taken = await store.take_batch(100)
    assert taken is not None and taken.id == batch["id"]
    lab.gate.app.batches.nudge(batch["id"])
    while lab.gate.app.batches._runs:
        await caller.http.get("/health")
    assert [row["error_code"] for row in await lab.rows()] == ["client_gone"] * 3
    await store.hold_batch(taken, 0)
    lab.gate.app.batches.nudge(batch["id"])
    done = await caller.until(batch["id"])
    found = await caller.results(done["output_file_id"])
    assert {each["attempt"] for each in found.values()} == {2} and len(found) == 3
