import socket
from pathlib import Path

import pytest

from tests.cli.loopback_gate import KEY, Aldgate, LoopbackGate


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_no_gate_is_said_so(aldgate: Aldgate) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = aldgate("models", "list", "--url", url)
    assert (result.code, result.out) == (1, "")
    assert result.err == f"error: no gate answers at {url}\nhint: start one with `aldgate serve`, or give its --url\n"


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://h", "http://", "http://u:p@h", "http://h?x", "http://h:99999", "http://[::1"]
)
def test_a_url_that_is_none_is_refused_and_not_shown(aldgate: Aldgate, url: str) -> None:
    result = aldgate("models", "list", "--url", url)
    assert result.code == 1
    assert result.err.startswith("error: the gate's URL is not an http or https address\nhint: ")


def test_a_url_may_have_a_path(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/gate/v1/models", {"data": []})
    assert aldgate("models", "list", "--url", f"{gate.url}/gate/").code == 0


def test_without_a_key_nothing_is_sent(aldgate: Aldgate, gate: LoopbackGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALDGATE_ADMIN_KEY")
    result = aldgate("models", "list")
    assert (result.code, gate.requests) == (1, [])
    assert "hint: set ALDGATE_API_KEY" in result.err


def test_which_key_is_sent(aldgate: Aldgate, gate: LoopbackGate, home: Path) -> None:
    (home / ".env").write_text("ALDGATE_API_KEY='caller'\n")
    gate.reply("GET", "/v1/models", {"data": []})
    gate.reply("GET", "/admin/keys", {"keys": []})
    aldgate("models", "list")
    aldgate("keys", "list")
    assert [request.authorization for request in gate.requests] == ["Bearer caller", f"Bearer {KEY}"]


def test_a_key_may_be_a_reference(aldgate: Aldgate, gate: LoopbackGate, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "key").write_text("from-file\n")
    monkeypatch.setenv("ALDGATE_API_KEY", f"file:{home / 'key'}")
    gate.reply("GET", "/v1/models", {"data": []})
    aldgate("models", "list")
    assert gate.requests[0].authorization == "Bearer from-file"


def test_a_key_no_header_can_carry_is_refused_and_not_shown(aldgate: Aldgate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALDGATE_API_KEY", "canary\r\nX: 1")
    result = aldgate("models", "list")
    assert result.code == 1
    assert "canary" not in result.err


def test_a_malformed_dotenv_names_its_line(aldgate: Aldgate, home: Path) -> None:
    (home / ".env").write_text("A=1\ncanary\n")
    result = aldgate("models", "list")
    assert result.code == 1
    assert ".env, line 2: is not an assignment\nhint: " in result.err


@pytest.mark.parametrize(
    ("status", "body", "headers", "message", "hint"),
    [
        (401, {"error": {"message": "bad key", "type": "t", "param": None, "code": "c"}}, {}, "bad key", "set ALDGATE_API_KEY"),
        (403, {"detail": "no scope", "code": "scope_denied"}, {}, "no scope", "this key may not"),
        (429, {"error": {"message": "slow down"}}, {"Retry_After": "7"}, "slow down", "try again in 7 s"),
        (503, {"detail": "busy"}, {}, "busy", "try again shortly"),
        (500, b"<html>oops</html>", {}, "the gate answered 500", "the gate's log"),
        (302, b"", {"Location": "http://elsewhere.invalid/"}, "the gate answered 302", ""),
        (400, {"detail": [{"msg": "x"}]}, {}, "the gate answered 400", ""),
        (400, b"[]", {}, "the gate answered 400", ""),
        (400, {"detail": "a\x1b]0;title\x07b"}, {}, "a]0;titleb", ""),
    ],
)
def test_a_refusal_ends_with_message_and_hint(
    aldgate: Aldgate, gate: LoopbackGate, status: int, body: object, headers: dict[str, str], message: str, hint: str
) -> None:
    gate.reply("GET", "/v1/models", body, status=status, **headers)
    result = aldgate("models", "list")
    assert (result.code, result.out) == (1, "")
    first, second = result.err.splitlines()
    assert first == f"error: {message}"
    assert second.startswith("hint: ") and hint in second
    assert KEY not in result.err


@pytest.mark.parametrize("body", [b"hello", b"[]", b""])
def test_something_else_at_the_address_is_said_so(aldgate: Aldgate, gate: LoopbackGate, body: bytes) -> None:
    gate.reply("GET", "/v1/models", body)
    result = aldgate("models", "list")
    assert (result.code, result.err.splitlines()[0]) == (1, f"error: what answers at {gate.url} is not a gate")


def test_what_speaks_no_http_is_said_so(aldgate: Aldgate) -> None:
    import threading

    def greet(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"220 smtp ready\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=greet, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        result = aldgate("models", "list", "--url", url)
        thread.join()
    assert result.code == 1
    assert result.err.startswith(f"error: no gate answers at {url}: ")
    assert "\nhint: " in result.err
