import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from aldgate.config.errors import ConfigError
from aldgate.config.settings import Upstream
from aldgate.core.calls import Attempt
from aldgate.core.errors import UpstreamAuth
from aldgate.core.routes import Deployment
from aldgate.providers.section import Surroundings, build_provider
from aldgate.providers.vertex.backend import Vertex
from aldgate.providers.vertex.tokens import Granted, ServiceAccount
from aldgate.testing.upstream import FakeUpstream, Recorded, gemini
from aldgate.upstream.pool import Origin, Pool, Timeouts

pytestmark = pytest.mark.anyio

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
GRANT = {"access_token": "ya29.first", "expires_in": 3600}
ANSWER = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}


@pytest.fixture
async def google() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


def account(google: FakeUpstream | None = None, **more: str) -> dict[str, str]:
    host = f"http://127.0.0.1:{google.port}/token" if google else "https://oauth2.googleapis.com/token"
    return {"type": "service_account", "client_email": "gate@p", "private_key": PEM, "token_uri": host, "project_id": "p", **more}


def build(google: FakeUpstream | None = None, environment: dict[str, str] | None = None, **table: Any) -> Vertex:
    if google is not None:
        table["base_url"] = f"http://127.0.0.1:{google.port}/v1"
    surroundings = Surroundings(Upstream(), 1_000_000, environment or {})
    made = build_provider("v", {"kind": "vertex", **table}, "file", surroundings)
    assert isinstance(made, Vertex)
    return made


def attempt(model: str = "gemini-3.8-flash", *, stream: bool = False) -> Attempt:
    return Attempt("c", "chat", Deployment(f"v/{model}", "v", model, None, "file"), b"{}", stream)


async def call(vertex: Vertex, model: str = "gemini-3.8-flash", *, stream: bool = False) -> int:
    reply = await vertex.start(attempt(model, stream=stream))
    await reply.read()
    reply.close()
    return reply.status


def claims(request: Recorded) -> dict[str, Any]:
    """What the assertion of a token request says, once its signature holds."""
    assertion = request.body.decode().rpartition("assertion=")[2]
    told, _, proof = assertion.rpartition(".")
    KEY.public_key().verify(base64.urlsafe_b64decode(proof + "=="), told.encode(), padding.PKCS1v15(), hashes.SHA256())
    return json.loads(base64.urlsafe_b64decode(told.partition(".")[2] + "=="))


async def test_a_service_account_is_granted_a_token_once(google: FakeUpstream, tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account(google)))
    vertex = build(google, {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}, location="europe-west4")
    google.script(gemini.saying(GRANT))
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(call, vertex)
    grants = [request for request in google.requests if request.path == "/token"]
    calls = [request for request in google.requests if request.path != "/token"]
    assert len(grants) == 1 and len(calls) == 3
    assert claims(grants[0])["iss"] == "gate@p" and claims(grants[0])["scope"].endswith("cloud-platform")
    assert {request.header("authorization") for request in calls} == {"Bearer ya29.first"}
    path = "/v1/projects/p/locations/europe-west4/publishers/google/models/gemini-3.8-flash"
    assert {request.path for request in calls} == {f"{path}:generateContent"}
    assert await call(vertex, stream=True) == 200
    assert google.requests[-1].path == f"{path}:streamGenerateContent?alt=sse"
    await vertex.aclose()


async def test_a_token_that_is_refused_is_not_used_again(google: FakeUpstream) -> None:
    vertex = build(google, {"SA": json.dumps(account(google))}, credentials="env:SA")
    google.script(gemini.saying(GRANT), gemini.fault(401, "UNAUTHENTICATED"), gemini.saying({"access_token": "ya29.second"}))
    assert await call(vertex) == 401
    assert await call(vertex) == 200
    assert google.requests[-1].header("authorization") == "Bearer ya29.second"
    await vertex.aclose()


async def test_a_token_is_renewed_before_its_end(google: FakeUpstream) -> None:
    now = [1_000.0]
    pool = Pool(Origin("127.0.0.1", google.port, False), timeouts=Timeouts(), max_connections=2, max_body_bytes=10_000)
    granted = Granted(ServiceAccount("gate@p", PEM), pool, "/token", lambda: now[0])
    assert granted.current() is None
    google.script(gemini.saying(GRANT), gemini.saying({"access_token": "ya29.second"}))
    assert await granted.renewed() == granted.current() == b"authorization: Bearer ya29.first\r\n"
    now[0] += 3_600 - 299
    assert granted.current() is None
    assert await granted.renewed() == b"authorization: Bearer ya29.second\r\n"
    await pool.aclose()


