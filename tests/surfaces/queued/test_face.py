"""The job queue's paths over a running gate: what is begun, what becomes of it, and every refusal in the envelope."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio
CLOSED = "http://127.0.0.1:9"
CONFIG = f"""
[engines.comfyui]
base_url = "{CLOSED}"
"""


@pytest.fixture(scope="module")
async def gate(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGate]:
    async with running_gate(tmp_path_factory.mktemp("queue"), providers={"lab": lab(upstream.url)}, config=CONFIG) as gate:
        yield gate


async def ask(gate: RunningGate, key: str, path: str, body: Any = None, method: str = "POST", **headers: str) -> httpx2.Response:
    return await sent(gate, key, method, path, json=body, headers=headers)


async def sent(gate: RunningGate, key: str, method: str, path: str, **more: Any) -> httpx2.Response:
    """Ask with this key in the header that these paths have always had."""
    request = gate.http.build_request(method, path, **more)
    del request.headers["authorization"]
    request.headers["x-api-key"] = key
    return await gate.http.send(request)


async def ended(gate: RunningGate, key: str, job_id: str) -> dict[str, Any]:
    """The job once it has ended, as these paths tell of it."""
    native = await gate.http.get(f"/v1/jobs/{job_id}", params={"wait": 30})
    assert native.json()["state"] in ("succeeded", "failed", "cancelled"), native.text
    reply = await ask(gate, key, f"/jobs/{job_id}", method="GET")
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]["job"]


async def begun(gate: RunningGate, key: str, path: str, **body: Any) -> str:
    reply = await ask(gate, key, path, body)
    assert reply.status_code == 200, reply.text
    said = reply.json()
    assert said["success"] is True and said["error"] is None and said["timestamp"]
    assert said["data"]["status"] == "pending" and said["job_id"] == said["data"]["job_id"]
    return said["job_id"]


@pytest.mark.parametrize(
    ("path", "body", "mime"),
    [
        ("/generate/image", {"prompt": "a fox", "engine": "builtin", "width": 64, "height": 48, "steps": 2}, "image/png"),
        ("/generate/image", {"prompt": "a fox", "model": "builtin/svg", "seed": 5, "format": "webp"}, "image/webp"),
        ("/generate/video", {"prompt": "a fox", "duration": 0.5}, "video/mp4"),
        ("/generate/audio", {"prompt": "rain", "duration": 1}, "audio/wav"),
        ("/generate/music", {"prompt": "a waltz", "duration": 1, "engine": "builtin"}, "audio/wav"),
        ("/tts", {"text": "hello", "voice": "en-gb", "speed": 1.5}, "audio/wav"),
    ],
)
async def test_what_is_asked_for_is_made(gate: RunningGate, path: str, body: dict[str, Any], mime: str) -> None:
    key = await gate.key()
    job = await ended(gate, key, await begun(gate, key, path, **body))
    assert (job["status"], job["state"], job["error"], job["service"]) == ("completed", "succeeded", None, "builtin")
    (made,) = job["result"]["artifacts"]
    assert made["mime"] == mime and made["bytes"] > 0 and len(made["sha256"]) == 64 and "text" not in job["result"]
    shown = await gate.http.get(made["url"], headers={"authorization": ""})
    assert shown.status_code == 200 and len(shown.content) == made["bytes"]
    assert job["created_at"].endswith("+00:00") and job["updated_at"] >= job["created_at"]
    (row,) = await gate.usage(key)
    assert (row["calls"], row["errors"]) == (1, 0)


@pytest.mark.parametrize("asked", [{"model": "lab/gpt-4.1"}, {"engine": "lab", "model": "gpt-4.1"}, {}])
async def test_a_prompt_is_answered_by_a_providers_model_and_billed_once(gate: RunningGate, asked: dict[str, Any]) -> None:
    key = await gate.key()
    job = await ended(gate, key, await begun(gate, key, "/llm/generate", prompt="Hi", temperature=0.5, max_tokens=50, **asked))
    assert job["result"] == {"artifacts": [], "text": "Hello from the fake upstream."}
    assert (job["status"], job["service"], job["operation"]) == ("completed", "lab", "chat")
    (row,) = await gate.usage(key)
    assert (row["calls"], row["errors"], row["prompt_tokens"] > 0) == (1, 0, True)
    native = (await gate.http.get(f"/v1/jobs/{job['job_id']}")).json()
    assert native["cost_microusd"] == row["cost_microusd"] > 0


async def test_what_a_prompt_says_reaches_the_model(gate: RunningGate, upstream: FakeUpstream) -> None:
    key = await gate.key()
    body = {"prompt": "Hi", "model": "lab/gpt-4.1", "system": "Be brief.", "temperature": 0.25, "max_tokens": 7}
    await ended(gate, key, await begun(gate, key, "/llm/generate", **body))
    got = upstream.requests[-1].json()
    assert [message["content"] for message in got["messages"]] == ["Be brief.", "Hi"]
    assert (got["model"], got["temperature"]) == ("gpt-4.1", 0.25) and 7 in got.values()


async def test_a_model_that_fails_fails_its_job_in_these_words(gate: RunningGate, upstream: FakeUpstream) -> None:
    key = await gate.key()
    upstream.script(faults.status(401))
    job = await ended(gate, key, await begun(gate, key, "/llm/generate", prompt="Hi", model="lab/gpt-4.1"))
    assert (job["status"], job["error_code"], job["result"]) == ("failed", "SERVICE_UNAVAILABLE", None)
    assert isinstance(job["error"], str) and job["error"]


async def test_prompts_wait_for_the_limits_of_their_key(gate: RunningGate) -> None:
    key = await gate.key(concurrency=1)
    ids = [await begun(gate, key, "/llm/generate", prompt=f"{n}", model="builtin/echo") for n in range(5)]
    assert [(await ended(gate, key, job_id))["result"]["text"] for job_id in ids] == [str(n) for n in range(5)]


async def test_a_limit_and_a_budget_refuse_before_there_is_a_job(gate: RunningGate) -> None:
    few = await gate.key(rpm=1)
    await ended(gate, few, await begun(gate, few, "/llm/generate", prompt="Hi", model="builtin/echo"))
    for path, body in (("/llm/generate", {"prompt": "Hi", "model": "builtin/echo"}), ("/tts", {"text": "Hi"})):
        refused = await ask(gate, few, path, body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMIT_EXCEEDED")
        assert int(refused.headers["retry-after"]) > 0 and refused.headers["x-ratelimit-remaining"] == "0"
    poor = await gate.key(budget="0.000001/day")
    refused = await ask(gate, poor, "/llm/generate", {"prompt": "Hi", "model": "lab/gpt-4.1"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "BUDGET_EXCEEDED")
    assert (await ask(gate, poor, "/jobs", method="GET")).json()["data"]["jobs"] == []


async def test_nobody_else_sees_a_job(gate: RunningGate) -> None:
    mine, others = await gate.key("mine"), await gate.key("others")
    job_id = await begun(gate, mine, "/tts", text="hello")
    await ended(gate, mine, job_id)
    for method in ("GET", "DELETE"):
        refused = await ask(gate, others, f"/jobs/{job_id}", method=method)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "JOB_NOT_FOUND")
    assert (await ask(gate, others, "/jobs", method="GET")).json()["data"] == {"jobs": []}
    assert (await gate.http.get(f"/jobs/{job_id}")).json()["data"]["job"]["job_id"] == job_id


async def test_jobs_are_listed_newest_first_and_skipped(gate: RunningGate) -> None:
    key = await gate.key()
    ids = [await begun(gate, key, "/llm/generate", prompt="Hi", model="builtin/echo") for _ in range(3)]
    listed = (await ask(gate, key, "/jobs?skip=1&limit=1", method="GET")).json()["data"]["jobs"]
    assert [job["job_id"] for job in listed] == [ids[1]]
    for query in ("limit=0", "limit=101", "skip=-1", "skip=x"):
        refused = await ask(gate, key, f"/jobs?{query}", method="GET")
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, query.partition("=")[0])


async def test_a_job_that_waits_is_cancelled_and_says_failed(gate: RunningGate) -> None:
    key = await gate.key()
    job_id = await begun(gate, key, "/generate/image", prompt="a fox")  # the first engine that can is away
    stopped = (await ask(gate, key, f"/jobs/{job_id}", method="DELETE")).json()["data"]
    assert stopped["cancelled"] is True
    job = await ended(gate, key, job_id)
    assert (job["status"], job["state"], job["error"]) == ("failed", "cancelled", "Job cancelled")
    again = (await ask(gate, key, f"/jobs/{job_id}", method="DELETE")).json()["data"]
    assert again["job"]["state"] == "cancelled"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate/image", {"prompt": "x", "engine": "comfyui"}),
        ("/generate/image", {"prompt": "x", "model": "comfyui/sdxl"}),
        ("/generate/image", {"prompt": "x", "model": "sdxl"}),
        ("/generate/audio", {"prompt": "x", "engine": "stable_audio"}),
        ("/generate/music", {"prompt": "x", "engine": "yue"}),
        ("/llm/generate", {"prompt": "x", "engine": "ollama"}),
    ],
)
async def test_who_is_named_and_away_is_never_somebody_else(gate: RunningGate, path: str, body: dict[str, Any]) -> None:
    key = await gate.key()
    refused = await ask(gate, key, path, body)
    said = refused.json()
    assert (refused.status_code, said["error"]["code"], said["data"], said["success"]) == (
        503,
        "SERVICE_UNAVAILABLE",
        None,
        False,
    )
    assert (await ask(gate, key, "/jobs", method="GET")).json()["data"]["jobs"] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "param"),
    [
        ("/generate/image", {}, 400, "INVALID_REQUEST", None),
        ("/generate/image", {"prompt": ""}, 400, "INVALID_REQUEST", "prompt"),
        ("/generate/image", {"prompt": "x", "width": 0}, 400, "INVALID_REQUEST", "width"),
        ("/generate/image", {"prompt": "x", "height": "big"}, 400, "INVALID_REQUEST", "height"),
        ("/generate/image", {"prompt": "x", "steps": 0}, 400, "INVALID_REQUEST", "steps"),
        ("/generate/image", {"prompt": "x", "seed": -1}, 400, "INVALID_REQUEST", "seed"),
        ("/generate/image", {"prompt": "x", "engine": "nobody"}, 400, "INVALID_REQUEST", "engine"),
        ("/generate/video", {"prompt": "x", "duration": 0}, 400, "INVALID_REQUEST", "duration"),
        ("/generate/audio", {"prompt": "x", "engine": "comfyui"}, 400, "INVALID_REQUEST", "engine"),
        ("/generate/music", {"prompt": "x", "lyrics": 5}, 400, "INVALID_REQUEST", "lyrics"),
        ("/tts", {"text": "x", "speed": 2.5}, 400, "INVALID_REQUEST", "speed"),
        ("/tts", {"text": ""}, 400, "INVALID_REQUEST", "text"),
        ("/llm/generate", {"prompt": "x", "temperature": 1.5}, 400, "INVALID_REQUEST", "temperature"),
        ("/llm/generate", {"prompt": "x", "max_tokens": 0}, 400, "INVALID_REQUEST", "max_tokens"),
        ("/llm/generate", {"prompt": "x", "model": "none/such"}, 404, "MODEL_NOT_FOUND", "model"),
    ],
)
async def test_each_field_is_checked(
    gate: RunningGate, path: str, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    refused = await ask(gate, await gate.key(), path, body)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error.get("param")) == (status, code, param), refused.text


@pytest.mark.parametrize("path", ["/generate/image", "/tts", "/llm/generate", "/llm/models", "/jobs", "/jobs/x"])
async def test_whatever_is_wrong_is_said_in_the_envelope(gate: RunningGate, path: str) -> None:
    is_read = path.startswith("/jobs") or path == "/llm/models"
    method = "GET" if is_read else "POST"
    key, narrow = await gate.key(), await gate.key(scopes=["usage"])
    body = None if is_read else {"prompt": "x", "text": "x"}
    replies = [
        (await ask(gate, "", path, body, method), 401, "INVALID_API_KEY"),
        (await ask(gate, "agk-nobody", path, body, method), 401, "INVALID_API_KEY"),
        (await ask(gate, narrow, path, body, method), 403, "SCOPE_DENIED"),
        (await ask(gate, key, path, body, "PATCH"), 405, "HTTP_ERROR"),
    ]
    if not is_read:
        json = {"content-type": "application/json"}
        xml = await sent(gate, key, "POST", path, content=b"<a/>", headers={"content-type": "text/xml"})
        broken = await sent(gate, key, "POST", path, content=b"{", headers=json)
        huge = await sent(gate, key, "POST", path, content=b" " * 1_048_577, headers=json)
        replies += [(xml, 415, "UNSUPPORTED_MEDIA_TYPE"), (broken, 400, "INVALID_REQUEST"), (huge, 413, "BODY_TOO_LARGE")]
    for reply, status, code in replies:
        said = reply.json()
        assert (reply.status_code, said["error"]["code"]) == (status, code), reply.text
        assert said["success"] is False and said["data"] is None and said["timestamp"] and said["error"]["message"]


async def test_what_is_not_there_is_said_in_the_envelope(gate: RunningGate) -> None:
    for path, code in (("/generate/fox", "HTTP_ERROR"), ("/jobs/none", "JOB_NOT_FOUND")):
        missing = await ask(gate, await gate.key(), path, method="GET")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, code)


async def test_the_same_key_makes_one_job(gate: RunningGate) -> None:
    key = await gate.key()
    for path, body, other in (
        ("/llm/generate", {"prompt": "Hi", "model": "builtin/echo"}, {"prompt": "Ho", "model": "builtin/echo"}),
        ("/tts", {"text": "Hi"}, {"text": "Ho"}),
    ):
        once = {"idempotency-key": path.strip("/").replace("/", "-")}
        first, second = [(await ask(gate, key, path, body, **once)).json()["job_id"] for _ in range(2)]
        assert first == second and first.startswith("job-")
        conflict = await ask(gate, key, path, other, **once)
        assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "IDEMPOTENCY_CONFLICT")


async def test_a_policy_holds_for_prompts(gate: RunningGate) -> None:
    policy = {"models": ["builtin/*"]}
    key = (await gate.http.post("/admin/keys", json={"name": "p", "policy": policy})).json()["key"]
    refused = await ask(gate, key, "/llm/generate", {"prompt": "Hi", "model": "lab/gpt-4.1"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "POLICY_DENIED")
    job = await ended(gate, key, await begun(gate, key, "/llm/generate", prompt="Hi", model="builtin/echo"))
    assert job["result"]["text"] == "Hi"
    listed = (await ask(gate, key, "/llm/models", method="GET")).json()["data"]["models"]
    assert {each["service"] for each in listed} == {"builtin"}


async def test_models_that_write_are_listed(gate: RunningGate) -> None:
    listed = (await ask(gate, await gate.key(), "/llm/models", method="GET")).json()["data"]
    assert {"lab/gpt-4.1", "builtin/echo"} <= {each["id"] for each in listed["models"]}
    assert all(each.keys() >= {"name", "id", "size", "processor"} for each in listed["models"])
    assert "builtin/embed" not in {each["id"] for each in listed["models"]} and listed["unavailable"] == []


async def test_a_revoked_key_answers_nothing_that_waits(gate: RunningGate) -> None:
    made = (await gate.http.post("/admin/keys", json={"name": "short", "concurrency": 1})).json()
    ids = await asyncio.gather(*(begun(gate, made["key"], "/llm/generate", prompt="Hi", model="lab/gpt-4.1") for _ in range(2)))
    await gate.http.delete(f"/admin/keys/{made['id']}")
    for job_id in ids:
        native = (await gate.http.get(f"/v1/jobs/{job_id}", params={"wait": 30})).json()
        assert native["state"] == "succeeded" or native["error"]["code"] == "revoked_api_key"


async def test_a_prompt_waits_while_its_key_has_another_under_way(gate: RunningGate, upstream: FakeUpstream) -> None:
    key, valve = await gate.key(concurrency=1), Valve()
    upstream.script(faults.hang_before_head(valve))
    first, second = [await begun(gate, key, "/llm/generate", prompt="Hi", model="lab/gpt-4.1") for _ in range(2)]
    async with asyncio.timeout(30):
        while True:
            jobs = [(await ask(gate, key, f"/jobs/{job}", method="GET")).json()["data"]["job"] for job in (first, second)]
            if any("limit of its key" in (job["waits_for"] or "") for job in jobs):
                break
    running, waiting = sorted(jobs, key=lambda job: job["waits_for"] or "")
    assert (running["status"], waiting["status"]) == ("running", "pending")
    for job in (waiting, running):
        stopped = (await ask(gate, key, f"/jobs/{job['job_id']}", method="DELETE")).json()["data"]
        assert stopped["cancelled"] is True
        assert (await ended(gate, key, job["job_id"]))["state"] == "cancelled"
    await upstream.saw_close()
    (row,) = await gate.usage(key)
    assert (row["calls"], row["errors"]) == (1, 1)  # the one that waited was never made
    valve.open()


async def test_links_are_those_of_a_proxy_that_ended_tls(gate: RunningGate) -> None:
    key = await gate.key()
    proxied = {"x-forwarded-proto": "https", "host": "gate.example"}
    made = (await ask(gate, key, "/tts", {"text": "Hi"}, **proxied)).json()["data"]
    assert made["ws_url"].startswith(f"wss://gate.example/ws/jobs/{made['job_id']}?ticket=")
    await ended(gate, key, made["job_id"])
    job = (await ask(gate, key, f"/jobs/{made['job_id']}", method="GET", **proxied)).json()["data"]["job"]
    assert job["result"]["artifacts"][0]["url"].startswith("https://gate.example/v1/artifacts/art-")
