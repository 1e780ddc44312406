"""What differs between two readings of the settings, and which of it takes effect while the gate runs."""

from collections.abc import Mapping
from typing import Any, cast

from aldgate.config.fields import leaves
from aldgate.config.settings import Settings

TABLES = ("providers", "engines", "aliases", "routes", "prices", "models", "cache.models")
AT_RUN_TIME = (*TABLES, "limits", "log", "routing", "discovery", "upstream", "reload", "cache", "server.max_reply_bytes")
"""Sections and settings that a running gate takes over. The rest waits for a restart."""


def changed(old: Settings, new: Settings) -> list[str]:
    """Paths of what differs: `log.level`; of the tables, each entry, as in `providers.openai`."""
    paths = [path for path in leaves() if _at(old, path) != _at(new, path)]
    for table in (*TABLES, "auth.issuers", "devices"):
        before, after = cast(Mapping[str, Any], _at(old, table)), cast(Mapping[str, Any], _at(new, table))
        paths += [f"{table}.{name}" for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    return paths


def takes_effect(path: str, new: Settings) -> bool:
    """Whether a running gate takes the setting over, given all the new ones."""
    if path == "auth.admin_key":
        return new.auth.admin_key is not None  # without it, the start decides whose key it is
    return any(path == part or path.startswith(f"{part}.") for part in AT_RUN_TIME)


def _at(settings: Settings, path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value
