from __future__ import annotations

from pathlib import Path

import pytest

from aldgate.config import load
from aldgate.config.caching import kept_s
from aldgate.config.errors import ConfigError

CONFIG = """
[routes.team]
deployments = ["a/b"]
cache = "{}"

[routes.plain]
deployments = ["a/b"]

[aliases]
ours = "team"
other = "plain"
held = "team"

[cache.models]
"a/b" = "1h"
held = "{}"
"""


def write(directory: Path, *lengths: str) -> Path:
    file = directory / "aldgate.toml"
    file.write_text(CONFIG.format(*lengths))
    return file


def test_routes_their_aliases_and_models_keep_answers(tmp_path: Path) -> None:
    settings = load(flags={}, environment={}, directory=tmp_path, file=write(tmp_path, "10m", "2h"))
    assert kept_s(settings) == {"team": 600, "ours": 600, "held": 7_200, "a/b": 3_600}


@pytest.mark.parametrize(
    ("lengths", "path"), [(("soon", "2h"), r'routes\."team"\.cache'), (("10m", "x"), r'cache\.models\."held"')]
)
def test_what_is_no_length_of_time_is_named(tmp_path: Path, lengths: tuple[str, str], path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        load(flags={}, environment={}, directory=tmp_path, file=write(tmp_path, *lengths))
