"""Which requests belong to one conversation, and for how long that is remembered."""

import json
from typing import Any

import pytest

from aldgate.core.calls import Peek
from aldgate.core.prices import FREE
from aldgate.core.routes import Deployment
from aldgate.gate.routing import affinity as module
from aldgate.gate.routing.affinity import TTL_S, Affinity, conversation_key

SMALL = Deployment("lab/small", "lab", "small", FREE, "file")
HI = {"role": "user", "content": "hi"}
ANSWER = {"role": "assistant", "content": "hello"}
MORE = {"role": "user", "content": "more"}
RULES = {"role": "system", "content": "be kind"}


def key_of(body: dict[str, Any] | bytes, who: str = "key-1", model: str = "team") -> bytes | None:
    return conversation_key(who, Peek(body if isinstance(body, bytes) else json.dumps(body).encode(), model))


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ({"messages": [HI]}, {"stream": True, "messages": [HI, ANSWER, MORE]}),
        ({"messages": [RULES, HI]}, {"messages": [RULES, HI, ANSWER, MORE]}),
        ({"contents": [{"role": "user", "parts": []}]}, {"contents": [{"role": "user", "parts": []}, {"role": "model"}]}),
        ({"input": [HI]}, {"input": [HI, ANSWER, MORE]}),
        ({"prompt_cache_key": "a", "messages": [HI]}, {"prompt_cache_key": "a", "messages": [MORE]}),
    ],
)
def test_later_turns_belong_to_the_first(first: dict[str, Any], later: dict[str, Any]) -> None:
    assert key_of(first) == key_of(later) is not None


def test_others_do_not() -> None:
    known = [
        key_of({"messages": [RULES, HI]}),
        key_of({"messages": [RULES, MORE]}),
        key_of({"messages": [HI]}),
        key_of({"messages": [HI]}, who="key-2"),
        key_of({"messages": [HI]}, model="other"),
        key_of({"prompt_cache_key": "a", "messages": [HI]}),
        key_of({"input": "hi"}),
    ]
    assert None not in known and len(set(known)) == len(known)


@pytest.mark.parametrize("body", [{}, {"prompt": "hi"}, {"messages": []}, {"messages": "hi"}, b"{"])
def test_what_has_no_beginning_has_no_key(body: dict[str, Any] | bytes) -> None:
    assert key_of(body) is None


def test_it_is_forgotten_in_time_and_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CONVERSATIONS", 2)
    affinity = Affinity()
    affinity.remember(None, SMALL, 0.0)
    for key in (b"a", b"b", b"a", b"c"):
        affinity.remember(key, SMALL, 0.0)
    served = affinity.recall(b"a", TTL_S - 1)
    assert served is not None and (served.deployment, served.backend) == ("lab/small", "lab")
    assert affinity.recall(b"a", TTL_S) is None
    assert affinity.recall(b"b", 0.0) is None and affinity.recall(None, 0.0) is None
