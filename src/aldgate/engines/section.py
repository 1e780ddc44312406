"""One `[engines.NAME]` table of the configuration, and the engine it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.engines.kinds import ENGINES
from aldgate.making import Engine
from aldgate.registry import Registry

Seconds = Annotated[float, msgspec.Meta(gt=0)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


class ProcessSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to start an engine's own process. From the configuration file alone, never from a caller."""

    command: Annotated[list[str], msgspec.Meta(min_length=1)]
    """Program and arguments; no shell reads them."""
    working_dir: str = ""
    """Where it runs; empty: where the gate does."""
    env: dict[str, str] = {}
    """Added to the little of the gate's environment that it sees."""
    health: str = ""
    """Path that answers below 500 once it is up; empty asks the engine as the gate always does."""
    startup_timeout_s: Seconds = 300.0
    """Seconds until it must answer."""
    idle_stop_s: Seconds | None = None
    """Stopped after so many seconds without work; left out, it runs on."""


class EngineSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every engine's table may have; each kind adds its own."""

    kind: str = ""
    """One of the known kinds. Empty is the kind of the table's own name."""
    base_url: str = ""
    """Where it listens: `http://host:port`. Empty takes the kind's usual place on this machine."""
    api_key: str = ""
    """`env:NAME` or `file:/path`, where it wants one."""
    ca_bundle: str = ""
    """PEM file of certificate authorities to trust."""
    models: list[str] | None = None
    """Models it serves; left out, it is asked."""
    device: str = ""
    """The device it works on, a name in `[devices]`; empty: none is counted."""
    memory_mb: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Device memory it is expected to hold while loaded, MiB."""
    exclusive: bool = True
    """Alone on its device while it works."""
    places: AtLeastOne = 1
    """Works on so many jobs at once."""
    idle_s: Seconds | None = None
    """Unloaded after so many seconds without work; left out, only when its memory is wanted."""
    request_timeout_s: Seconds = 60.0
    """Seconds for one request to it that does not wait for the work."""
    run_timeout_s: Seconds = 1_800.0
    """Seconds for one job."""
    process: ProcessSection | None = None
    """Its own process, where the gate is to start it."""


class Surroundings(msgspec.Struct, frozen=True):
    """What an engine's table does not say itself.

    Attributes:
        data: The gate's data directory.
        environment: The process environment over `.env`.
    """

    data: Path
    environment: Mapping[str, str]


Build = Callable[[str, Mapping[str, Any], Surroundings], Engine]
"""Makes an engine of its name and table. It raises `ConfigError` where a key or value cannot be used; it opens nothing."""

BUILDERS: Registry[Build] = Registry("engine kind", ENGINES)


def kind_of(name: str, table: Mapping[str, Any], others: Iterable[str]) -> str:
    """The kind of the engine in `[engines.NAME]`. `others` have tables there, too.

    Raises:
        ConfigError: There is none such.
    """
    kind = str(table.get("kind") or name)
    if kind not in ENGINES:
        known = ", ".join(sorted({*ENGINES, *others}))
        raise ConfigError(f"[engines.{name}]: there is no such engine", hint=f"its `kind` is one of {known}")
    return kind


S = TypeVar("S", bound=EngineSection)


def decode_section(name: str, table: Mapping[str, Any], kind: type[S]) -> S:
    """The table `[engines.NAME]`.

    Raises:
        ConfigError: A key or value is not one that this kind has.
    """
    if not name or any(character in name for character in "/: "):
        raise ConfigError(f"an engine cannot be called `{name}`", hint="use a name without `/`, `:` and spaces")
    try:
        return msgspec.convert(dict(table), kind)
    except msgspec.ValidationError as error:
        known = ", ".join(kind.__struct_fields__)
        raise ConfigError(f"[engines.{name}]: {error}", hint=f"it may have {known}") from None
