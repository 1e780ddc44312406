"""The backends there are now, and the catalogue built from what they offer. A reload swaps both at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from aldgate.config.settings import Settings
from aldgate.core.catalogue import build_catalogue
from aldgate.core.defaults import Wanted
from aldgate.core.errors import GatewayError, UpstreamTimeout
from aldgate.core.overrides import overridden
from aldgate.core.routes import Catalogue, Source
from aldgate.engines.finding import engine_names
from aldgate.gate.gate import Gate
from aldgate.gate.reload.draft import Draft, draft
from aldgate.ports import Backend
from aldgate.providers.finding import on_this_machine
from aldgate.providers.made import Made
from aldgate.upstream.pool import Sweeper

log = logging.getLogger("aldgate")


class Roster:
    """The backends there are now, and the catalogue built from what they offer.

    Attributes:
        backends: By name. Never changed in place: calls under way hold what they began with.
        catalogue: What the backends offer, by what was heard of them last.
        problems: What is wrong with the catalogue, in words.

    Raises:
        ConfigError: A provider or engine cannot be made of its table.
    """

    backends: Mapping[str, Backend]
    catalogue: Catalogue
    problems: list[str]

    def __init__(self, settings: Settings) -> None:
        self.sweeper = Sweeper()
        self._gate: Gate | None = None
        self._changing = asyncio.Lock()
        self._sources: dict[str, Source] = {}
        self._heard: dict[str, tuple[int, str] | None] = {}
        self._draft: Draft
        first = draft(settings, None)
        self._use(first, {name: made.provider.unlisted() for name, made in first.providers.items()})

    def serve(self, gate: Gate) -> None:
        """Hand every snapshot to `gate` from now on."""
        self._gate = gate
        gate.heard = self._heard
        gate.adopt(self.catalogue, self.backends)

    async def look(self) -> None:
        """Find servers on this machine and ask every provider for its models. One that does not answer keeps its last list.

        Nobody is waited for longer than a connection may take: the start waits for this.
        """
        async with self._changing:
            deadline = self._deadline(self._draft)
            (found, of_found), known = await asyncio.gather(
                self._look_around(deadline), self._ask(self.backends.values(), deadline)
            )
            self._use(found, self._sources | known | of_found)

    async def take(self, settings: Settings) -> None:
        """Go over to other settings: make what is new, ask it for its models, swap, and let go of what is no longer there.

        Calls under way keep what they began with; what is let go of closes as they end.

        Raises:
            ConfigError: They cannot be used; nothing has changed.
        """
        async with self._changing:
            before, after = self._draft, draft(settings, self._draft)
            fresh = _without(after, before)
            try:
                heard = await self._ask([made.provider for made in fresh], self._deadline(after))
            except BaseException:
                await _close(fresh)
                raise
            self._use(after, self._sources | {made.provider.name: self._meanwhile(made) for made in fresh} | heard)
            await _close(_without(before, after))

    async def aclose(self) -> None:
        """Close all connections to providers."""
        await _close(list(self._draft.providers.values()))

    def _meanwhile(self, made: Made) -> Source:
        """What to take for the list of a provider that has not answered: the last one, if only a secret of it is new."""
        name = made.provider.name
        old = self._draft.providers.get(name)
        return self._sources[name] if old is not None and old.table == made.table else made.provider.unlisted()

    def _use(self, new: Draft, sources: Mapping[str, Source]) -> None:
        """Swap all at once. Nothing waits in here, so no call begins between one half and the other."""
        self._draft = new
        self.backends = new.backends()
        self._sources = {name: sources[name] for name in self.backends if name in sources}
        for made in new.providers.values():
            self.sweeper.pools.update(made.provider.pools)
        offered = [overridden(source, new.said) for source in self._sources.values()]
        settings = new.settings
        default = Wanted(settings.routing.default_provider, settings.routing.default_model)
        engines = engine_names(settings.engines, settings.environment, looks_around=settings.discovery.local)
        self.catalogue, self.problems = build_catalogue(offered, settings.aliases, settings.routes, default, engines)
        if self._gate is not None:
            self._gate.adopt(self.catalogue, self.backends)

    @staticmethod
    def _deadline(of: Draft) -> float:
        return asyncio.get_running_loop().time() + of.settings.upstream.connect_timeout_s

    async def _look_around(self, deadline: float) -> tuple[Draft, dict[str, Source]]:
        """The draft with what was found on this machine, and what that offers."""
        if not self._draft.settings.discovery.local:
            return self._draft, {}
        tables = await on_this_machine(self._draft.surroundings, self.backends)
        for name in tables:
            log.info("found a model server on this machine", extra={"provider": name})
        with_found = self._draft.with_found(tables)
        found = [with_found.providers[name].provider for name in tables]
        return with_found, {each.name: each.unlisted() for each in found} | await self._ask(found, deadline)

    async def _ask(self, backends: Iterable[Backend], deadline: float) -> dict[str, Source]:
        """What each offers that answers in time."""

        async def ask(backend: Backend) -> Source | None:
            try:
                async with asyncio.timeout_at(deadline):
                    source = await backend.discover()
                if source.accepts_any:  # else the list is the operator's, and nobody was asked
                    self._heard[backend.name] = None
                return source
            except (GatewayError, TimeoutError) as error:
                is_ours = isinstance(error, GatewayError)
                status, code = (error.status, error.code) if is_ours else (UpstreamTimeout.status, UpstreamTimeout.code)
                self._heard[backend.name] = status, code
                log.warning("a provider did not list its models", extra={"provider": backend.name, "error_code": code})
                return None

        heard = await asyncio.gather(*map(ask, backends))
        return {source.name: source for source in heard if source is not None}


def _without(these: Draft, those: Draft) -> list[Made]:
    kept = set(map(id, those.providers.values()))
    return [made for made in these.providers.values() if id(made) not in kept]


async def _close(let_go: Iterable[Made]) -> None:
    for made in let_go:
        await made.provider.aclose()
