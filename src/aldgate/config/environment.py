"""The process environment and the working directory's `.env`: the only place that reads `os.environ`."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from aldgate.config.dotenv import read_dotenv


def merged_environment(directory: Path, environment: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """A frozen view of the environment over the `.env` file in `directory`.

    Args:
        directory: Where `.env` may lie.
        environment: Instead of the process environment.

    Raises:
        ConfigError: The `.env` file is malformed.
    """
    process = os.environ if environment is None else environment
    return MappingProxyType({**read_dotenv(directory / ".env"), **process})
