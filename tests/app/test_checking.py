"""What `config check` finds before a start would."""

from pathlib import Path

import pytest

from aldgate.app.checking import check
from aldgate.config.errors import ConfigError
from aldgate.config.settings import Settings


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"device": "desc"}, "there is no device `desc`"),
        ({"process": {"command": []}}, "process.command"),
    ],
)
def test_engines_that_a_start_would_refuse(tmp_path: Path, table: dict[str, object], said: str):
    with pytest.raises(ConfigError, match=said):
        check(Settings(data=str(tmp_path), engines={"comfyui": table}))
