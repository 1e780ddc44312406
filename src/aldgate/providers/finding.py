"""Providers nobody configured: keys found in the environment, and model servers found on this machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from aldgate.core.errors import GatewayError
from aldgate.providers.natives import NATIVES
from aldgate.providers.rows import ROWS
from aldgate.providers.section import Provider, Surroundings, build_compatible, build_provider

log = logging.getLogger("aldgate.providers")

KNOCK_S = 0.5
"""A server on this machine that does not take a connection within this time is not there."""
ANSWER_S = 2.0
"""Nor is one that has not listed its models by then: something else may listen on the port, and wait for us to speak."""


def configured(tables: Mapping[str, Mapping[str, Any]], surroundings: Surroundings) -> list[Provider]:
    """The providers of the file, in its order.

    Raises:
        ConfigError: One of them is not usable.
    """
    return [build_provider(name, table, "file", surroundings) for name, table in tables.items()]


def in_environment(surroundings: Surroundings, taken: Iterable[str]) -> list[Provider]:
    """A provider for each usual key name in the environment, unless the file already has one of that name."""
    names = set(taken)
    environment = surroundings.environment
    natives = {
        kind: native
        for kind, native in NATIVES.items()
        if not native.address_names or _present(native.address_names, environment)
    }
    kinds = {kind: known.key_names for kind, known in (*ROWS.items(), *natives.items())}
    return [
        build_provider(kind, {"kind": kind, "api_key": f"env:{key_name}"}, "environment", surroundings)
        for kind, key_names in kinds.items()
        if kind not in names and (key_name := _present(key_names, environment))
    ]


def _present(names: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    return next((name for name in names if environment.get(name)), None)


async def on_this_machine(surroundings: Surroundings, taken: Iterable[str]) -> list[Provider]:
    """Model servers that answer on their usual ports and say what they are. The port alone proves nothing."""
    names = set(taken)
    upstream = msgspec.structs.replace(surroundings.upstream, connect_timeout_s=KNOCK_S)
    knocking = msgspec.structs.replace(surroundings, upstream=upstream)
    kinds = [kind for kind, row in ROWS.items() if row.local_url and kind not in names]
    found = await asyncio.gather(*(_answers(kind, knocking) for kind in kinds))
    return [
        build_provider(kind, {"kind": kind}, "discovered", surroundings)
        for kind, is_there in zip(kinds, found, strict=True)
        if is_there
    ]


async def _answers(kind: str, surroundings: Surroundings) -> bool:
    provider = build_compatible(kind, {"kind": kind}, "discovered", surroundings)
    try:
        async with asyncio.timeout(ANSWER_S):
            models = await provider.list_models()
    except (GatewayError, TimeoutError) as error:
        log.debug("no %s on this machine: %r", kind, error)
        return False
    finally:
        await provider.aclose()
    return any(model.owned_by == ROWS[kind].owned_by for model in models)
