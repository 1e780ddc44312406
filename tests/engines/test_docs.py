"""The tables shown on the page of these engines make engines."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from aldgate.engines.kinds import ENGINES
from tests.engines.speaking import built

PAGE = (Path(__file__).parents[2] / "docs" / "speech.md").read_text(encoding="utf-8")
TABLES = [
    pytest.param(name, table, id=name)
    for block in re.findall(r"^```(?:ini|toml)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for name, table in tomllib.loads(block)["engines"].items()
]


@pytest.mark.parametrize(("name", "table"), TABLES)
def test_a_table_makes_an_engine(name: str, table: dict[str, Any]) -> None:
    kind = table.get("kind", name)
    assert kind in ENGINES
    assert built(kind, table, environment={"OPENAI_API_KEY": "sk-of-a-test"}).kind == kind


def test_every_kind_of_the_page_is_shown() -> None:
    kinds, _, _ = PAGE.partition("\n## ")
    shown = set(re.findall(r"^\| `([\w-]+)` \|", kinds, re.MULTILINE))
    assert {param.values[1].get("kind", param.values[0]) for param in TABLES} == shown
