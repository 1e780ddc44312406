import json
from typing import Any

import pytest

from aldgate.dialects.ollama.loading import MOST_BYTES, loading, write_loaded


@pytest.mark.parametrize(
    ("body", "chat", "generate"),
    [
        ({}, "load", "load"),
        ({"messages": [], "prompt": "", "keep_alive": "5m"}, "load", "load"),
        ({"keep_alive": 0}, "unload", "unload"),
        ({"keep_alive": "0s"}, "unload", "unload"),
        ({"messages": [{"role": "user", "content": "x"}], "keep_alive": 0}, None, "unload"),
        ({"options": {"stop": [[]]}}, None, None),
        ({"prompt": "x"}, "load", None),
        ({"images": ["aGk="]}, "load", None),
        ({"messages": "x"}, None, "load"),
        ({"system": "x" * MOST_BYTES}, None, None),
    ],
)
def test_who_asks_nothing_loads_or_lets_go(body: dict[str, Any], chat: str | None, generate: str | None) -> None:
    raw = json.dumps({"model": "m", **body}).encode()
    assert (loading(raw, is_chat=True), loading(raw, is_chat=False)) == (chat, generate)


def test_the_answer_says_nothing_and_why() -> None:
    shown = write_loaded("m", "load", 0, is_chat=True)
    assert (shown["message"], shown["done"], shown["done_reason"]) == ({"role": "assistant", "content": ""}, True, "load")
    assert write_loaded("m", "unload", 0, is_chat=False)["response"] == ""
