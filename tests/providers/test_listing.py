"""What lists of models tell, in the words of each provider. The entries are cut from their documentation."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.routes import Facts
from aldgate.providers.listing import Listed

ROUTER: dict[str, Any] = {
    "id": "openai/gpt-4.1",
    "context_length": 1_047_576,
    "architecture": {"input_modalities": ["image", "text", "file"], "output_modalities": ["text"]},
    "top_provider": {"context_length": 1_047_576, "max_completion_tokens": 32_768, "is_moderated": True},
    "pricing": {"prompt": "0.000002", "completion": "0.000008", "request": "0", "input_cache_read": "0.0000005"},
    "supported_parameters": ["max_tokens", "response_format", "structured_outputs", "tools"],
}


def listed(**entry: Any) -> Listed:
    return msgspec.json.decode(msgspec.json.encode({"id": "m", **entry}), type=Listed)


@pytest.mark.parametrize(
    ("entry", "facts"),
    [
        ({"object": "model", "created": 1, "owned_by": "system"}, Facts()),
        ({"shutdown_date": "2026-10-23"}, Facts(ends_on="2026-10-23")),
        ({"shutdown_date": 1_792_713_600}, Facts(ends_on="2026-10-23")),
        ({"max_model_len": 32_768, "root": "/models/x"}, Facts(context_window=32_768)),
        ({"meta": {"n_ctx_train": 131_072, "n_vocab": 1}}, Facts(context_window=131_072)),
        ({"context_window": 131_072, "max_completion_tokens": 8192}, Facts(context_window=131_072, max_output=8192)),
        (
            {
                "capabilities": {"completion_chat": True, "function_calling": True, "vision": False},
                "max_context_length": 32_768,
                "deprecation": "2026-12-31T12:00:00Z",
            },
            Facts(context_window=32_768, can=frozenset({"tools"}), cannot=frozenset({"vision"}), ends_on="2026-12-31"),
        ),
        (
            ROUTER,
            Facts(
                context_window=1_047_576,
                max_output=32_768,
                can=frozenset({"tools", "json_schema", "vision", "documents"}),
                cannot=frozenset({"reasoning", "audio"}),
            ),
        ),
    ],
)
def test_each_tells_it_in_its_own_words(entry: dict[str, Any], facts: Facts) -> None:
    assert listed(**entry).facts() == facts


def test_prices_per_token_become_micro_dollars_per_million() -> None:
    price = listed(**ROUTER).price()
    assert price is not None
    assert (price.input, price.output, price.cached, price.cache_write, price.request) == (2_000_000, 8_000_000, 500_000, None, 0)


@pytest.mark.parametrize("told", ["-1", "", "x", "NaN", "Infinity", "1e9", None, 2])
def test_what_is_no_price_is_none(told: Any) -> None:
    assert listed(pricing={"prompt": told, "completion": "0.1"}).price() is None


told = st.sampled_from([name for name in Listed.__struct_fields__ if name not in ("id", "owned_by")])
oddities = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
oddities |= st.dictionaries(st.sampled_from(["n_ctx_train", "prompt", "completion", "input_modalities", "vision"]), oddities)


@given(st.dictionaries(told, oddities))
def test_no_oddity_in_an_entry_fails_the_list(entry: dict[str, Any]) -> None:
    odd = Listed("m", **entry)
    assert isinstance(odd.facts(), Facts)
    odd.price()
