"""Providers nobody configured: keys found in the environment, and model servers found on this machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from aldgate.core.errors import GatewayError
from aldgate.providers.natives import NATIVES, Native
from aldgate.providers.openai import OpenAICompatible
from aldgate.providers.rows import ROWS
from aldgate.providers.section import Surroundings, build_provider

Table = Mapping[str, Any]

log = logging.getLogger("aldgate.providers")

KNOCK_S = 0.5
"""A server on this machine that does not take a connection within this time is not there."""
ANSWER_S = 2.0
"""Nor is one that has not listed its models by then: something else may listen on the port, and wait for us to speak."""


def in_environment(environment: Mapping[str, str], taken: Iterable[str]) -> dict[str, Table]:
    """A provider's table for each usual key name in the environment, unless there is one of that name already.

    Native ones that have no address of their own need that too; those that need no key are added by their address alone.
    """
    names = set(taken)
    found: dict[str, Table] = {}
    for kind, known in (*ROWS.items(), *NATIVES.items()):
        key_name = _present(known.key_names, environment)
        addresses = known.address_names if isinstance(known, Native) else ()
        is_enough = key_name is not None or (addresses and not known.key_names)
        if kind not in names and is_enough and (not addresses or _present(addresses, environment)):
            found[kind] = {"kind": kind, **({"api_key": f"env:{key_name}"} if key_name is not None else {})}
    return found


def _present(names: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    return next((name for name in names if environment.get(name)), None)


async def on_this_machine(surroundings: Surroundings, taken: Iterable[str]) -> dict[str, Table]:
    """A provider's table for each model server that answers on its usual port and says what it is. The port proves nothing."""
    names = set(taken)
    upstream = msgspec.structs.replace(surroundings.upstream, connect_timeout_s=KNOCK_S)
    knocking = msgspec.structs.replace(surroundings, upstream=upstream)
    kinds = [kind for kind, known in (*NATIVES.items(), *ROWS.items()) if known.local_url and kind not in names]
    found = await asyncio.gather(*(_answers(kind, knocking) for kind in kinds))
    return {kind: {"kind": kind} for kind, is_there in zip(kinds, found, strict=True) if is_there}


async def _answers(kind: str, surroundings: Surroundings) -> bool:
    provider = build_provider(kind, {"kind": kind}, "discovered", surroundings)
    try:
        async with asyncio.timeout(ANSWER_S):
            if not isinstance(provider, OpenAICompatible):
                await provider.discover()  # that it answers in words of its own proves what it is
                return True
            models = await provider.list_models()
    except (GatewayError, TimeoutError) as error:
        log.debug("no %s on this machine: %r", kind, error)
        return False
    finally:
        await provider.aclose()
    return any(model.owned_by == ROWS[kind].owned_by for model in models)
