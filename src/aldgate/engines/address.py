"""Where an engine listens and what it is shown there, as its table says."""

import base64
from typing import Literal
from urllib.parse import urlsplit

from aldgate.config.errors import ConfigError
from aldgate.config.secret import resolve_reference
from aldgate.engines.http import EngineHttp
from aldgate.engines.section import EngineSection, Surroundings


def reach(
    name: str, section: EngineSection, surroundings: Surroundings, *, usual: str, scheme: Literal["Bearer", "Basic"] = "Bearer"
) -> EngineHttp:
    """The engine's address with its credential. Nothing is opened.

    Args:
        name: The engine's.
        section: Its table.
        surroundings: Where `env:NAME` is looked up.
        usual: Where this kind listens when nobody says otherwise.
        scheme: How `api_key` is sent; of `Basic` it is `user:password`.

    Raises:
        ConfigError: The URL is none, or the credential leads nowhere.
    """
    url = (section.base_url or usual).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ConfigError(
            f"[engines.{name}] base_url `{url}` is no address", hint="write `http://host:port`; credentials go into api_key"
        )
    headers: dict[str, str] = {}
    if section.api_key:
        secret = resolve_reference(section.api_key, surroundings.environment)
        headers["Authorization"] = f"{scheme} {base64.b64encode(secret.encode()).decode() if scheme == 'Basic' else secret}"
    return EngineHttp(name, url, headers=headers, ca_bundle=section.ca_bundle, timeout_s=section.request_timeout_s)
