"""Models with all that is known of them: for OpenAI's clients, for a catalogue, and page by page."""

from datetime import date
from typing import Any

import pytest

from aldgate.core.errors import InvalidRequest
from aldgate.core.prices import Price
from aldgate.core.routes import Deployment, Facts
from aldgate.surfaces.models.catalog import one, page

FACTS = Facts(context_window=1000, max_output=100, can=frozenset({"tools"}), cannot=frozenset({"vision"}), ends_on=str(date.max))


def model(name: str, *operations: Any, facts: Facts = FACTS, price: Price | None = None) -> dict[str, Any]:
    return one(f"lab/{name}", [Deployment(f"lab/{name}", "lab", name, price, "file", frozenset(operations) or None, facts)], 7)


def test_a_model_says_what_is_known_of_it_in_both_ways() -> None:
    shown = model("m", "chat", price=Price(input=2_000_000, output=8_000_000, cached=500_000, version="config"))
    assert {name: shown[name] for name in ("id", "object", "created", "owned_by")} == {
        "id": "lab/m",
        "object": "model",
        "created": 7,
        "owned_by": "lab",
    }
    assert (shown["context_window"], shown["max_output_tokens"], shown["shutdown_date"]) == (1000, 100, "9999-12-31")
    assert shown["capabilities"] == {"max_context_tokens": 1000, "output_formats": ["text"], "tools": True, "vision": False}
    prices = {"input": "2.00", "output": "8.00", "cached_input": "0.50", "request": "0.00", "version": "config"}
    assert shown["prices"] == prices
    assert (shown["name"], shown["modality"], shown["provider"], shown["status"]) == ("lab/m", "text", "lab", "available")
    assert model("m", facts=Facts())["context_window"] is model("m")["prices"] is None


def test_a_route_tells_the_price_of_its_dearest_deployment_and_whose_it_is() -> None:
    cheap, dear = Price(input=1_000_000, output=1_000_000), Price(input=2_000_000, output=9_000_000)
    prices_of = {"a": cheap, "b": dear, "c": None}
    deployments = [Deployment(f"lab/{name}", "lab", name, price, "file") for name, price in prices_of.items()]
    prices = one("fast", deployments, 7)["prices"]
    assert (prices["input"], prices["output"], prices["deployment"], prices["dearest_of"]) == ("2.00", "9.00", "lab/b", 3)
    assert one("fast", deployments[2:], 7)["prices"] is None


def test_what_an_operator_lists_is_known_by_its_name() -> None:
    assert [model(name)["modality"] for name in ("text-embedding-3-small", "rerank-v3.5", "gpt-4.1")] == [
        "embedding",
        "rerank",
        "text",
    ]


MODELS = [model("a", "chat"), model("b", "embed"), model("c"), model("d", "complete"), model("e", "rerank")]


def names(models: list[dict[str, Any]]) -> str:
    return "".join(each["id"][-1] for each in models)


@pytest.mark.parametrize(
    ("query", "data", "models", "following"),
    [
        (b"", "abcde", "acd", None),
        (b"modality=text", "acd", "acd", None),
        (b"modality=embedding", "b", "", None),
        (b"modality=nothing", "", "", None),
        (b"limit=2", "ab", "a", "2"),
        (b"limit=2&cursor=2", "cd", "cd", "4"),
        (b"limit=2&cursor=4", "e", "", None),
        (b"limit=2&cursor=99", "", "", None),
        (b"cursor=2", "abcde", "acd", None),
        (b"modality=text&limit=1&cursor=1", "c", "c", "2"),
    ],
)
def test_filters_and_pages_go_for_both_lists(query: bytes, data: str, models: str, following: str | None) -> None:
    answer = page(MODELS, query)
    assert (names(answer["data"]), names(answer["models"]), answer["next_cursor"]) == (data, models, following)


@pytest.mark.parametrize("query", [b"limit=0", b"limit=x", b"limit=1001", b"limit=1&cursor=-1", b"limit=1&cursor=\xff"])
def test_a_bad_page_is_refused(query: bytes) -> None:
    with pytest.raises(InvalidRequest):
        page(MODELS, query)
