"""What was authorised is what the provider reads, whichever JSON parser it has; or the caller gets a 400."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from aldgate.core.errors import InvalidRequest
from aldgate.dialects.openai.requests import peek
from tests.faults.lab import Lab, running_lab

CONFIG = """
[aliases]
cheap = "lab/gpt-4.1"
"dear" = "lab/gpt-4.1"
[prices."lab/gpt-4.1"]
output = 8
"""
GOVERNED = ("model", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens")
MESSAGES = '"messages":[{"role":"user","content":"x"}]'
CAP = 64

Parser = Callable[[bytes], dict[str, Any]]


def last_wins(body: bytes) -> dict[str, Any]:
    return json.loads(body)


def first_wins(body: bytes) -> dict[str, Any]:
    return json.loads(body, object_pairs_hook=lambda pairs: dict(reversed(pairs)))


def caseless(body: bytes) -> dict[str, Any]:
    """As Go's encoding/json: keys match in any case, the Kelvin sign and the long s included, and the last one wins."""
    return json.loads(body, object_pairs_hook=lambda pairs: {key.casefold(): value for key, value in pairs})


def caseless_first(body: bytes) -> dict[str, Any]:
    return json.loads(body, object_pairs_hook=lambda pairs: {key.casefold(): value for key, value in reversed(pairs)})


PARSERS: tuple[Parser, ...] = (last_wins, first_wins, caseless, caseless_first)


