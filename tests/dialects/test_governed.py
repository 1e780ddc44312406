"""What was authorised is what is sent: no parser may read another value for a governed key than the gate did."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import InvalidRequest
from aldgate.dialects.governed import is_plain, rewritten, with_member_first, with_members, with_model

KEYS = (b'"model"', b'"stream"', b'"n"', b'"max_tokens"')
NAMES = ("model", "stream", "n", "max_tokens")


def readings(body: bytes) -> list[dict[str, Any]]:
    """The governed values as three parsers read them: the last key wins, the first wins, or case does not count (as in Go)."""
    pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    folded = [(key.casefold(), value) for key, value in pairs]
    return [{name: each.get(name) for name in NAMES} for each in map(dict, (pairs, reversed(pairs), folded))]


WRITTEN = [f'"{name}"' for name in (*NAMES, "MODEL", "N", "Max_Tokens", "\u017ftream", "max_to\u212aens", "x", "messages")]
WRITTEN += [f'"\\u{ord(name[0]):04x}{name[1:]}"' for name in NAMES] + ['"\\u212a"', '"a \u017f"']
VALUES = ["1", "null", '"\\"n\\": 1"', '{"model":"y"}', '{ "n" : 2, "N" : 3 }', '[{"stream":true}]', *WRITTEN]
pairs = st.tuples(st.sampled_from(WRITTEN), st.sampled_from([":", " : "]), st.sampled_from(VALUES)).map("".join)
bodies = st.lists(pairs, min_size=1, max_size=5).map(lambda each: ("{" + ", ".join(each) + "}").encode())


@given(bodies)
def test_what_passes_reads_the_same_to_every_parser(body: bytes) -> None:
    if not is_plain(body, KEYS):
        try:
            body = rewritten(body, KEYS)
        except InvalidRequest as error:
            assert error.param in NAMES
            return
    first, *others = readings(body)
    assert all(other == first for other in others)


@given(bodies)
def test_what_is_written_anew_says_the_same_as_before(body: bytes) -> None:
    try:
        again = rewritten(body, KEYS)
    except InvalidRequest:
        return
    assert json.loads(again) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","n":1}',
        b'{"messages":[{"content":"\\"n\\": 1, \\"model\\""}],"model":"a"}',
        b'{"model":"a","x":"\\ud83d\\ude00 \xc3\xa9"}',
    ],
)
def test_ordinary_bodies_are_plain(body: bytes) -> None:
    assert is_plain(body, KEYS)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","x":{"n":1},"n":2}',
        b'{"mod\\u0065l":"a"}',
        b'{"model":"a","N":2}',
        b'{"model":"a","Max_Tokens":2}',
        '{"model":"a","\u017ftream":true}'.encode(),
        '{"model":"a","max_to\u212aens":9}'.encode(),
    ],
)
def test_disputed_spellings_are_not(body: bytes) -> None:
    assert not is_plain(body, KEYS)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":"a","model":"a"}', "model"),
        (b'{"model":"a","mod\\u0065l":"b"}', "model"),
        (b'{"model":"a","MODEL":"b"}', "model"),
        (b'{"model":"a","N":2}', "n"),
        ('{"model":"a","\u017ftream":true}'.encode(), "stream"),
    ],
)
def test_ambiguous_keys_are_refused_by_name(body: bytes, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        rewritten(body, KEYS)
    assert raised.value.param == param


@given(bodies, st.text(max_size=5))
def test_a_swapped_model_is_the_only_change(body: bytes, model: str) -> None:
    before = json.loads(body)
    if isinstance(before.get("model"), str) and is_plain(body, KEYS):
        assert json.loads(with_model(body, model)) == {**before, "model": model}


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata":{"model":"x"},"model":"a"}',
        b'{"model":"a","metadata":{"model":"x"}}',
        b'{"metadata":{"model" : 1},"model" : "a"}',
        b'{"x":"model","model":"\\"\\n"}',
    ],
)
def test_a_model_that_is_named_elsewhere_too_is_swapped_where_it_counts(body: bytes) -> None:
    before = json.loads(body)
    assert json.loads(with_model(body, "b")) == {**before, "model": "b"}


def test_members_are_set_and_others_kept_to_the_byte() -> None:
    body = b' {"a": 1.50,"b":{"c" :[1, 2]},"d":"\\u00e9"}'
    assert with_members(body, {"a": 2, "e": None}) == b'{"a":2,"b":{"c" :[1, 2]},"d":"\\u00e9","e":null}'
    assert with_member_first(body, b'"n":1') == b' {"n":1,"a": 1.50,"b":{"c" :[1, 2]},"d":"\\u00e9"}'
