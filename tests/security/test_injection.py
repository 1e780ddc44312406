"""What callers write is data: in credentials, names, searches and heads it is no SQL, no pattern, no template, no path."""

from __future__ import annotations

import ast
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import aldgate
from aldgate.core.policies import Policy, matches
from aldgate.surfaces.openapi.document import PATHS
from aldgate.testing.upstream import FakeUpstream
from tests.faults.wire import wire
from tests.policies import key_with
from tests.security.routes import GUARDED, filled
from tests.support import RunningGate, anonymous

pytestmark = pytest.mark.anyio
SOURCES = sorted(Path(aldgate.__file__).parent.rglob("*.py"))
SQL = (
    "' OR '1'='1",
    "'; DROP TABLE keys; --",
    '" OR ""="',
    "') UNION SELECT secret FROM credentials --",
    "%",
    "_%",
    "\\",
    "1;SELECT pg_sleep(9)--",
    "x'||(SELECT 1)||'",
    "agk-%' --",
)
HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}
CARRIERS = (
    lambda text: {"authorization": f"Bearer {text}"},
    lambda text: {"authorization": text},
    lambda text: {"x-api-key": text},
    lambda text: {"x-goog-api-key": text},
    lambda text: {"x-admin-secret": text},
    lambda text: {"x-session-token": text},
    lambda text: {"client_id": text, "client_secret": text},
    lambda text: {"client-id": "app", "client-secret": text},
    lambda text: {"cookie": f"aldgate_session={text.replace(';', '')}", "sec-fetch-site": "same-origin"},
)


@pytest.fixture(scope="module")
async def stranger(gate: RunningGate) -> AsyncIterator[httpx2.AsyncClient]:
    async with anonymous(gate, {}) as http:
        yield http


@pytest.mark.parametrize("carried", CARRIERS)
async def test_cve_2026_42208_a_credential_is_no_sql(
    gate: RunningGate, stranger: httpx2.AsyncClient, upstream: FakeUpstream, carried: Any
) -> None:
    """Whatever a carrier holds is unknown, on calls, on administration and on what goes wrong, and nothing is lost by it."""
    key = await gate.key()
    upstream.requests.clear()
    for text in SQL:
        for method, path, body in (
            ("POST", "/v1/chat/completions", HELLO),
            ("POST", "/v1/chat/completions", {}),
            ("POST", "/v1/chat/completions", {"model": text, "messages": []}),
            ("GET", "/admin/keys", None),
            ("GET", f"/admin/keys/{text.replace('/', '')}", None),
            ("GET", "/v1/nothing", None),
        ):
            reply = await stranger.request(method, path, headers=carried(text), **({"json": body} if body is not None else {}))
            assert reply.status_code in (401, 403, 404, 405), reply.text
    assert not upstream.requests
    good = await stranger.post("/v1/chat/completions", json=HELLO, headers={"x-api-key": key})
    assert good.status_code == 200


@pytest.mark.parametrize("text", SQL)
async def test_tensorzero_5837_what_an_admin_writes_is_no_sql(gate: RunningGate, text: str) -> None:
    """Names, filters, cursors and ids with SQL in them are kept, compared and shown as they are."""
    made = await gate.http.post("/admin/keys", json={"name": text})
    assert made.status_code == 201 and made.json()["name"] == text
    listed = {key["name"] for key in (await gate.http.get("/admin/keys")).json()["keys"]}
    assert text in listed
    assert (await gate.http.delete("/admin/keys/" + made.json()["id"] + "' OR 1=1 --")).status_code == 404
    for path in ("/admin/usage", "/admin/ledger", "/admin/audit"):
        for query in ("model", "key", "who", "act", "target", "group_by", "after", "since", "account", "provider"):
            reply = await gate.http.get(path, params={query: text})
            assert reply.status_code in (200, 400), reply.text
            assert reply.status_code == 400 or reply.json()["data"] == []
    login = await gate.http.post("/v1/users/login", json={"username": text, "password": text})
    assert login.status_code == 401


def test_cve_2026_42208_no_sql_is_built_of_text() -> None:
    """Statements are SQLAlchemy's or constants; the one that is put together names columns of our own migration."""
    built = []
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
                "execute",
                "executemany",
                "text",
                "exec_driver_sql",
                "literal_column",
            ):
                words = node.args[:1]
                if any(isinstance(word, ast.JoinedStr | ast.BinOp) for word in words) and "migrations" not in file.parts:
                    built.append((file.name, node.lineno))
    assert built == []


async def test_cve_2026_25591_a_search_has_no_wildcards(gate: RunningGate) -> None:
    """`%` and `_` are found only where they stand, there is no LIKE at all, and a pattern's work is bounded."""
    await gate.key("100% sure")
    for pattern in ("%", "%%%%%%%%%%%%", "_", "gpt%"):
        assert (await gate.http.get("/admin/usage", params={"model": pattern})).json()["data"] == []
        assert (await gate.http.get("/admin/audit", params={"target": pattern})).json()["data"] == []
    assert not [file for file in SOURCES if ".like(" in (text := file.read_text(encoding="utf-8")) or ".ilike(" in text]


