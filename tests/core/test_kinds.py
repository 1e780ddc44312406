import pytest

from aldgate.core.kinds import told_operations
from aldgate.core.routes import Deployment


@pytest.mark.parametrize(
    ("model", "operation"),
    [
        ("text-embedding-3-small", "embed"),
        ("nomic-embed-text:v1.5", "embed"),
        ("BAAI/bge-m3", "embed"),
        ("intfloat/e5-large", "embed"),
        ("BAAI/bge-reranker-v2-m3", "rerank"),
        ("rerank-v3.5", "rerank"),
        ("omni-moderation-latest", "moderate"),
    ],
)
def test_a_name_says_what_a_model_is_for(model: str, operation: str) -> None:
    assert told_operations(Deployment(f"lab/{model}", "lab", model, None, "file")) == {operation}


@pytest.mark.parametrize("model", ["gpt-4.1", "qwen3:8b", "phoenix-e57", "claude-sonnet-4-5"])
def test_other_names_say_nothing(model: str) -> None:
    assert told_operations(Deployment(f"lab/{model}", "lab", model, None, "file")) is None


def test_the_providers_word_beats_the_name() -> None:
    assert told_operations(Deployment("lab/embed", "lab", "embed", None, "file", frozenset({"chat"}))) == {"chat"}
