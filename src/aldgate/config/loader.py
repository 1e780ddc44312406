"""Reads the settings: flags > process environment > `.env` > TOML file > default."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from aldgate.config.check import check
from aldgate.config.complete import complete
from aldgate.config.environment import merged_environment
from aldgate.config.errors import ConfigError
from aldgate.config.fields import leaves
from aldgate.config.layers import environment_layer, file_layer, flag_layer, seed_layer
from aldgate.config.secret import Secret
from aldgate.config.settings import Reading, Settings

DEFAULT_FILE = "aldgate.toml"

_PROBLEM = re.compile(r"(?P<problem>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)


def load(
    *,
    flags: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    file: Path | None = None,
) -> Settings:
    """Read, join and check all settings.

    Args:
        flags: Texts by dotted name, like `server.port`.
        environment: Instead of the process environment.
        directory: Instead of the working directory: where `.env` and `aldgate.toml` may lie, and what paths are relative to.
        file: The TOML file; else `ALDGATE_CONFIG` names it; else `aldgate.toml` in `directory`, if there is one.

    Raises:
        ConfigError: Says what is wrong, where it was set and what to do.
    """
    directory = (directory or Path.cwd()).absolute()
    merged = merged_environment(directory, environment)
    source = find_file(file, merged, directory)
    tree = file_layer(source)
    # Alone first, so that an error names the file.
    _decode(tree, str(source))

    flagged = flag_layer(flags)
    named = environment_layer(merged)
    _overlay(tree, seed_layer(merged, named | flagged) | named)
    _overlay(tree, flagged)
    complete(tree, merged, directory)
    reading = Reading(flags=flags, environment=environment, directory=directory, file=source)
    settings = msgspec.structs.replace(_decode(tree, "the settings"), environment=merged, reading=reading)
    check(settings)
    return settings


def read_again(settings: Settings) -> Settings:
    """The same settings as their sources have them now.

    Raises:
        ConfigError: As `load`; also if the file that was there is gone.
    """
    reading = settings.reading
    if reading is None:
        raise ConfigError("these settings were not read from anywhere", hint="start the gate with `aldgate serve`")
    return load(flags=reading.flags, environment=reading.environment, directory=reading.directory, file=reading.file)


def find_file(file: Path | None, environment: Mapping[str, str], directory: Path) -> Path | None:
    """The TOML file that `load` reads: `file`, what `ALDGATE_CONFIG` names, or `aldgate.toml` if there is one."""
    named = file or (Path(environment["ALDGATE_CONFIG"]) if environment.get("ALDGATE_CONFIG") else None)
    if named is not None:
        return directory / named.expanduser()
    default = directory / DEFAULT_FILE
    return default if default.is_file() else None


def _overlay(tree: dict[str, Any], layer: Mapping[str, Any]) -> None:
    """Lay path -> value over nested tables."""
    if ("server.host" in layer or "server.port" in layer) and "server.listen" not in layer:
        # Listeners from below would win over the address that was asked for above them.
        tree.get("server", {}).pop("listen", None)
    for path, value in layer.items():
        section, _, name = path.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[name] = value


def _decode(tree: Mapping[str, Any], where: str) -> Settings:
    try:
        return msgspec.convert(tree, Settings, dec_hook=_secret)
    except msgspec.ValidationError as error:
        found = _PROBLEM.fullmatch(str(error))
        assert found is not None
        path = found["path"] or ""
        problem = f"is not {leaves()[path].wants}" if path in leaves() else found["problem"][:1].lower() + found["problem"][1:]
        hint = "`aldgate config show` lists every setting with its value"
        raise ConfigError(f"{where}: `{path}`: {problem}", hint=hint) from None


def _secret(kind: type, value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("Expected `str`")
    return Secret(value)
