"""`docs/images.md` shows tables that can be used, and tells of every kind and every option."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from aldgate.engines.a1111.asking import OPTIONS
from aldgate.engines.kinds import ENGINES
from aldgate.engines.section import BUILDERS, Surroundings

PAGE = (Path(__file__).parents[2] / "docs" / "images.md").read_text(encoding="utf-8")
SHOWN = [tomllib.loads(block)["engines"] for block in re.findall(r"^```(?:ini|toml)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)]
MINE = {"a1111", "comfyui", "diffusers", "invokeai", "openai-images", "wan2gp"}


@pytest.mark.parametrize("table", [table for each in SHOWN for table in each.values()], ids=lambda table: table["kind"])
def test_every_table_makes_an_engine(table: dict[str, Any], tmp_path: Path) -> None:
    given = {**table, "workflows": str(tmp_path)} if "workflows" in table else table
    surroundings = Surroundings(data=tmp_path, environment={"FORGE_LOGIN": "me:secret"})
    assert BUILDERS.load(table["kind"])("mine", given, surroundings).kind == table["kind"]


def test_every_kind_is_shown() -> None:
    assert {table["kind"] for each in SHOWN for table in each.values()} == MINE <= set(ENGINES)


def test_every_option_is_told() -> None:
    assert {name for name in OPTIONS if f"`{name}`" not in PAGE} == set()
