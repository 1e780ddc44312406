"""The fake upstream's book-keeping: order, recording, bills, and who left too soon."""

import asyncio
import ssl
import subprocess
import sys

import pytest
import trustme

from aldgate.testing.upstream import FakeUpstream, Reply, Valve, faults


async def finish(wire) -> bytes:
    """Read one reply of known length."""
    head = await wire.read_head()
    return head + await wire.reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))


async def test_steps_happen_in_order_and_then_the_default(upstream, wire, chat_body):
    upstream.script(faults.status(500), faults.status(429))
    upstream.script(faults.status(404))
    statuses = []
    for _ in range(4):
        wire.send(chat_body())
        statuses.append(int((await finish(wire)).split(b" ")[1]))
    assert statuses == [500, 429, 404, 200]


async def test_requests_are_recorded_as_they_came(upstream, wire):
    wire.writer.write(b"POST /v1/embeddings?a=1 HTTP/1.1\r\nHost: h\r\nX-Twice: 1\r\nx-twice:  2 \r\nContent-Length: 2\r\n\r\n{}")
    await finish(wire)
    [request] = upstream.requests
    assert (request.method, request.path, request.body) == ("POST", "/v1/embeddings?a=1", b"{}")
    assert request.headers == [("Host", "h"), ("X-Twice", "1"), ("x-twice", "2"), ("Content-Length", "2")]
    assert request.header("X-TWICE") == "1" and request.header("absent") is None
    assert request.json() == {}


@pytest.mark.parametrize("cut", range(1, 60, 7))
async def test_a_request_may_come_in_any_pieces(cut, upstream, wire, chat_body):
    body = chat_body()
    data = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    wire.writer.write(data[:cut])
    await asyncio.sleep(0)
    wire.writer.write(data[cut:])
    assert (await finish(wire)).startswith(b"HTTP/1.1 200 ")
    assert upstream.requests[0].body == body


async def test_pipelined_requests_are_answered_one_after_the_other(upstream, wire, chat_body):
    valve = Valve()
    upstream.script(faults.hang_before_head(valve))
    wire.send(chat_body())
    wire.send(b"", "/v1/models", "GET")
    async with asyncio.timeout(5):
        await upstream.saw_requests()
    assert len(upstream.requests) == 1
    valve.turn()
    assert b"chat.completion" in await finish(wire)
    assert b'"object":"list"' in await finish(wire)


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_turned_away(data, upstream, wire):
    wire.writer.write(data)
    assert (await finish(wire)).startswith(b"HTTP/1.1 400 ")
    assert await wire.is_closed()
    assert len(upstream.malformed) == 1 and upstream.requests == []


async def test_answers_are_billed_and_errors_are_free(upstream, wire, chat_body):
    upstream.script(faults.status(500))
    for body in (chat_body(), chat_body(), chat_body(n=2), chat_body(max_tokens=3)):
        wire.send(body)
        await finish(wire)
    assert (upstream.calls, upstream.prompt_tokens, upstream.completion_tokens) == (3, 30, 5 + 10 + 3)


async def test_a_stream_is_billed_as_far_as_it_was_generated(upstream, wire, chat_body):
    valve = Valve()
    upstream.script(faults.stall_mid_stream(after=4, valve=valve))
    wire.send(chat_body(stream=True))
    async with asyncio.timeout(5):
        await wire.reader.readuntil(b"from ")
        wire.writer.close()
        await upstream.saw_close()
    assert (upstream.calls, upstream.prompt_tokens, upstream.completion_tokens) == (1, 10, 2)


async def test_connections_are_counted(upstream, connect, chat_body):
    first = await connect()
    first.send(chat_body())
    await finish(first)
    second = await connect()
    second.send(chat_body())
    await finish(second)
    assert (upstream.connections, upstream.open_connections, upstream.closed_early) == (2, 2, 0)


async def test_a_client_that_leaves_between_calls_left_nothing_early(upstream, wire, chat_body):
    wire.send(chat_body())
    await finish(wire)
    wire.writer.close()
    await wire.writer.wait_closed()
    async with asyncio.timeout(5):
        while upstream.open_connections:
            await asyncio.sleep(0)
    assert upstream.closed_early == 0


async def test_it_speaks_tls(chat_body):
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    async with FakeUpstream(ssl=server, reply=Reply(text="Over TLS")) as upstream:
        assert upstream.url == f"https://127.0.0.1:{upstream.port}/v1"
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port, ssl=client)
        body = chat_body()
        writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        assert b"Over TLS" in await reader.readuntil(b"}}}")
        writer.transport.abort()


async def test_leaving_ends_what_still_hangs(chat_body):
    async with FakeUpstream() as upstream:
        upstream.script(faults.hang_before_head())
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(b"GET /v1/models HTTP/1.1\r\n\r\n")
        await upstream.saw_requests()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.transport.abort()


def test_it_runs_as_a_process():
    command = [sys.executable, "-m", "aldgate.testing.upstream", "--chunks", "2", "--reply-bytes", "800", "--fault", "status_503"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:") and url.endswith("/v1")
        finally:
            process.terminate()
