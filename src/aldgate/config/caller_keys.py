"""Callers' keys that stand in the environment, as gateways that came before had them, and what each may do."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, cast

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.secret import Secret
from aldgate.config.settings import Auth
from aldgate.core.policies import ANYTHING, Policy

LEAST = 16
"""Characters of a key on a server that others than this machine reach."""
_TOOL_BUS = frozenset(
    {f"tools_allow_{kind}" for kind in ("shell", "fs", "http_fetch", "git", "system_info", "models_refresh")}
    | {"tools_rate_limit_rps", "tools_rate_limit_burst"}
)
"""Of tools that the gateway runs itself. It runs none yet, so there is nothing that these could let through."""


class CallerKey(NamedTuple):
    """One key: its secret, the name it is shown under, and its policy."""

    secret: Secret
    name: str
    policy: Policy


def caller_keys(auth: Auth) -> tuple[CallerKey, ...]:
    """Every such key.

    Raises:
        ConfigError: The policies cannot be read, have a field that is not known, or are of a key that is not listed.
    """
    policies = _policies(auth.caller_policies)
    listed = [text for text in re.split(r"[,\s]+", auth.caller_keys.reveal()) if text] if auth.caller_keys is not None else []
    texts = dict.fromkeys(listed, "environment")
    if auth.caller_key is not None:
        texts.setdefault(auth.caller_key.reveal().strip(), "environment")
    if policies.keys() - texts.keys():
        raise ConfigError("`auth.caller_policies` has a policy for a key that is not in `auth.caller_keys`", hint=_HINT)
    return tuple(
        CallerKey(Secret(text), f"{name}-{number}", policies.get(text, ANYTHING))
        for number, (text, name) in enumerate(texts.items(), 1)
    )


_HINT = "it is one JSON object: the key, and an object with what it may do"


def _policies(given: Secret | None) -> dict[str, Policy]:
    if given is None:
        return {}
    try:
        tree = msgspec.json.decode(given.reveal(), type=dict[str, dict[str, Any]])
    except (msgspec.DecodeError, RecursionError):
        raise ConfigError("`auth.caller_policies` is not JSON as it should be", hint=_HINT) from None
    return {text: _policy(fields) for text, fields in tree.items()}


def _policy(fields: dict[str, Any]) -> Policy:
    own = {name: value for name, value in fields.items() if name not in _TOOL_BUS}
    addresses, tools, most = own.pop("ip_allowlist", None), own.pop("tools_allowlist", None), own.pop("max_request_bytes", 0)
    if addresses:
        own["networks"] = _words(addresses)
    if tools is not None:
        own["tools"] = _words(tools)
    if most:
        own["max_input_tokens"] = most // 4 if isinstance(most, int) else most
    try:
        return msgspec.convert(own, Policy)
    except msgspec.ValidationError as error:
        raise ConfigError(f"`auth.caller_policies`: {error}", hint="remove or correct that field") from None


def _words(value: object) -> list[Any]:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else cast("list[Any]", value)
