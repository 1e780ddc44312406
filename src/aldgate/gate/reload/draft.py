"""Everything that runs calls, made of the settings; a reload makes anew only what has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.prices import is_of_calls, to_price
from aldgate.config.settings import Settings, Upstream
from aldgate.core.overrides import Said
from aldgate.core.routes import Origin
from aldgate.engines.builtin.backend import Builtin, Paces
from aldgate.engines.section import kind_of
from aldgate.ports import Backend
from aldgate.providers.finding import in_environment
from aldgate.providers.made import Made, make
from aldgate.providers.section import Surroundings
from aldgate.upstream.tls import client_context


class Wanted(NamedTuple):
    """A provider that there shall be."""

    name: str
    table: Mapping[str, Any]
    origin: Origin


class Draft(msgspec.Struct, frozen=True, eq=False):
    """Backends made of settings.

    Attributes:
        said: What the operator says of models.
        providers: By name, in the order in which they are asked for a bare name of a model.
    """

    settings: Settings
    surroundings: Surroundings
    said: Said
    builtin: Builtin
    providers: Mapping[str, Made]

    def backends(self) -> dict[str, Backend]:
        """All of them, by name."""
        return {**{name: made.provider for name, made in self.providers.items()}, "builtin": self.builtin}

    def with_found(self, tables: Mapping[str, Mapping[str, Any]]) -> Draft:
        """The same and the model servers that were found on this machine."""
        found = {name: make(name, table, "discovered", self.surroundings) for name, table in tables.items()}
        return msgspec.structs.replace(self, providers={**self.providers, **found})


def draft(settings: Settings, now: Draft | None) -> Draft:
    """What `settings` ask for, with what is the same in `now` taken from there. Nothing is put to use.

    Raises:
        ConfigError: A provider, an engine or a price cannot be made of its table, or a TLS file cannot be used.
    """
    _check_trust(settings.upstream)
    surroundings = Surroundings(settings.upstream, settings.server.max_reply_bytes, settings.environment)
    old: Mapping[str, Made] = now.providers if now is not None else {}
    providers: dict[str, Made] = {}
    for name, table, origin in _wanted(settings, old):
        made = old.get(name)
        if made is None or not made.is_current(table, origin, surroundings):
            made = make(name, table, origin, surroundings)
        providers[name] = made
    prices = {name: to_price(entry) for name, entry in settings.prices.items() if is_of_calls(entry)}
    said = Said(prices, {name: entry.facts() for name, entry in settings.models.items()})
    has_same_engines = now is not None and now.settings.engines == settings.engines
    builtin = now.builtin if now is not None and has_same_engines else _builtin(settings)
    return Draft(settings, surroundings, said, builtin, providers)


def _wanted(settings: Settings, old: Mapping[str, Made]) -> Iterator[Wanted]:
    """Providers of the file, those whose key is in the environment, and those that were found on this machine before."""
    names = {"builtin", *settings.providers}
    yield from (Wanted(name, table, "file") for name, table in settings.providers.items())
    if settings.discovery.environment:
        found = in_environment(settings.environment, names)
        names |= found.keys()
        yield from (Wanted(name, table, "environment") for name, table in found.items())
    if settings.discovery.local:
        discovered = (name for name, made in old.items() if made.origin == "discovered" and name not in names)
        yield from (Wanted(name, old[name].table, "discovered") for name in discovered)


def _check_trust(upstream: Upstream) -> None:
    """Read the TLS files now, though there may be no https provider yet that would."""
    for name, ca_bundle, client_cert in (("ca_bundle", upstream.ca_bundle, ""), ("client_cert", "", upstream.client_cert)):
        file = ca_bundle or client_cert
        try:
            if file:
                client_context(verify=True, ca_bundle=ca_bundle, client_cert=client_cert)
        except OSError as error:  # ssl.SSLError is one
            hint = "it is a PEM file of certificates; the key of `client_cert` is in it too, or in a second file after a comma"
            raise ConfigError(f"`upstream.{name}`: cannot use {file}: {error}", hint=hint) from None


def _builtin(settings: Settings) -> Builtin:
    kinds: dict[str, type[Any]] = {field.name: field.type for field in msgspec.structs.fields(Paces)}
    for name in settings.engines.keys() - kinds.keys():
        kind_of(name, settings.engines[name], kinds)
    return Builtin(Paces(**{name: _engine(settings, name, kind) for name, kind in kinds.items()}))


def _engine(settings: Settings, name: str, options: type[Any]) -> Any:
    try:
        return msgspec.convert(settings.engines.get(name, {}), options)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(options))
        raise ConfigError(f"[engines.{name}]: {error}", hint=f"it may have {known}") from None