@pytest.mark.parametrize(
    "host", ["gate/health", "gate?x", "gate#x", "gate/health?", "a@gate", "gate\\x", "gate:80/version#", "[::1"]
)
async def test_cve_2026_48710_a_host_moves_no_path(gate: RunningGate, host: str) -> None:
    """A Host header with another path in it is refused, or changes nothing, at every guarded route."""
    asked_once = {path.method + " " + filled(path, {}): path for path in GUARDED if path.method != "head"}
    for path in asked_once.values():
        async with wire(gate.port) as line:
            head = f"{path.method.upper()} {filled(path, {})} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n"
            line.send(head.encode())
            assert (await line.answer()).status in (400, 401)


def test_cve_2026_48710_the_framework_is_new_enough() -> None:
    """The locked Starlette is one that routes and shows one path."""
    lock = (Path(__file__).parents[2] / "requirements/run.lock").read_text(encoding="utf-8")
    (version,) = [line.split("==")[1].split()[0] for line in lock.splitlines() if line.startswith("starlette==")]
    assert tuple(map(int, version.split(".")[:3])) >= (1, 0, 1)


@pytest.mark.parametrize(
    "text", ["{{7*7}}", "${7*7}", "{0.__class__}", "%(x)s", "<%= 7*7 %>", "#{7*7}", "{{''.__class__.__mro__}}"]
)
async def test_contextforge_3812_nothing_is_a_template(gate: RunningGate, upstream: FakeUpstream, text: str) -> None:
    """Names, prompts and parameters pass as they are, and no code runs that came over the API."""
    key = await gate.key(text)
    upstream.requests.clear()
    body = {"model": "gpt-4.1", "user": text, "messages": [{"role": "user", "content": text}]}
    reply = await gate.http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
    assert reply.status_code == 200
    sent = upstream.requests[-1].json()
    assert (sent["user"], sent["messages"][0]["content"]) == (text, text)
    assert text in {each["name"] for each in (await gate.http.get("/admin/keys")).json()["keys"]}
    refused = await gate.http.post(
        "/v1/chat/completions", json={**body, "model": text}, headers={"authorization": f"Bearer {key}"}
    )
    assert refused.status_code == 404 and text in refused.json()["error"]["message"]


def test_cve_2026_40217_there_is_nothing_to_escape_from() -> None:
    """The package runs no code that is a text: neither `eval` nor `exec`, no template engine, no pickles, no marshal."""
    found = []
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec", "compile"):
                found.append((file.name, node.func.id))
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
                found += [
                    (file.name, name) for name in names if name.split(".")[0] in ("jinja2", "mako", "pickle", "marshal", "dill")
                ]
    assert found == []


def test_xinference_no_model_is_a_pickle() -> None:
    """The gate reads no weights, and what reads them in a process of its own is asked for no pickles."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES)
    assert not [word for word in ("torch.load", "joblib", "np.load", "pickle.load", "yaml.load(") if word in text]
    gates = [file for file in SOURCES if not {"engines", "testing"} & set(file.parts)]
    assert not [file.name for file in gates if "import torch" in file.read_text(encoding="utf-8")]


def test_cve_2026_42271_no_body_names_a_command() -> None:
    """No field of any request has a name for something to run, and no face starts processes."""
    fields = {field for path in PATHS if path.tag == "admin" for field in getattr(path.request, "__struct_fields__", ())}
    assert not fields & {"command", "args", "exec", "script", "program", "env", "cwd"}
    starting = [
        file
        for file in SOURCES
        if {"surfaces", "dialects", "gate"} & set(file.parts)
        and ("subprocess" in (text := file.read_text(encoding="utf-8")) or "os.system" in text or "os.exec" in text)
    ]
    assert [file.name for file in starting if file.name != "workers.py"] == []


@pytest.mark.parametrize("glob", ["*a" * 30, "*" * 200, "?*" * 60, "[a-z]*" * 40])
async def test_contextforge_redos_patterns_of_policies_end_soon(gate: RunningGate, glob: str) -> None:
    """Stars that backtrack: a name is judged within a tenth of a second whatever stands in a policy."""
    began = time.process_time()
    matches("a" * 200 + "!", (glob, glob + "b"))
    key = await key_with(gate, Policy(denied_models=(glob + "b",)))
    model = "a" * 200 + "!"
    reply = await gate.http.post("/v1/chat/completions", json={**HELLO, "model": model}, headers={"x-api-key": key})
    assert reply.status_code in (200, 403, 404)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\x", "/etc/passwd", "a\0b", "%2e%2e%2fx", "file:///etc/passwd"])
async def test_traversal_no_name_of_a_caller_is_a_path(gate: RunningGate, data: Path, name: str) -> None:
    """Files lie under names that the gate makes, and ids that are paths are not found."""
    key = await gate.key()
    headers = {"authorization": f"Bearer {key}"}
    sent = await gate.http.post(
        "/v1/files", data={"purpose": "batch"}, files={"file": (name, b"canary-content")}, headers=headers
    )
    if sent.status_code == 200:
        assert (await gate.http.get(f"/v1/files/{sent.json()['id']}/content", headers=headers)).content == b"canary-content"
    else:
        assert sent.status_code == 400
    assert not [file for file in data.parent.rglob("*") if "passwd" in file.name]
    for path in (f"/v1/files/{name}", f"/v1/files/{name}/content", f"/v1/responses/{name}", f"/v1/batches/{name}"):
        url = httpx2.URL(gate.url).copy_with(raw_path=path.replace("\0", "%00").replace("\\", "%5c").encode())
        assert (await gate.http.get(url, headers=headers)).status_code in (400, 401, 404, 405)
    assert (await gate.http.get("/docs/../../../etc/passwd")).status_code == 404
