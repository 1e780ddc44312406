"""Bodies that are no request: 400 with a word about why, before anything is reserved or sent."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.faults.lab import CHAT, HELLO, Lab, running_lab
from tests.faults.wire import wire

MESSAGES = b'"messages":[{"role":"user","content":"x"}]'
DEEP = 100_000


def body(member: bytes = b"", model: bytes = b'"gpt-4.1"') -> bytes:
    """A good body with one more member."""
    return b'{"model":' + model + b"," + MESSAGES + (b"," + member if member else b"") + b"}"


@pytest.fixture(scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    config = '[prices."lab/gpt-4.1"]\noutput = 8\n'
    async with running_lab(tmp_path_factory.mktemp("gate"), config=config, models=["gpt-4.1", "gpt-4.1-mini"]) as lab:
        yield lab


@pytest.fixture(scope="module")
async def key(lab: Lab) -> str:
    return await lab.gate.key(rpm=100_000, tpm=1_000_000_000, tpd=1_000_000_000, budget="1000/total")


MALFORMED = {
    "nothing": b"",
    "null": b"null",
    "an array": b"[]",
    "a string": b'"x"',
    "a number": b"1",
    "cut off": body()[:-1],
    "something behind it": body() + b"x",
    "two objects": body() + body(),
    "a trailing comma": body()[:-1] + b",}",
    "single quotes": b"{'model':'gpt-4.1'}",
    "a comment": body(b'"a":1/*b*/'),
    "not UTF-8": body(b'"user":"\xff"'),
    "overlong UTF-8": body(b'"user":"\xc0\xaf"'),
    "a surrogate in UTF-8": body(b'"user":"\xed\xa0\x80"'),
    "half a surrogate pair": body(model=b'"gpt-4.1\\ud800"'),
    "a byte order mark": b"\xef\xbb\xbf" + body(),
    "UTF-16": body().decode().encode("utf-16"),
    "UTF-32": body().decode().encode("utf-32-le"),
    "a control character": body(b'"user":"a\x01b"'),
    "NaN": body(b'"temperature":NaN'),
    "infinity": body(b'"temperature":-Infinity'),
    "NaN beside a nested model": body(b'"metadata":{"model":"y"},"temperature":NaN'),
    "deep arrays": body(b'"x":' + b"[" * DEEP + b"]" * DEEP),
    "deep objects": body(b'"x":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "deep arrays beside a nested model": body(b'"metadata":{"model":"y"},"x":' + b"[" * DEEP + b"]" * DEEP),
    "nothing but depth": b"[" * DEEP,
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_no_json_object_is_400(name: str, lab: Lab, key: str) -> None:
    await is_refused(lab, await lab.post(MALFORMED[name], key), param=None)


async def is_refused(lab: Lab, reply: httpx2.Response, *, param: str | None) -> None:
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "invalid_request", param)
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["x-request-id"].startswith("req-")
    assert lab.upstream.requests == []
    await lab.is_quiet()


WRONG: dict[str, list[Any]] = {
    "model": [1, None, "", ["gpt-4.1"], {}, True],
    "messages": ["x", None, [], {}, 1],
    "messages[0]": [[{}], [1], [None], [[]]],
    "stream": ["true", 1, 0, [], {}],
    "stream_options": [[], 1, "x"],
    "stream_options.include_usage": [{"include_usage": 1}, {"include_usage": "yes"}],
    "n": [0, -1, 129, "1", 1.5, [], True],
    "max_tokens": [0, -1, "5", 1.0, 1e3, True, []],
    "max_completion_tokens": [0, -(2**70), "5", 0.5, {}],
}


@pytest.mark.parametrize(("param", "value"), [(param, value) for param, values in WRONG.items() for value in values])
async def test_a_field_of_a_wrong_kind_is_named(param: str, value: Any, lab: Lab, key: str) -> None:
    field = param.partition(".")[0].partition("[")[0]
    await is_refused(lab, await lab.post({**HELLO, field: value}, key), param=param)


@pytest.mark.parametrize("field", ["model", "messages"])
async def test_a_field_that_is_missing_is_named(field: str, lab: Lab, key: str) -> None:
    rest = {name: value for name, value in HELLO.items() if name != field}
    await is_refused(lab, await lab.post(rest, key), param=field)


@pytest.mark.parametrize("cap", [2**63 - 1, 2**63, 10**30])
async def test_a_bound_beyond_all_money_is_402(cap: int, lab: Lab, key: str) -> None:
    reply = await lab.post({**HELLO, "max_tokens": cap, "n": 128}, key)
    assert (reply.status_code, reply.json()["error"]["code"]) == (402, "budget_exceeded")
    await lab.is_quiet()


@pytest.mark.parametrize(
    ("model", "status", "near"),
    [
        ("gpt-4.2", 404, "`lab/gpt-4.1`"),
        ("lab/gpt-4.1-nano", 404, "`lab/gpt-4.1-mini`"),
        ("x" * 100_000, 404, ""),
        ("a\0b", 404, ""),
    ],
)
async def test_an_unknown_model_is_404_and_near_ones_are_named(model: str, status: int, near: str, lab: Lab, key: str) -> None:
    reply = await lab.post({**HELLO, "model": model}, key)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (status, "model_not_found", "model")
    assert near in error["message"] and len(error["message"]) < 400
    assert ("Did you mean" in error["message"]) is bool(near)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"]
)
async def test_another_content_type_is_415(kind: str, lab: Lab, key: str) -> None:
    reply = await lab.post(HELLO, key, **{"content-type": kind})
    assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "identity;q=1", "x"])
async def test_a_compressed_body_is_415_and_costs_nothing(coding: str, lab: Lab, key: str) -> None:
    rows, seen = len(await lab.rows()), len(lab.upstream.requests)
    reply = await lab.post(HELLO, key, **{"content-encoding": coding})
    assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_media_type")
    reply = await lab.gate.http.post("/admin/keys", json={"name": "x"}, headers={"content-encoding": coding})
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_media_type")
    assert (len(await lab.rows()), len(lab.upstream.requests)) == (rows, seen)


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
async def test_a_body_may_say_that_it_is_plain(coding: str, lab: Lab, key: str) -> None:
    assert (await lab.post(HELLO, key, **{"content-encoding": coding})).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_another_method_is_405(method: str, lab: Lab) -> None:
    reply = await lab.gate.http.request(method, CHAT)
    assert (reply.status_code, reply.json()["error"]["code"]) == (405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "//v1/chat/completions", "/v2/chat/completions"]
)
async def test_an_unknown_path_is_404(path: str, lab: Lab) -> None:
    async with wire(lab.gate.port) as connection:
        connection.send(f"POST {path} HTTP/1.1\r\nhost: gate\r\ncontent-length: 0\r\n\r\n".encode())
        answer = await connection.answer()
        assert (answer.status, answer.code) == (404, "not_found")
