"""Every named fault, as a raw client sees it on the wire."""

import asyncio
import gzip
import json

import pytest

from aldgate.testing.upstream import FAULTS, Act, Asked, FakeUpstream, Recorded, Reply, Sleep, Valve, faults

ENDLESS = {"endless_body", "endless_stream"}
SILENT = {"refuse", "hang_before_head", "hang_after_head", "stall_mid_stream"}
BEFORE_ANY_REQUEST = {"unasked_reply"}
SCRIPTED = sorted(set(FAULTS) - ENDLESS - SILENT - BEFORE_ANY_REQUEST)


def expectation(name: str, body: bytes) -> tuple[bytes, bool]:
    """The bytes a fault writes with its defaults, and whether it then ends the connection."""
    asked = Asked(Recorded("POST", "/v1/chat/completions", b"", 0.0, body), Reply())
    pieces = list(FAULTS[name]().play(asked))
    return b"".join(piece for piece in pieces if isinstance(piece, bytes)), bool({Act.CLOSE, Act.RESET} & set(pieces))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", SCRIPTED)
async def test_the_wire_carries_what_the_play_wrote(name, stream, upstream, wire, chat_body):
    body = chat_body(stream=stream)
    expected, closes = expectation(name, body)
    valve = Valve()
    valve.open()
    upstream.script(faults.slow_drip(valve) if name == "slow_drip" else FAULTS[name]())
    wire.send(body)
    assert await wire.reader.readexactly(len(expected)) == expected
    if closes:
        assert await wire.is_closed()
    assert upstream.closed_early == 0
    assert [request.body for request in upstream.requests] == [body]


