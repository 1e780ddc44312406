"""The settings: one frozen tree, read once by `load`. Importing the package costs nothing; names are fetched on first use."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aldgate.config.errors import ConfigError
    from aldgate.config.loader import load
    from aldgate.config.prices import PriceEntry, to_price
    from aldgate.config.secret import Secret, resolve_reference
    from aldgate.config.settings import Listener, Settings, show

__all__ = ["ConfigError", "Listener", "PriceEntry", "Secret", "Settings", "load", "resolve_reference", "show", "to_price"]

# Client commands read `.env` from here and must not pay for decoding the whole tree (40 ms).
_HOMES = {
    "ConfigError": "errors",
    "Listener": "settings",
    "PriceEntry": "prices",
    "Secret": "secret",
    "Settings": "settings",
    "load": "loader",
    "resolve_reference": "secret",
    "show": "settings",
    "to_price": "prices",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
