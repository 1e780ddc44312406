"""What a face can say and not every provider: it arrives, is refused or is named. Nothing is lost in silence."""

from __future__ import annotations

import json

import pytest

from aldgate.testing.upstream.said import saying
from tests.contract.cases import HELLO
from tests.contract.extras import EXTRAS
from tests.contract.faces import FACES
from tests.contract.house import House
from tests.contract.neutral import Ask
from tests.contract.providers import PROVIDERS

pytestmark = pytest.mark.anyio

EVERY = [
    pytest.param(face, provider, name, id=f"{face}-{provider}-{name}")
    for face, extras in EXTRAS.items()
    for name in extras
    for provider in PROVIDERS
]


@pytest.mark.parametrize(("face", "provider", "name"), EVERY)
async def test_nothing_is_lost_in_silence(house: House, face: str, provider: str, name: str) -> None:
    extra = EXTRAS[face][name]
    path, body = house.request(face, provider, Ask(), stream=False)
    house.upstream.script(saying(HELLO))
    reply = await house.gate.http.post(path, json={**body, **extra.change}, headers=house.HEADERS)
    if reply.status_code == 400:
        assert FACES[face].fault(reply.json()).message and not house.upstream.requests, reply.text
        return
    assert reply.status_code == 200, reply.text
    assert house.answer(face, reply, stream=False).text == HELLO.text
    sent = json.dumps(json.loads(house.upstream.requests[-1].body), separators=(",", ":"))
    has_arrived = any(mark in sent for mark in extra.marks)
    assert has_arrived or extra.word in reply.headers.get("x-aldgate-warnings", ""), sent
