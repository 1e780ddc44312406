import pytest

from aldgate.surfaces.http.asgi import Handler, Message, Receive, Scope, Send
from aldgate.surfaces.http.front import Front
from tests.support import RunningGate


def naming(name: str) -> Handler:
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"handled by": name})

    return handle


EXACT = {("GET", "/a"): naming("get a"), ("POST", "/a"): naming("post a"), ("GET", "/a/b"): naming("b")}
PREFIXES = [("GET", "/a/", naming("under a"))]


async def asked(front: Front, method: str, path: str, kind: str = "http") -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing here reads")

    scope: Scope = {"type": kind, "method": method, "path": path, "headers": [], "aldgate.headers": {}}
    await front(scope, receive, send)
    return sent


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/a", "get a"),
        ("POST", "/a", "post a"),
        ("GET", "/a/b", "b"),
        ("GET", "/a/b/c", "under a"),
        ("GET", "/a//", "under a"),
        ("GET", "/a/", "rest"),
        ("GET", "/A", "rest"),
        ("GET", "", "rest"),
    ],
)
async def test_a_request_finds_its_handler(method: str, path: str, name: str) -> None:
    assert await asked(Front(EXACT, PREFIXES, naming("rest")), method, path) == [{"handled by": name}]


@pytest.mark.anyio
async def test_a_known_path_with_another_method_names_the_right_ones() -> None:
    front = Front(EXACT, PREFIXES, naming("rest"))
    for path, allowed in (("/a", b"GET, POST"), ("/a/b", b"GET"), ("/a/b/c", b"GET")):
        head, _ = await asked(front, "PATCH", path)
        assert head["status"] == 405 and (b"allow", allowed) in head["headers"]


@pytest.mark.anyio
async def test_without_a_rest_the_others_are_not_found() -> None:
    head, body = await asked(Front(EXACT), "GET", "/" + "x" * 1_000)
    assert head["status"] == 404 and len(body["body"]) < 500


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("PUT", "/", 405, "GET, HEAD"),
        ("GET", "/v1", 404, None),
        ("GET", "/v1/chat/completions/", 404, None),
        ("GET", "/v1/chat/completions", 405, "POST"),
        ("PUT", "/v1/models", 405, "GET"),
        ("DELETE", "/v1/models/gpt-4.1", 405, "GET, POST"),
        ("POST", "/v1/models/lab/gpt-4.1", 405, "GET"),
        ("DELETE", "/health", 405, "GET, HEAD"),
        ("PUT", "/v1/usage", 405, "GET"),
        ("OPTIONS", "/v1/embeddings", 405, "POST"),
        ("PROPFIND", "/nothing", 404, None),
        ("GET", "/%00%ff", 404, None),
    ],
)
async def test_what_is_not_there_is_told_in_openais_shape(
    gate: RunningGate, method: str, path: str, status: int, allowed: str | None
) -> None:
    reply = await gate.http.request(method, path)
    assert (reply.status_code, reply.headers.get("allow")) == (status, allowed)
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == {404: "not_found", 405: "method_not_allowed"}[status]
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/messages", 405), ("POST", "/v1/messages/nothing", 404)])
async def test_anthropics_callers_find_the_id_in_the_body(gate: RunningGate, method: str, path: str, status: int) -> None:
    reply = await gate.http.request(method, path)
    assert reply.status_code == status and reply.json()["type"] == "error"
    assert reply.json()["request_id"] == reply.headers["request-id"] == reply.headers["x-request-id"] != ""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/v1beta/nope", 404, None),
        ("POST", "/v1beta/nope", 404, None),
        ("DELETE", "/v1alpha/nope", 404, None),
        ("GET", "/v1beta/models/m:generateContent", 405, "POST"),
        ("POST", "/v1beta/models/m", 404, None),
        ("DELETE", "/v1beta/models/m", 405, "GET"),
        ("POST", "/v1beta/models/m:paint", 404, None),
    ],
)
async def test_what_is_not_there_is_told_in_geminis_shape(
    gate: RunningGate, method: str, path: str, status: int, allowed: str | None
) -> None:
    reply = await gate.http.request(method, path)
    assert (reply.status_code, reply.headers.get("allow"), reply.json()["error"]["code"]) == (status, allowed, status)


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "status"), [("PUT", 405), ("HEAD", 405), ("GET", 404)])
async def test_administration_has_a_shape_of_its_own(gate: RunningGate, method: str, status: int) -> None:
    reply = await gate.http.request(method, "/admin/keys" if status == 405 else "/admin/nothing")
    assert reply.status_code == status
    if method != "HEAD":
        assert set(reply.json()) == {"detail", "code"}
    if status == 405:
        assert set(reply.headers["allow"].split(", ")) == {"GET", "POST"}


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "name"), [("/s", "s"), ("/under/x", "under"), ("/under/x/y", "under"), ("/s/under/x", "other")])
async def test_a_socket_finds_its_handler(path: str, name: str) -> None:
    sockets = {"/s": naming("s"), "/under/": naming("under"), "/s/under/": naming("other")}
    assert await asked(Front(EXACT, sockets=sockets), "GET", path, "websocket") == [{"handled by": name}]
