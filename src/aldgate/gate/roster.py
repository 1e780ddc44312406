"""The backends there are now, and the catalogue built from what they offer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.prices import to_price
from aldgate.config.settings import Settings
from aldgate.core.catalogue import build_catalogue
from aldgate.core.defaults import Wanted
from aldgate.core.errors import GatewayError, UpstreamTimeout
from aldgate.core.prices import Price
from aldgate.core.routes import Source
from aldgate.engines.builtin.backend import Builtin, Paces
from aldgate.gate.gate import Gate
from aldgate.ports import Backend
from aldgate.providers.finding import configured, in_environment, on_this_machine
from aldgate.providers.section import Provider, Surroundings
from aldgate.upstream.pool import Sweeper

log = logging.getLogger("aldgate")


class Roster:
    """The backends there are now, and the catalogue built from what they offer."""

    def __init__(self, settings: Settings) -> None:
        prices = {name: to_price(entry) for name, entry in settings.prices.items()}
        self._settings = settings
        self._surroundings = Surroundings(settings.upstream, settings.server.max_reply_bytes, settings.environment, prices)
        self.sweeper = Sweeper()
        self.backends: dict[str, Backend] = {"builtin": _builtin(settings, prices)}
        self._sources: dict[str, Source] = {}
        for provider in configured(settings.providers, self._surroundings):
            self._add(provider)
        if settings.discovery.environment:
            for provider in in_environment(self._surroundings, self.backends):
                self._add(provider)

    def _add(self, provider: Provider) -> None:
        self.backends[provider.name] = provider
        self._sources[provider.name] = provider.unlisted()
        self.sweeper.pools.update(provider.pools)

    async def look(self) -> None:
        """Find servers on this machine and ask every provider for its models. One that does not answer keeps its last list.

        Nobody is waited for longer than a connection may take: the start waits for this.
        """
        deadline = asyncio.get_running_loop().time() + self._settings.upstream.connect_timeout_s
        await asyncio.gather(self._look_around(deadline), *(self._ask(backend, deadline) for backend in self.backends.values()))

    async def _look_around(self, deadline: float) -> None:
        if self._settings.discovery.local:
            found = await on_this_machine(self._surroundings, self.backends)
            for provider in found:
                log.info("found a model server on this machine", extra={"provider": provider.name})
                self._add(provider)
            await asyncio.gather(*(self._ask(provider, deadline) for provider in found))

    async def _ask(self, backend: Backend, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                self._sources[backend.name] = await backend.discover()
        except (GatewayError, TimeoutError) as error:
            code = error.code if isinstance(error, GatewayError) else UpstreamTimeout.code
            log.warning("a provider did not list its models", extra={"provider": backend.name, "error_code": code})

    def apply(self, gate: Gate | None) -> list[str]:
        """Build the catalogue anew and hand it to the gate. Returns what is wrong with it, in words."""
        order = [*(name for name in self.backends if name != "builtin"), "builtin"]
        sources = [self._sources[name] for name in order if name in self._sources]
        settings = self._settings
        default = Wanted(settings.routing.default_provider, settings.routing.default_model)
        self.catalogue, problems = build_catalogue(sources, settings.aliases, settings.routes, default)
        if gate is not None:
            gate.catalogue = self.catalogue
        return problems

    async def aclose(self) -> None:
        """Close all connections to providers."""
        for backend in self.backends.values():
            await backend.aclose()


def _builtin(settings: Settings, prices: Mapping[str, Price]) -> Builtin:
    kinds: dict[str, type[Any]] = {field.name: field.type for field in msgspec.structs.fields(Paces)}
    for name in settings.engines:
        if name not in kinds:
            raise ConfigError(f"[engines.{name}]: there is no such engine", hint=f"there are {', '.join(kinds)}")
    return Builtin(Paces(**{name: _engine(settings, name, kind) for name, kind in kinds.items()}), prices)


def _engine(settings: Settings, name: str, options: type[Any]) -> Any:
    try:
        return msgspec.convert(settings.engines.get(name, {}), options)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(options))
        raise ConfigError(f"[engines.{name}]: {error}", hint=f"it may have {known}") from None
