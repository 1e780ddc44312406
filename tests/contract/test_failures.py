"""Every face over every provider when it goes wrong: a caller is told in its own dialect, and never that all went well."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from aldgate.testing.upstream import Step, Valve
from aldgate.testing.upstream.said import RETRY_AFTER_S, Refused, Said, broken_off, cut_clean, given_up, held_back, refusing
from tests.contract.cases import HELLO
from tests.contract.faces import FACES
from tests.contract.house import House
from tests.contract.neutral import Ask
from tests.contract.test_chats import PAIRS, STREAM

pytestmark = pytest.mark.anyio

ENDINGS: dict[str, tuple[Callable[[Said], Step], str]] = {
    "broken off": (broken_off, "upstream_broken"),
    "cut clean": (cut_clean, "upstream_broken"),
    "given up": (given_up, ""),
}
"""How a stream may fail, and the code of that, where it is the same for all."""
REFUSALS: dict[Refused, tuple[int, str]] = {
    "limited": (429, "upstream_rate_limited"),
    "too_long": (400, "context_length_exceeded"),
    "unauthorised": (502, "upstream_auth"),
    "overloaded": (503, "upstream_overloaded"),
}
OVERLOADED = {"anthropic": 529}
"""Faces with a status of their own for it."""


@STREAM
@pytest.mark.parametrize("why", REFUSALS)
@pytest.mark.parametrize(("face", "provider"), PAIRS)
async def test_a_refusal_is_told_in_the_callers_dialect(
    house: House, face: str, provider: str, why: Refused, stream: bool
) -> None:
    house.upstream.script(refusing(why))
    reply = await house.ask(face, provider, Ask(), stream=stream)
    status, code = REFUSALS[why]
    assert reply.status_code == (OVERLOADED.get(face, status) if why == "overloaded" else status), reply.text
    fault = FACES[face].fault(reply.json())
    assert fault.message and fault.code in (("",) if face == "ollama" else (code, code.upper()))
    assert reply.headers.get("retry-after") == (str(RETRY_AFTER_S) if why == "limited" else None)
    row = await house.row(reply.headers["x-request-id"])
    assert (row["status"], row["error_code"]) == (status, code)
    assert (row["output_tokens"], row["cost_microusd"]) == (0, 0)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("face", "provider"), PAIRS)
async def test_a_stream_that_fails_has_no_clean_end(house: House, face: str, provider: str, ending: str) -> None:
    step, code = ENDINGS[ending]
    house.upstream.script(step(HELLO))
    reply = await house.ask(face, provider, Ask(), stream=True)
    assert reply.status_code == 200, reply.text
    answer = FACES[face].stream(reply.content)
    assert answer.failure and not answer.ended
    assert HELLO.text.startswith(answer.text) and (answer.text or face == "responses")
    row = await house.row(reply.headers["x-request-id"])
    assert row["status"] >= 400 and row["error_code"] == (code or row["error_code"])
    assert row["output_tokens"] >= 1 and row["input_tokens"] >= 1


@pytest.mark.parametrize(("face", "provider"), PAIRS)
async def test_the_provider_sees_that_the_caller_left(house: House, face: str, provider: str) -> None:
    house.upstream.script(held_back(HELLO, Valve()))
    path, body = house.request(face, provider, Ask(), stream=True)
    told = json.dumps(HELLO.text[: (len(HELLO.text) + 1) // 2])[1:-1].encode()
    async with house.gate.http.stream("POST", path, json=body, headers=house.HEADERS) as reply:
        seen = b""
        pieces = reply.aiter_bytes()
        async with asyncio.timeout(5):
            while told not in seen:
                seen += await anext(pieces)
        await pieces.aclose()
    async with asyncio.timeout(5):
        await house.upstream.saw_close()
        while house.gate.app.gate.under_way:
            await asyncio.sleep(0)
    row = await house.row(reply.headers["x-request-id"])
    assert (row["status"], row["error_code"]) == (499, "client_gone")
    assert row["output_tokens"] >= 1 and row["input_tokens"] >= 1
