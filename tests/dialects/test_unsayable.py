"""Hints within messages that a provider has no word for are named by every dialect that leaves them out."""

from __future__ import annotations

import pytest

from aldgate.core.conversation import Conversation, Media, Message, Text, Tool
from aldgate.core.routes import Deployment
from aldgate.dialects.anthropic.dialect import ANTHROPIC
from aldgate.dialects.cohere.dialect import Cohere
from aldgate.dialects.converse.dialect import Converse
from aldgate.dialects.gemini.dialect import GEMINI
from aldgate.dialects.ollama.dialect import OLLAMA
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.dialects.unsayable import cache_marks, details, names
from aldgate.ports import UpstreamDialect

SEEN = Media("image", "image/png", "iVBORw0KGgo=", detail="low")
HINTS: list[tuple[UpstreamDialect, set[str]]] = [
    (OPENAI, {"cache_control"}),
    (RESPONSES, {"cache_control", "messages.name"}),
    (ANTHROPIC, {"detail", "name"}),
    (GEMINI, {"cache_control", "detail", "name"}),
    (Cohere(), {"cache_control", "detail", "name"}),
    (OLLAMA, {"cache_control", "detail", "name"}),
    (Converse(), {"cache", "detail", "name"}),
]


@pytest.mark.parametrize(("dialect", "named"), HINTS, ids=lambda each: getattr(each, "name", ""))
def test_hints_that_are_left_out_are_named(dialect: UpstreamDialect, named: set[str]) -> None:
    asked = Conversation("elsewhere", [Message("user", [Text("Look.", "5m"), SEEN], "ada")])
    warnings: list[str] = []
    dialect.build(asked, Deployment("p/m", "p", "m", None, "file"), stream=False, warnings=warnings)
    assert set(warnings) == named


def test_nothing_is_named_that_was_not_said() -> None:
    plain = Conversation("x", [Message("user", [Text("Look."), Media("image", url="https://a/b", detail="auto")])])
    assert not [*cache_marks(plain), *details(plain), *names(plain)]
    assert [*cache_marks(Conversation("x", [], tools=[Tool("look", cache="1h")]))] == ["cache_control"]
