"""`aldgate selftest`: whether a gate that runs refuses what it should."""

import json
import re
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote

import typer

from aldgate.cli.client import Client, connect
from aldgate.cli.errors import CliError
from aldgate.cli.options import Json, Url
from aldgate.cli.output import note, say_json, say_table
from aldgate.cli.probe import Probe

FOREIGN = "https://evil.example"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_JSON = {"content-type": "application/json"}
_REFUSED = (0, 400, 408, 411, 413, 414, 417, 421, 431, 501, 505)
_BODY = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
SMUGGLED = {
    "a length beside a coding": b"host: {host}\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + _BODY,
    "two lengths": b"host: {host}\r\ncontent-length: 0\r\ncontent-length: 37\r\n\r\n" + _BODY,
    "a disguised coding": b"host: {host}\r\ntransfer-encoding: xchunked\r\ncontent-length: 0\r\n\r\n" + _BODY,
    "a space before the colon": b"host: {host}\r\ncontent-length : 0\r\n\r\n",
    "a folded line": b"host: {host}\r\nx-a: b\r\n c\r\ncontent-length: 0\r\n\r\n",
    "two hosts": b"host: {host}\r\nhost: evil.example\r\ncontent-length: 0\r\n\r\n",
    "a host with a path": b"host: {host}/health?\r\ncontent-length: 0\r\n\r\n",
}


class Row(NamedTuple):
    """What one check came to."""

    check: str
    result: Literal["ok", "note", "FINDING"]
    detail: str = ""


class Throwaway(NamedTuple):
    """Headers of keys that exist while the test runs, and what A keeps."""

    first: dict[str, str]
    second: dict[str, str]
    looker: dict[str, str]
    expired: dict[str, str]
    revoked: dict[str, str]


def selftest(
    url: Url = None,
    security: Annotated[bool, typer.Option("--security", help="See that the gate refuses what it should.")] = False,
    as_json: Json = False,
) -> None:
    """Test a gate that runs, without harm to it: throwaway keys, which are revoked at the end. Exits 1 on findings."""
    if not security:
        raise CliError("there is nothing to test", hint="`aldgate selftest --security` tests what a gate refuses")
    client = connect(url, admin=True)
    probe = Probe(client.url)
    rows = list(_checked(client, probe))
    findings = [row for row in rows if row.result == "FINDING"]
    if as_json:
        say_json({"findings": len(findings), "checks": [row._asdict() for row in rows]})
    else:
        say_table(["check", "result", "detail"], rows)
        note(f"{len(rows)} checks, {len(findings)} findings")
    if findings:
        raise typer.Exit(1)


def _checked(client: Client, probe: Probe) -> Iterator[Row]:
    with _throwaway(client) as keys:
        yield from _routes(probe, keys)
        yield from _other_tenant(probe, keys)
    yield from _heads(probe)
    yield from _pages(probe)
    yield from _configuration(client, probe)


@contextmanager
def _throwaway(client: Client) -> Generator[Throwaway]:
    ids: list[str] = []

    def made(what: str, **wanted: Any) -> dict[str, str]:
        key = client.call("POST", "/admin/keys", body={"name": f"selftest {what}", "expires": "10m", **wanted})
        ids.append(key["id"])
        return {"authorization": f"Bearer {key['key']}"}

    try:
        expired = made("expired", expires="1s")
        ends_at = time.monotonic() + 1.1
        revoked = made("revoked")
        client.call("DELETE", f"/admin/keys/{ids[-1]}")
        keys = Throwaway(made("first"), made("second"), made("looker", scopes=["models"]), expired, revoked)
        time.sleep(max(0.0, ends_at - time.monotonic()))
        yield keys
    finally:
        for key_id in ids:
            client.call("DELETE", f"/admin/keys/{quote(key_id, safe='')}")


def _routes(probe: Probe, keys: Throwaway) -> Iterator[Row]:
    """Each guarded route of the gate's own OpenAPI document, under each credential that is none."""
    paths: dict[str, dict[str, Any]] = probe.ask("GET", "/openapi.json").json().get("paths", {})
    routes = [
        (method.upper(), re.sub(r"\{\w+\}", "selftest", path), operation.get("tags", [""])[0])
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method in ("get", "post", "put", "patch", "delete") and operation.get("security") != []
    ]
    if not routes:
        yield Row("routes", "FINDING", "there is no OpenAPI document at /openapi.json to take them from")
        return
    wrong = {
        "no credential": {},
        "an unknown key": {"authorization": "Bearer agk-" + secrets.token_urlsafe(32)},
        "an expired key": keys.expired,
        "a revoked key": keys.revoked,
    }
    for name, headers in wrong.items():
        passed = [f"{method} {path}" for method, path, _ in routes if not _is_refused(probe, method, path, headers, (401,))]
        if name == "no credential" and probe.host in LOOPBACK:
            passed = [each for each in passed if each not in ("POST /auth/keys", "POST /admin/keys/generate")]
        yield _row(f"{len(routes)} routes with {name}", passed)
    administration = [(method, path) for method, path, tag in routes if tag == "admin"]
    passed = [f"{method} {path}" for method, path in administration if not _is_refused(probe, method, path, keys.looker, (403,))]
    yield _row(f"{len(administration)} routes of administration with a caller's key", passed)
    chat = json.dumps({"model": "x", "messages": [{"role": "user", "content": "x"}]}).encode()
    answer = probe.ask("POST", "/v1/chat/completions", {**_JSON, **keys.looker}, chat)
    yield _row("a call beyond a key's scopes", [] if answer.status == 403 else [f"answered {answer.status}"])


