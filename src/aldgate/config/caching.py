"""How long answers are kept, by the name that callers use: what `[cache.models]` says, and what routes say of themselves."""

from __future__ import annotations

from aldgate.config.errors import ConfigError
from aldgate.config.settings import Settings
from aldgate.core.terms import parse_duration


def kept_s(settings: Settings) -> dict[str, int]:
    """Seconds by name. An alias of a route that keeps answers keeps them as well; `[cache.models]` beats both.

    Raises:
        ConfigError: Something there is no length of time.
    """
    routes = {name: _seconds(f'routes."{name}".cache', entry.cache) for name, entry in settings.routes.items() if entry.cache}
    aliases = {alias: routes[target] for alias, target in settings.aliases.items() if target in routes}
    models = {name: _seconds(f'cache.models."{name}"', length) for name, length in settings.cache.models.items()}
    return aliases | routes | models


def _seconds(path: str, length: str) -> int:
    try:
        return parse_duration(length)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}", hint='write it like `"10m"`') from None
