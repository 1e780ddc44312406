"""Request heads that are malformed, ambiguous or odd: refused in the caller's dialect, and never read in two ways."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.faults.lab import CHAT, HELLO, Lab, running_lab, within
from tests.faults.wire import credentials, head, wire

BODY = json.dumps(HELLO).encode()
LINE, HOST = f"POST {CHAT} HTTP/1.1", "host: gate"
LENGTH, CHUNKED = f"content-length: {len(BODY)}", "transfer-encoding: chunked"


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body) + end


@pytest.fixture(scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with running_lab(tmp_path_factory.mktemp("gate")) as lab:
        yield lab


@pytest.fixture(scope="module")
async def auth(lab: Lab) -> tuple[str, str]:
    return credentials(await lab.gate.key())


FAULTY: dict[str, tuple[list[str], bytes]] = {  # lines, with the credentials left out, and what follows the head
    "no host": ([LINE, LENGTH], BODY),
    "two hosts": ([LINE, HOST, HOST, LENGTH], BODY),
    "a host with a space": ([LINE, "host: a b", LENGTH], BODY),
    "a host with a user": ([LINE, "host: a@b", LENGTH], BODY),
    "a host with a path": ([LINE, "host: a/b", LENGTH], BODY),
    "a host beyond ASCII": ([LINE, "host: g\xe4te", LENGTH], BODY),
    "a length, then a coding": ([LINE, HOST, LENGTH, CHUNKED], chunked(BODY)),
    "a coding, then a length": ([LINE, HOST, CHUNKED, LENGTH], chunked(BODY)),
    "two lengths": ([LINE, HOST, LENGTH, "content-length: 5"], BODY),
    "the same length twice": ([LINE, HOST, LENGTH, LENGTH], BODY),
    "a list of lengths": ([LINE, HOST, f"{LENGTH}, {len(BODY)}"], BODY),
    "a length with a sign": ([LINE, HOST, f"content-length: +{len(BODY)}"], BODY),
    "a length below zero": ([LINE, HOST, "content-length: -1"], BODY),
    "a hexadecimal length": ([LINE, HOST, "content-length: 0x10"], BODY),
    "a length beyond 64 bits": ([LINE, HOST, "content-length: " + "9" * 30], BODY),
    "an empty length": ([LINE, HOST, "content-length: "], BODY),
    "two codings": ([LINE, HOST, CHUNKED, CHUNKED], chunked(BODY)),
    "an unknown coding": ([LINE, HOST, "transfer-encoding: xchunked"], chunked(BODY)),
    "a coding before chunked": ([LINE, HOST, "transfer-encoding: gzip, chunked"], chunked(BODY)),
    "a coding after chunked": ([LINE, HOST, "transfer-encoding: chunked, gzip"], chunked(BODY)),
    "a coding in HTTP/1.0": ([LINE.replace("1.1", "1.0"), HOST, CHUNKED], chunked(BODY)),
    "a folded line": ([LINE, HOST, "x-a: b\r\n c", LENGTH], BODY),
    "a folded coding": ([LINE, HOST, "transfer-encoding:\r\n chunked"], chunked(BODY)),
    "a bare LF": ([LINE, HOST + "\n" + LENGTH], BODY),
    "a bare CR": ([LINE, HOST, "x-a: b\rc: d", LENGTH], BODY),
    "a space before the colon": ([LINE, HOST, "x-a : b", LENGTH], BODY),
    "a NUL": ([LINE, HOST, "x-a: a\0b", LENGTH], BODY),
    "a chunk size that is none": ([LINE, HOST, CHUNKED], b"zz\r\n"),
    "a chunk size below zero": ([LINE, HOST, CHUNKED], b"-5\r\n"),
    "a chunk size beyond 64 bits": ([LINE, HOST, CHUNKED], b"f" * 40 + b"\r\n"),
    "a chunk size with a prefix": ([LINE, HOST, CHUNKED], b"0x5\r\nabcde\r\n"),
    "a chunk size with a space": ([LINE, HOST, CHUNKED], b"5 \r\nabcde\r\n"),
    "a chunk ended by a bare LF": ([LINE, HOST, CHUNKED], b"5\nabcde\n0\n\n"),
    "a chunk longer than it says": ([LINE, HOST, CHUNKED], b"5\r\nabcdeXX0\r\n\r\n"),
    "a length in the trailer": ([LINE, HOST, CHUNKED], chunked(BODY, b"0\r\ncontent-length: 5\r\n\r\n")),
    "an absolute target of another scheme": ([f"POST ftp://gate{CHAT} HTTP/1.1", HOST, LENGTH], BODY),
    "an asterisk": (["OPTIONS * HTTP/1.1", HOST], b""),
    "CONNECT": (["CONNECT elsewhere:443 HTTP/1.1", HOST], b""),
    "a target that is no path": (["POST v1/chat/completions HTTP/1.1", HOST, LENGTH], BODY),
    "an unknown method": ([f"FROB {CHAT} HTTP/1.1", HOST], b""),
    "a method in lower case": ([LINE.replace("POST", "post"), HOST, LENGTH], BODY),
    "HTTP/2's preface": (["PRI * HTTP/2.0"], b"SM\r\n\r\n"),
    "an unknown version": ([LINE.replace("1.1", "9.9"), HOST, LENGTH], BODY),
    "an h2c upgrade": ([LINE, HOST, LENGTH, "connection: upgrade, http2-settings", "upgrade: h2c"], BODY),
}


@pytest.mark.parametrize("name", FAULTY)
async def test_a_faulty_request_is_400_and_ends_the_connection(name: str, lab: Lab, auth: tuple[str, str]) -> None:
    lines, rest = FAULTY[name]
    seen = len(lab.upstream.requests)
    async with wire(lab.gate.port) as connection:
        connection.send(head(lines[0], *auth, *lines[1:]) + rest)
        answer = await connection.answer()
        assert (answer.status, answer.code, answer.headers["connection"]) == (400, "invalid_request", "close")
        assert answer.headers["x-should-retry"] == "false"
        assert await connection.is_closed()
    assert len(lab.upstream.requests) == seen


@pytest.mark.parametrize("version", ["0.9", "2.0"])
@pytest.mark.parametrize("path", [CHAT, "/health", "/admin/keys"])
async def test_another_version_of_http_is_refused(version: str, path: str, lab: Lab, auth: tuple[str, str]) -> None:
    seen = len(lab.upstream.requests)
    async with wire(lab.gate.port) as connection:
        connection.send(head(f"POST {path} HTTP/{version}", *auth, HOST, LENGTH) + BODY)
        answer = await connection.answer()
        assert (answer.status, answer.headers["connection"]) == (505, "close")
        error = answer.json() if path == "/admin/keys" else answer.json()["error"]
        assert error["code"] == "http_version_not_supported"
        assert await connection.is_closed()
    assert len(lab.upstream.requests) == seen


async def test_a_tls_handshake_on_a_plain_port_is_refused(lab: Lab) -> None:
    async with wire(lab.gate.port) as connection:
        connection.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert (await connection.answer()).status == 400
        assert await connection.is_closed()


GOOD: dict[str, tuple[list[str], bytes]] = {
    "chunks": ([LINE, HOST, CHUNKED], chunked(BODY[:7]).removesuffix(b"0\r\n\r\n") + chunked(BODY[7:])),
    "chunks with extensions and a trailer": ([LINE, HOST, CHUNKED], b"%x;a=b\r\n%s\r\n0\r\nx-t: 1\r\n\r\n" % (len(BODY), BODY)),
    "an absolute target": ([f"POST http://gate{CHAT} HTTP/1.1", HOST, LENGTH], BODY),
    "a query": ([f"POST {CHAT}?api-version=1 HTTP/1.1", HOST, LENGTH], BODY),
    "an upgrade that is not asked for": ([LINE, HOST, LENGTH, "upgrade: h2c"], BODY),
    "header names in capitals": ([LINE, HOST.upper(), LENGTH.upper()], BODY),
}


@pytest.mark.parametrize("name", GOOD)
async def test_an_unusual_request_is_answered(name: str, lab: Lab, auth: tuple[str, str]) -> None:
    lines, rest = GOOD[name]
    async with wire(lab.gate.port) as connection:
        for _ in range(2):  # the second shows that the first was read to its end and no further
            connection.send(head(lines[0], *auth, *lines[1:]) + rest)
            answer = await connection.answer()
            assert answer.status == 200
            assert json.loads(lab.upstream.requests[-1].body)["messages"] == HELLO["messages"]


async def test_an_absolute_target_names_no_other_upstream(lab: Lab, auth: tuple[str, str]) -> None:
    async with wire(lab.gate.port) as connection:
        connection.send(head(f"POST http://elsewhere.invalid{CHAT} HTTP/1.1", *auth, "host: elsewhere.invalid", LENGTH) + BODY)
        assert (await connection.answer()).status == 200
    sent = lab.upstream.requests[-1]
    assert (sent.path, sent.header("host")) == (CHAT, f"127.0.0.1:{lab.upstream.port}")


async def test_http_1_0_is_answered_and_closed(lab: Lab, auth: tuple[str, str]) -> None:
    async with wire(lab.gate.port) as connection:
        connection.send(head(LINE.replace("1.1", "1.0"), *auth, LENGTH) + BODY)
        answer = await connection.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await connection.is_closed()


async def test_a_stream_over_http_1_0_ends_with_the_connection(lab: Lab, auth: tuple[str, str]) -> None:
    body = json.dumps({**HELLO, "stream": True})
    async with wire(lab.gate.port) as connection:
        connection.send(head(LINE.replace("1.1", "1.0"), *auth, f"content-length: {len(body)}") + body.encode())
        answer = await connection.read_head()
        assert "transfer-encoding" not in answer.headers
        events = await within(5, connection.reader.read(-1))
        assert events.startswith(b'data: {"') and events.endswith(b"\n\ndata: [DONE]\n\n")


async def test_a_caller_may_wait_for_the_word_to_go_on(lab: Lab, auth: tuple[str, str]) -> None:
    async with wire(lab.gate.port) as connection:
        connection.send(head(LINE, HOST, *auth, LENGTH, "expect: 100-continue"))
        assert (await connection.read_head()).status == 100
        connection.send(BODY)
        assert (await connection.answer()).status == 200


@pytest.mark.parametrize("status", [401, 413, 415])
async def test_a_refused_caller_is_not_told_to_go_on(status: int, lab: Lab, auth: tuple[str, str]) -> None:
    lines = {
        401: [HOST, "authorization: Bearer nobody", LENGTH],
        413: [HOST, *auth, "content-length: 99999999999"],
        415: [HOST, auth[0], "content-type: text/plain", LENGTH],
    }
    async with wire(lab.gate.port) as connection:
        connection.send(head(LINE, *lines[status], "expect: 100-continue"))
        assert (await connection.answer()).status == status


async def test_an_offer_of_another_protocol_is_ignored(lab: Lab) -> None:
    offer = ["GET /health HTTP/1.1", HOST, "connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABk"]
    async with wire(lab.gate.port) as connection:
        for _ in range(3):
            connection.send(head(*offer))
            assert (await connection.answer()).status == 200


@pytest.mark.parametrize(
    "tail",
    [b"0\r\nx-filler: " + b"a" * 800_000, b"0;" + b"a" * 800_000, b"0\r\n" + b"x-filler: aaaaaaaa\r\n" * 40_000],
    ids=["one trailer", "a chunk extension", "many trailers"],
)
async def test_what_comes_beside_a_body_has_a_bound(tail: bytes, lab: Lab, auth: tuple[str, str]) -> None:
    async with wire(lab.gate.port) as connection:
        connection.send(head(LINE, HOST, *auth, "transfer-encoding: chunked"))
        connection.send(b"2\r\n{}\r\n")
        connection.send(tail)
        assert (await connection.answer()).status == 431