@pytest.fixture(scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    flags = {"limits.default_max_tokens": str(CAP)}
    async with running_lab(tmp_path_factory.mktemp("gate"), config=CONFIG, models=["gpt-4.1"], flags=flags) as lab:
        yield lab


@pytest.fixture(scope="module")
async def key(lab: Lab) -> str:
    return await lab.gate.key(budget="1000000/total")


async def check(lab: Lab, key: str, body: bytes) -> int:
    """Send it, and compare what the provider got with what the gate read. Returns the status."""
    lab.upstream.requests.clear()
    reply = await lab.post(body, key)
    if reply.status_code == 400:
        assert lab.upstream.requests == []
        return 400
    assert reply.status_code == 200, (reply.text, body)
    seen = peek("chat", body)
    (sent,) = lab.upstream.requests
    for parse in PARSERS:
        got = parse(sent.body)
        assert got["model"] == "gpt-4.1"
        assert (got.get("stream") or False, got.get("n") or 1) == (seen.stream, seen.choices)
        caps = [got[name] for name in ("max_tokens", "max_completion_tokens") if got.get(name) is not None]
        assert max(caps) == (seen.cap or CAP)
        if seen.stream:
            assert got["stream_options"]["include_usage"] is True
        assert got["messages"] == [{"role": "user", "content": "x"}]
    return 200


REFUSED = {
    "twice": '"model":"cheap","model":"dear"',
    "twice and equal": '"model":"cheap","model":"cheap"',
    "twice, one escaped": r'"model":"cheap","mod\u0065l":"dear"',
    "twice, one in capitals": '"model":"cheap","MODEL":"dear"',
    "in another case": '"Model":"cheap"',
    "with a long s": '"model":"cheap","\u017ftream":true',
    "with an escaped long s": r'"model":"cheap","\u017ftream":true',
    "with a Kelvin sign": '"model":"cheap","max_to\u212aens":5',
    "with an escaped Kelvin sign": r'"model":"cheap","max_to\u212aens":5',
    "bounds twice": '"model":"cheap","max_tokens":1,"max_tokens":1000000',
    "choices twice": '"model":"cheap","n":1,"n":100',
    "null, then a bound": '"model":"cheap","max_tokens":null,"max_tokens":5',
    "stream in capitals": '"model":"cheap","stream":false,"STREAM":true',
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_key_that_parsers_dispute_is_400(name: str, lab: Lab, key: str) -> None:
    assert await check(lab, key, ("{" + REFUSED[name] + "," + MESSAGES + "}").encode()) == 400


ACCEPTED = {
    "escaped": r'"mod\u0065l":"cheap"',
    "with an escaped value": r'"model":"ch\u0065ap"',
    "with an escaped slash in its value": r'"model":"lab\/gpt-4.1"',
    "before a nested one": '"model":"cheap","metadata":{"model":"dear"}',
    "behind a nested one": '"metadata":{"model":"dear"},"model":"cheap"',
    "escaped, behind a nested one": r'"metadata":{"model":"dear"},"mod\u0065l":"ch\u0065ap"',
    "beside a nested one in capitals": '"model":"cheap","metadata":{"MODEL":"dear"}',
    "beside its likeness in a string": r'"model":"cheap","user":"\"model\":\"dear\",\"max_tokens\":9"',
    "beside an array of its name": '"stop":["model"],"model":"cheap"',
    "bounds that are null": '"model":"cheap","max_tokens":null,"max_completion_tokens":null',
    "a nested bound": '"model":"cheap","metadata":{"max_completion_tokens":5,"max_tokens":7}',
    "a nested wish for usage": '"model":"cheap","stream":true,"metadata":{"stream_options":{"include_usage":true}}',
    "no wish for usage": '"model":"cheap","stream":true,"stream_options":null',
    "a wish against usage": '"model":"cheap","stream":true,"stream_options":{"include_usage":false}',
    "white space": ' "model"\t:\n"cheap" , "n" : 2 ',
    "other keys twice": '"model":"cheap","user":"a","user":"b"',
}


@pytest.mark.parametrize("name", ACCEPTED)
async def test_a_key_that_all_parsers_agree_on_is_passed(name: str, lab: Lab, key: str) -> None:
    assert await check(lab, key, ("{" + ACCEPTED[name] + "," + MESSAGES + "}").encode()) == 200


VALUES = {
    "model": some.sampled_from(['"cheap"', '"dear"', r'"ch\u0065ap"', '"gpt-4.1"', r'"lab\/gpt-4.1"']),
    "stream": some.sampled_from(["true", "false", "null"]),
    "stream_options": some.sampled_from(["null", "{}", '{"include_usage":false}', '{"include_usage":true}', '{"model":"dear"}']),
    "n": some.sampled_from(["1", "2", "null"]),
    "max_tokens": some.sampled_from(["1", "70", "null"]),
    "max_completion_tokens": some.sampled_from(["1", "90", "null"]),
}
PLAIN = some.sampled_from(GOVERNED).flatmap(lambda name: VALUES[name].map(lambda value: (name, value)))


@some.composite
def spelled(draw: some.DrawFn) -> str:
    """A governed member whose key may be escaped, in another case, or with look-alike letters."""
    name, value = draw(PLAIN)
    place = draw(some.integers(0, len(name) - 1))
    way = draw(some.sampled_from(["plain"] * 6 + ["escape", "upper", "letter", "alike"]))
    if way == "escape":
        name = f"{name[:place]}\\u{ord(name[place]):04x}{name[place + 1 :]}"
    elif way == "upper":
        name = name.upper()
    elif way == "letter":
        name = name[:place] + name[place].upper() + name[place + 1 :]
    elif way == "alike":
        name = name.replace("s", "\u017f").replace("k", "\u212a")
    return f'"{name}":{value}'


@some.composite
def decoys(draw: some.DrawFn) -> str:
    """A member that is not governed and has governed names in it."""
    name, value = draw(PLAIN)
    quoted = json.dumps(f'"{name}":{value}')
    return draw(
        some.sampled_from(
            [f'"metadata":{{"{name}":{value}}}', f'"user":{quoted}', f'"x":[{{"{name}":{value}}}]', f'"y":"{name}"']
        )
    )


@some.composite
def bodies(draw: some.DrawFn) -> bytes:
    unique = draw(some.lists(PLAIN, max_size=5, unique_by=lambda member: member[0]))
    members = [f'"{name}":{value}' for name, value in unique]
    if draw(some.booleans()):
        members += draw(some.lists(spelled(), max_size=2))
    members += draw(some.lists(decoys(), max_size=2, unique_by=lambda text: text.partition(":")[0]))
    if not any(member.startswith('"model":') for member in members):
        members.append('"model":"cheap"')
    members.append(MESSAGES)
    space = draw(some.sampled_from(["", " ", "\r\n\t"]))
    return ("{" + f"{space},{space}".join(draw(some.permutations(members))) + "}").encode()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(body=bodies())
async def test_every_parser_reads_what_was_authorised(lab: Lab, key: str, body: bytes) -> None:
    try:
        peek("chat", body)
    except InvalidRequest:
        assert await check(lab, key, body) == 400
    else:
        assert await check(lab, key, body) == 200