def _is_refused(probe: Probe, method: str, path: str, headers: dict[str, str], statuses: tuple[int, ...]) -> bool:
    path = f"{path}:generateContent" if "/models/selftest" in path and method == "POST" else path
    body = None if method in ("GET", "DELETE") else b"{}"
    return probe.ask(method, path, {**_JSON, **headers}, body).status in statuses


def _other_tenant(probe: Probe, keys: Throwaway) -> Iterator[Row]:
    """A file of one key, asked for by the other."""
    form = b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--x\r\ncontent-disposition: form-data; '
    form += b'name="file"; filename="selftest.txt"\r\n\r\nselftest\r\n--x--\r\n'
    headers = {**keys.first, "content-type": "multipart/form-data; boundary=x"}
    made = probe.ask("POST", "/v1/files", headers, form)
    file_id = made.json().get("id")
    if not isinstance(file_id, str):
        yield Row("what another key keeps", "note", f"not tested: no file could be kept ({made.status})")
        return
    path = f"/v1/files/{quote(file_id, safe='')}"
    asked = (("GET", path), ("GET", f"{path}/content"), ("DELETE", path))
    passed = [f"{method} {where}" for method, where in asked if probe.ask(method, where, keys.second).status != 404]
    passed += ["it is listed"] if file_id.encode() in probe.ask("GET", "/v1/files", keys.second).body else []
    passed += [] if probe.ask("DELETE", path, keys.first).status == 200 else ["it is gone"]
    yield _row("what another key keeps", passed)


def _heads(probe: Probe) -> Iterator[Row]:
    """Requests that two parsers could read in two ways, and ones that are too long."""
    for name, rest in SMUGGLED.items():
        head = b"POST /v1/chat/completions HTTP/1.1\r\n" + rest.replace(b"{host}", probe.host.encode())
        told = probe.raw(head)
        yield _row(f"a head with {name}", [] if not told or (len(told) == 1 and told[0] in _REFUSED) else [f"answered {told}"])
    long = {
        "a line": b"x-a: " + b"a" * 300_000 + b"\r\n",
        "very many lines": b"".join(b"x-%d: a\r\n" % number for number in range(20_000)),
    }
    for name, lines in long.items():
        told = probe.raw(b"GET /v1/models HTTP/1.1\r\nhost: " + probe.host.encode() + b"\r\n" + lines + b"\r\n")
        yield _row(f"a head with {name} that is too long", [] if all(each in _REFUSED for each in told) else [f"answered {told}"])


def _pages(probe: Probe) -> Iterator[Row]:
    """What browsers are told."""
    origin = {"origin": FOREIGN}
    asked = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    for name, answer in (
        ("a foreign page's request", probe.ask("GET", "/health", origin)),
        ("a foreign page's preflight", probe.ask("OPTIONS", "/v1/chat/completions", asked)),
    ):
        allowed = answer.headers.get("access-control-allow-origin")
        yield _row(name, [] if allowed is None else [f"may read as {allowed}"])
    page = probe.ask("GET", "/docs").headers
    missing = [name for name in ("content-security-policy", "x-content-type-options") if name not in page]
    yield _row("headers of the page /docs", [f"no {name}" for name in missing])


def _configuration(client: Client, probe: Probe) -> Iterator[Row]:
    is_here = probe.host in LOOPBACK
    yield _row("TLS", [] if probe.is_tls or is_here else [f"{probe.url} is not https: keys cross the network as they are"])
    opened = probe.ask("POST", "/auth/keys", _JSON, b"{}").status != 401
    made = "keys are made without a key; `auth.open_registration` says by whom"
    yield Row("registration", ("note" if is_here else "FINDING") if opened else "ok", made if opened else "")
    if not is_here and probe.ask("GET", "/metrics").status == 200:
        yield Row("metrics", "note", "everybody who reaches the gate can read /metrics; a listener of its own can serve them")
    keys: list[dict[str, Any]] = client.call("GET", "/admin/keys")["keys"]
    powerful = [key["id"] for key in keys if key["active"] and "admin" in key["scopes"] and not key["expires_at"]]
    detail = f"never end: {', '.join(powerful[:5])}" if powerful else ""
    yield Row("keys that administer", "note" if powerful else "ok", detail)
    is_whole = client.call("GET", "/admin/audit/verify")["is_whole"]
    yield _row("the audit log", [] if is_whole else ["it was changed: `aldgate audit verify` says where"])


def _row(check: str, passed: list[str]) -> Row:
    more = f" and {len(passed) - 3} more" if len(passed) > 3 else ""
    return Row(check, "FINDING", ", ".join(passed[:3]) + more) if passed else Row(check, "ok")