@pytest.mark.parametrize(
    "step", [gemini.fault(400, "invalid_grant"), gemini.saying({"no": "token"}), gemini.saying({"access_token": "a\r\nb: c"})]
)
async def test_no_grant_is_the_operators_to_mend(google: FakeUpstream, step: Any) -> None:
    vertex = build(google, {"SA": json.dumps(account(google))}, credentials="env:SA")
    google.script(step)
    with pytest.raises(UpstreamAuth):
        await call(vertex)
    await vertex.aclose()


async def test_a_token_or_a_key_of_the_operators(google: FakeUpstream) -> None:
    environment = {"TOKEN": "ya29.own", "KEY": "AIza"}
    token = build(google, environment, access_token="env:TOKEN", project="q", location="us")
    key = build(google, environment, api_key="env:KEY", models=["gemini-3.8-flash"])
    assert await call(token) == 200 and await call(key) == 200
    by_token, by_key = google.requests
    assert by_token.header("authorization") == "Bearer ya29.own"
    assert by_token.path.startswith("/v1/projects/q/locations/us/publishers/google/models/")
    assert by_key.header("x-goog-api-key") == "AIza" and by_key.header("authorization") is None
    assert by_key.path == "/v1/publishers/google/models/gemini-3.8-flash:generateContent"
    assert token.unlisted().accepts_any
    assert [each.id for each in (await key.discover()).deployments] == ["v/gemini-3.8-flash"]
    await token.aclose()
    await key.aclose()


async def test_no_name_leads_elsewhere(google: FakeUpstream) -> None:
    vertex = build(google, {"TOKEN": "t"}, access_token="env:TOKEN", project="q")
    await call(vertex, "../../x y?z")
    assert google.requests[0].path.endswith("/models/..%2F..%2Fx%20y%3Fz:generateContent")
    await vertex.aclose()


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_each_location_has_its_host(location: str, host: str) -> None:
    assert build(None, {"TOKEN": "t"}, access_token="env:TOKEN", project="q", location=location).pools[0].origin.host == host


OTHER_KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize(
    ("environment", "table", "message"),
    [
        ({}, {"project": "p"}, "no credential"),
        ({"TOKEN": "t"}, {"access_token": "env:TOKEN"}, "no project"),
        ({"TOKEN": "t"}, {"access_token": "env:TOKEN", "project": "p/q"}, "no project or location"),
        ({"SA": "{}"}, {"credentials": "env:SA"}, "not the key of a service account"),
        ({"SA": json.dumps(account(private_key="PEM"))}, {"credentials": "env:SA"}, "not the key of a service account"),
        ({"SA": json.dumps(account(private_key=OTHER_KEY.decode()))}, {"credentials": "env:SA"}, "not the key"),
        ({}, {"credentials": "env:NONE"}, "`credentials`"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(environment: dict[str, str], table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build(None, environment, **table)
    assert message in raised.value.message and raised.value.hint and "BEGIN" not in raised.value.message


async def test_claude_is_asked_as_vertex_wants_it(google: FakeUpstream) -> None:
    vertex = build(google, {"TOKEN": "t"}, kind="vertex-anthropic", access_token="env:TOKEN", project="q")
    dialect = vertex.dialects["anthropic"]
    body = {"model": "mine", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    seen = dialect.peek("chat", json.dumps(body).encode())  # type: ignore[attr-defined]
    deployment = Deployment("v/claude-opus-5@20260101", "v", "claude-opus-5@20260101", None, "file")
    built = dialect.build(dialect.parse("chat", seen), deployment, stream=True, warnings=[])  # type: ignore[attr-defined]
    for sent in (dialect.outgoing("chat", seen, deployment, cap=None, warnings=[]), built):
        told = json.loads(sent)
        assert told["anthropic_version"] == "vertex-2023-10-16" and "model" not in told and told["max_tokens"] == 9
    google.script(gemini.saying({"type": "message"}), gemini.saying({"type": "message"}))
    await call(vertex, "claude-opus-5@20260101")
    await call(vertex, "claude-opus-5@20260101", stream=True)
    path = "/v1/projects/q/locations/global/publishers/anthropic/models/claude-opus-5@20260101"
    assert [request.path for request in google.requests] == [f"{path}:rawPredict", f"{path}:streamRawPredict"]
    await vertex.aclose()
