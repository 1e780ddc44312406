"""Tools with a fee of their own: whose is not known, a budget does not pay for; whose is, it is held for and billed."""

from typing import Any

import msgspec
import pytest

from aldgate.core.calls import Call, Peek
from aldgate.core.errors import PriceUnknown
from aldgate.core.prices import FREE, MILLION, Price
from aldgate.core.principals import ADMIN
from aldgate.core.routes import Catalogue, Deployment
from aldgate.core.usage import NOTHING, Usage
from aldgate.gate.money.bills import bill
from aldgate.gate.money.bounds import dearest, payable
from aldgate.gate.money.fees import fee_tool

FEE = [
    ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "file_search"),
    ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "code_interpreter"),
    ({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "code_execution_20250825"),
    ({"tools": [{"googleMaps": {}}]}, "googleMaps"),
    ({"tools": [{"google_search": {}}]}, "google_search"),
    ({"messages": [], "web_search_options": {}}, "web_search_options"),
    (b'{"tools":[{"type":"file\\u005fsearch"}]}', "file\\u005fsearch"),
]
NONE = [
    {"tools": [{"type": "web_search"}, {"type": "function", "name": "file_search"}]},
    {"tools": [{"type": "mcp", "server_url": "https://host"}, {"urlContext": {}}, {"codeExecution": {}}]},
    {"tools": [], "messages": [{"content": 'He said {"type": "file_search"} and "googleMaps": {'}]},
    {"tools": [{"googleSearch": None}]},
    {"messages": [{"content": "hi"}]},
]


def peek(body: Any) -> Peek:
    return Peek(body if isinstance(body, bytes) else msgspec.json.encode(body), "m", cap=0)


def deployment(price: Price | None) -> Deployment:
    return Deployment("lab/m", "lab", "m", price, "file")


def call(body: Any) -> Call:
    return Call("req-1", "chat", ADMIN, peek(body), 0.0, 0.0, Catalogue({}, (), {}), {})


@pytest.mark.parametrize(("body", "tool"), FEE)
def test_a_budget_does_not_pay_for_a_tool_of_unknown_cost(body: Any, tool: str) -> None:
    with pytest.raises(PriceUnknown, match=r"`tools` under"):
        payable((deployment(Price(2, 8)),), peek(body))
    assert fee_tool(peek(body)) == tool


@pytest.mark.parametrize("body", NONE)
def test_what_only_adds_tokens_or_is_counted_needs_no_more(body: Any) -> None:
    assert payable((deployment(Price(2, 8)),), peek(body)) and fee_tool(peek(body)) == ""


def test_of_several_candidates_those_with_a_known_fee_are_left() -> None:
    unknown, known, free = deployment(Price(2, 8)), deployment(Price(2, 8, tools=5 * MILLION)), deployment(FREE)
    assert payable((unknown, known, free), peek(FEE[0][0])) == (known, free)


def test_a_known_fee_is_held_for_and_billed_once_for_each_request() -> None:
    paid, plain = deployment(Price(tools=30_000 * MILLION, output=1)), call(NONE[0])
    asking = call(FEE[0][0])
    assert dearest(asking, (paid,), None) == 30_000 + dearest(plain, (paid,), None)
    assert bill(asking, paid, Usage(5, 5))[1] == 30_001
    assert bill(plain, paid, Usage(5, 5))[1] == 1
    assert bill(asking, paid, NOTHING)[1] == 0
