"""Every face over every provider: what is asked arrives, is refused or is named, and what is said comes back."""

from __future__ import annotations

import json

import pytest

from aldgate.testing.upstream.said import Said, saying
from tests.contract.cases import CASES, MAKES_IMAGES, PICTURE, PNG, Case, missing
from tests.contract.differences import difference
from tests.contract.faces import FACES, ITEMISE, SHOWS_IMAGES
from tests.contract.house import House
from tests.contract.neutral import Answer, Call, Used
from tests.contract.providers import PROVIDERS, TELL_CACHED, TELL_REASONING

pytestmark = pytest.mark.anyio

EVERY = [
    pytest.param(face, provider, case, id=f"{face}-{provider}-{case}")
    for face in FACES
    for provider in PROVIDERS
    for case in CASES
    if case not in FACES[face].cannot
]
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
PAIRS = [pytest.param(face, provider, id=f"{face}-{provider}") for face in FACES for provider in PROVIDERS]


@STREAM
@pytest.mark.parametrize(("face", "provider", "name"), EVERY)
async def test_a_chat(house: House, face: str, provider: str, name: str, stream: bool) -> None:
    case = CASES[name]
    expected = difference(face, provider, name)
    house.upstream.script(saying(case.said))
    reply = await house.ask(face, provider, case.ask, stream=stream)
    if reply.status_code == 400:
        assert FACES[face].fault(reply.json()).message and not house.upstream.requests, reply.text
        assert expected is not None and not expected.named, reply.text
        return
    assert reply.status_code == 200, reply.text
    warnings = reply.headers.get("x-aldgate-warnings", "")
    lost = list(missing(case.ask, house.arrived))
    assert bool(lost) == (expected is not None), (lost, warnings, house.upstream.requests[-1].body)
    assert expected is None or (expected.named and expected.named in warnings), warnings
    assert house.answer(face, reply, stream=stream) == told(case, face, house.wire)


@STREAM
@pytest.mark.parametrize(("face", "provider"), PAIRS)
async def test_the_ledger_says_what_the_caller_is_told(house: House, face: str, provider: str, stream: bool) -> None:
    case = CASES["cached tokens"]
    house.upstream.script(saying(case.said))
    reply = await house.ask(face, provider, case.ask, stream=stream)
    row = await house.row(reply.headers["x-request-id"])
    usage = house.answer(face, reply, stream=stream).usage
    assert (row["input_tokens"], row["output_tokens"]) == (usage.input, usage.output) == (100, 5)
    assert row["cached_tokens"] == (64 if house.wire in TELL_CACHED else 0)
    assert (row["status"], row["usage_source"], row["error_code"]) == (200, "reported", None)


@STREAM
@pytest.mark.parametrize(("face", "provider"), PAIRS)
async def test_an_image_that_the_model_made_is_shown_or_named(house: House, face: str, provider: str, stream: bool) -> None:
    house.upstream.script(saying(PICTURE.said))
    reply = await house.ask(face, provider, PICTURE.ask, stream=stream)
    assert reply.status_code == 200, reply.text
    answer = house.answer(face, reply, stream=stream)
    if house.wire not in MAKES_IMAGES:
        assert answer.text == PICTURE.said.text
    elif face in SHOWS_IMAGES:
        assert (answer.text, answer.images) == (PICTURE.said.text, [PNG])
    else:
        assert answer.text == PICTURE.said.text + "[image omitted]"


def told(case: Case, face: str, wire: str) -> Answer:
    """The answer that a face's caller must read."""
    said: Said = case.said
    cached = said.cached_tokens if wire in TELL_CACHED else 0
    reasoning = said.reasoning_tokens if wire in TELL_REASONING else 0
    return Answer(
        text=said.text,
        thoughts=said.thoughts,
        calls=[Call(call.id, call.name, json.loads(call.arguments)) for call in said.calls],
        images=list(said.images),
        finish=said.finish,
        usage=Used(
            said.input_tokens,
            said.output_tokens,
            cached if face in ITEMISE else None,
            reasoning if face in ITEMISE else None,
        ),
        ended=True,
    )
