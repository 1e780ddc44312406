"""Settings, read by the parts that they are for."""

from __future__ import annotations

from aldgate.app.devices import check_devices
from aldgate.app.engines import engines_of
from aldgate.app.jobs import contents_of
from aldgate.artifacts.places import open_place
from aldgate.config.errors import ConfigError
from aldgate.config.settings import Settings
from aldgate.gate.reload.roster import Roster
from aldgate.oidc.tokens import build_tokens
from aldgate.store.stores import open_store
from aldgate.surfaces.server.server import CannotListen, tls_context


def check(settings: Settings) -> None:
    """See that the parts that read their own settings can: providers, engines, TLS, the database's URL. Connects to nothing.

    Raises:
        ConfigError: One cannot.
    """
    Roster(settings)
    build_tokens(settings.auth.issuers, ca_bundle=settings.upstream.ca_bundle)
    engines_of(settings)
    check_devices(settings)
    open_place(settings.artifacts, contents_of(settings))
    if settings.store:
        open_store(settings, "check")
    for listener in settings.server.listeners:
        try:
            tls_context(listener.tls_cert, listener.tls_key)
        except CannotListen as error:
            raise ConfigError(str(error), hint=error.hint) from error