@pytest.mark.parametrize("name", [name for name in SCRIPTED if name not in {"dead_on_reuse", "early_reply"}])
async def test_a_connection_that_stays_open_serves_the_next_request(name, upstream, wire, chat_body):
    body = chat_body(stream=True)
    expected, closes = expectation(name, body)
    if closes or name == "slow_drip":
        return
    upstream.script(FAULTS[name]())
    wire.send(body)
    await wire.reader.readexactly(len(expected))
    wire.send(b"", "/v1/models", "GET")
    assert (await wire.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_refuse_closes_the_listener_until_it_listens_again(upstream, connect, wire, chat_body):
    upstream.script(faults.status(503), faults.refuse())
    wire.send(chat_body())
    assert (await wire.read_head()).startswith(b"HTTP/1.1 503 ")
    await wire.reader.readexactly(len(upstream_error_body(503)))
    assert await wire.is_closed()
    with pytest.raises(ConnectionRefusedError):
        await connect()
    await upstream.listen()
    again = await connect()
    again.send(chat_body())
    assert (await again.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")


def upstream_error_body(code: int) -> bytes:
    asked = Asked(Recorded("POST", "/v1/chat/completions", b"", 0.0, b"{}"), Reply())
    return next(faults.status(code).play(asked)).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("make", [faults.hang_before_head, faults.hang_after_head, faults.stall_mid_stream])
async def test_what_hangs_sees_the_client_leave(make, upstream, wire, chat_body):
    upstream.script(make())
    wire.send(chat_body(stream=True))
    async with asyncio.timeout(5):
        await upstream.saw_requests()
        wire.writer.close()
        await upstream.saw_close()
    assert upstream.closed_early == 1


@pytest.mark.parametrize("make", [faults.hang_before_head, faults.hang_after_head, faults.stall_mid_stream])
async def test_what_hangs_goes_on_when_its_valve_is_turned(make, upstream, wire, chat_body):
    valve, body = Valve(), chat_body(stream=True)
    upstream.script(make(valve=valve))
    expected = b"".join(piece for piece in FAULTS["split_every"]().play(asked(body)) if isinstance(piece, bytes))
    wire.send(body)
    async with asyncio.timeout(5):
        await upstream.saw_requests()
    valve.turn()
    assert await wire.reader.readexactly(len(expected)) == expected


def asked(body: bytes) -> Asked:
    return Asked(Recorded("POST", "/v1/chat/completions", b"", 0.0, body), Reply())


async def test_slow_drip_lets_one_byte_through_per_turn(upstream, wire, chat_body):
    valve = Valve()
    upstream.script(faults.slow_drip(valve))
    wire.send(chat_body())
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += await wire.reader.readexactly(1)
        valve.turn()
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")


def test_slow_drip_can_be_timed():
    pieces = list(faults.slow_drip(every_s=0.5).play(asked(b'{"model":"m"}')))
    assert Sleep(0.5) in pieces
    assert all(len(piece) == 1 for piece in pieces if isinstance(piece, bytes))


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_split_every_changes_nothing_but_the_pieces(size, upstream, wire, chat_body):
    body = chat_body(stream=True)
    upstream.script(faults.split_every(size))
    wire.send(body)
    head = await wire.read_head()
    assert b"text/event-stream" in head
    tail = await wire.reader.readuntil(b"\r\n0\r\n\r\n")
    assert tail.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


@pytest.mark.parametrize("name", sorted(ENDLESS))
async def test_the_endless_end_only_with_the_client(name, upstream, wire, chat_body):
    upstream.script(FAULTS[name]())
    wire.send(chat_body(stream=True))
    await wire.reader.readexactly(1_000_000)
    wire.writer.close()
    async with asyncio.timeout(5):
        await upstream.saw_close()


async def test_an_endless_stream_can_be_turned_event_by_event(upstream, wire, chat_body):
    valve = Valve()
    upstream.script(faults.endless_stream(valve))
    wire.send(chat_body(stream=True))
    await wire.read_head()
    for _ in range(3):
        assert b'"content":"more "' in await wire.reader.readuntil(b"\n\n\r\n")
        valve.turn()


async def test_an_early_reply_precedes_the_body(upstream, wire, chat_body):
    upstream.script(faults.early_reply())
    body = chat_body()
    wire.writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    head = await wire.read_head()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert upstream.requests == []
    await wire.reader.readuntil(b"}}")
    wire.writer.write(body)
    wire.send(b"", "/v1/models", "GET")
    assert (await wire.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert [request.body for request in upstream.requests] == [body, b""]


async def test_an_unasked_reply_comes_before_any_request(upstream, connect):
    upstream.script(faults.unasked_reply())
    wire = await connect()
    assert (await wire.reader.readuntil(b"}")).endswith(b'{"id":"nobody-asked"}')
    assert upstream.requests == []


async def test_a_surplus_reply_can_come_later(upstream, wire, chat_body):
    valve = Valve()
    upstream.script(faults.surplus_reply(valve))
    wire.send(chat_body())
    head = await wire.read_head()
    await wire.reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    valve.turn()
    assert (await wire.reader.readuntil(b"}")).endswith(b'{"id":"nobody-asked"}')


async def test_dead_on_reuse_closes_at_the_next_byte(upstream, wire, chat_body):
    upstream.script(faults.dead_on_reuse())
    wire.send(chat_body())
    head = await wire.read_head()
    await wire.reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    wire.writer.write(b"P")
    assert await wire.is_closed()
    assert len(upstream.requests) == 1


async def test_reset_arrives_as_a_reset(upstream, wire, chat_body):
    upstream.script(faults.reset_mid_body())
    wire.send(chat_body())
    with pytest.raises(ConnectionResetError):
        await wire.reader.read()


def written(name: str, **fields: object) -> bytes:
    body = json.dumps({"model": "m", "stream": False, **fields}).encode()
    return expectation(name, body)[0]


@pytest.mark.parametrize(
    ("name", "stream", "part"),
    [
        ("truncated_stream", True, b"\n\n\r\n0\r\n\r\n"),
        ("garbage", False, b"this is not HTTP"),
        ("wrong_content_type", False, b"Content-Type: text/html"),
        ("connection_close", False, b"Connection: close"),
        ("http_1_0", True, b"HTTP/1.0 200 OK\r\n"),
        ("informational_1xx", False, b"HTTP/1.1 103 Early Hints"),
        ("chunk_extensions", True, b';name=value;quoted="a;b"\r\n'),
        ("chunk_extensions", False, b"0;last=1\r\nx-checksum: 5d41402a\r\n\r\n"),
        ("status_429", False, b"retry-after: 2\r\nretry-after-ms: 1500\r\n"),
        ("status_529", False, b"HTTP/1.1 529 "),
        ("numeric_code", False, b'"code":429'),
        ("error_200", False, b"HTTP/1.1 200 OK\r\n"),
        ("error_in_stream", True, b'data: {"error":{'),
        ("usage_in_x_groq", True, b'"x_groq":{"id":"req_upstream","usage":{"prompt_tokens":10'),
        ("usage_null", True, b'"usage":null'),
        ("keep_alive_comments", True, b": KEEP-ALIVE\n\n\n"),
        ("crlf_events", True, b"data: [DONE]\r\n\r\n"),
        ("redirect", False, b"Location: http://elsewhere.invalid/"),
    ],
)
def test_a_fault_is_what_its_name_says(name, stream, part):
    assert part in written(name, stream=stream)


@pytest.mark.parametrize(
    ("name", "stream", "part"),
    [
        ("truncated_stream", True, b"[DONE]"),
        ("connection_close", False, b"Content-Length"),
        ("usage_missing", True, b'"usage"'),
        ("usage_missing", False, b'"usage"'),
        ("die_mid_stream", True, b"\r\n0\r\n"),
    ],
)
def test_a_fault_lacks_what_its_name_says(name, stream, part):
    assert part not in written(name, stream=stream, stream_options={"include_usage": True})


def test_lengths_conflict():
    assert written("content_length_twice").count(b"Content-Length: ") == 2
    both = written("content_length_and_coding")
    assert b"Content-Length: " in both and b"Transfer-Encoding: chunked" in both


def test_headers_can_be_oversized():
    assert written("oversized_headers").index(b"\r\n\r\n") > 65_536


def test_compressed_holds_the_good_answer():
    head, _, body = written("compressed").partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert b"Hello from the fake upstream." in gzip.decompress(body)


def test_usage_on_the_last_choice_needs_no_asking():
    events = [line for line in written("usage_on_last_choice", stream=True).split(b"\n") if line.startswith(b"data: ")]
    assert b'"finish_reason":"stop"' in events[-2] and b'"prompt_tokens":10' in events[-2]


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_every_fault_has_a_name_and_a_word_about_itself(name):
    assert FAULTS[name]().name == name
    assert name.startswith("status_") or FAULTS[name].__doc__


async def test_a_default_step_happens_to_every_request(chat_body):
    async with FakeUpstream(default=faults.status(503)) as upstream:
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
            writer.write(b"GET /v1/models HTTP/1.1\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 503 ")
            writer.transport.abort()
