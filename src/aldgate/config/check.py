"""What must hold between settings, and of the secrets among them."""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from aldgate.config.caching import kept_s
from aldgate.config.caller_keys import LEAST, caller_keys
from aldgate.config.errors import ConfigError
from aldgate.config.issuers import check_issuers, is_safe_url
from aldgate.config.prices import to_job_price, to_price
from aldgate.config.secret import Secret
from aldgate.config.settings import Budgets, Server, Settings
from aldgate.core.addresses import is_loopback
from aldgate.core.alerts import parse_percents
from aldgate.core.limits import RATES

MIN_ADMIN_KEY = 32
_EXAMPLES = re.compile(
    r"change[-_ ]?me|replace[-_ ]?(me|this)|your[-_ ](key|secret|token|admin)|placeholder|insecure", re.IGNORECASE
)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]_-]+")
MIN_SECRET = 24
"""Characters of a secret that signs (Standard Webhooks: 24 bytes)."""
_VISIBLE = re.compile(r"[!-~]+")


def check(settings: Settings) -> None:
    """Refuse settings that would fail, or be unsafe, once the gate runs.

    Raises:
        ConfigError: The first that is wrong.
    """
    _check_secrets(settings)
    check_issuers(settings.auth.issuers)
    _check_limit_names(settings)
    if settings.auth.public_url and not is_safe_url(settings.auth.public_url):
        hint = 'write it like "https://gate.example.com"; plain http is for loopback only'
        raise ConfigError(f"`auth.public_url`: `{settings.auth.public_url}` is no such URL", hint=hint)
    secret = settings.guardrails.webhook_secret
    if secret is not None and len(secret.reveal()) < MIN_SECRET:
        hint = f"use {MIN_SECRET} characters or more, made at random"
        raise ConfigError("`guardrails.webhook_secret` is too short to sign with", hint=hint)
    _check_alerts(settings.budgets)
    for listener in settings.server.listeners:
        _check_pair(listener.tls_cert, listener.tls_key)
    _check_addresses(settings)
    for network in settings.server.trusted_proxies:
        _check_network(network)
    _check_files(settings)
    if settings.server.max_body_bytes > settings.server.max_inflight_bytes:
        message = "`server.max_body_bytes` is over `server.max_inflight_bytes`: no such body could ever be held"
        raise ConfigError(message, hint="lower the first or raise the second")
    _check_aliases(settings)
    kept_s(settings)
    for model, entry in settings.prices.items():
        try:
            to_price(entry)
            to_job_price(entry, 0)
        except ConfigError as error:
            raise ConfigError(f'prices."{model}": {error.message}', hint=error.hint) from None


def check_workers(settings: Settings) -> None:
    """Refuse more processes than can share their counters.

    Raises:
        ConfigError: More than one is asked for, and they have nothing to share them in.
    """
    if settings.server.workers == 1:
        return
    missing: list[str] = []
    if not has_server(settings):
        missing.append("`store` (postgresql://user:password@host/database)")
    if not settings.valkey.url:
        missing.append("`valkey.url` (valkey://host:6379)")
    if missing:
        hint = f"set {' and '.join(missing)}, or leave workers at 1: one process serves thousands of calls at once"
        raise ConfigError("more than one worker needs PostgreSQL and Valkey", hint=hint)
    if not hasattr(os, "fork"):
        raise ConfigError("this system cannot fork workers", hint="leave workers at 1, and start several gates")


def check_worker(settings: Settings) -> None:
    """Refuse a worker beside a gate whose database is for one process alone.

    Raises:
        ConfigError: It is.
    """
    if not has_server(settings):
        hint = "set `store` to postgresql://user:password@host/database for both; with SQLite the gate works on jobs itself"
        raise ConfigError("a worker of its own needs PostgreSQL: SQLite's file is for one process", hint=hint)


def has_server(settings: Settings) -> bool:
    """Whether the database is a server, which several processes can share."""
    return settings.store.startswith(("postgresql", "postgres:"))


def _check_secrets(settings: Settings) -> None:
    if settings.auth.admin_key is not None:
        _check_secret("the admin key", settings.auth.admin_key)
    if settings.auth.admin_secret is not None:
        _check_secret("`auth.admin_secret` (`ADMIN_SECRET`)", settings.auth.admin_secret)
    _check_caller_keys(settings)
    if settings.auth.encryption_key is not None:
        _check_encryption_key(settings.auth.encryption_key)
    for origin in settings.server.cors_origins:
        _check_origin(origin)


def _check_limit_names(settings: Settings) -> None:
    for name in (*settings.valkey.open_limits, *settings.valkey.closed_limits):
        if name not in (*RATES, "concurrency"):
            raise ConfigError(f"`valkey`: there is no limit `{name}`", hint=f"limits are {', '.join(RATES)} and concurrency")


def _check_aliases(settings: Settings) -> None:
    for alias, target in settings.aliases.items():
        if alias == target:
            raise ConfigError(f"`aliases.{alias}` names itself", hint="name a model, as in `provider/model`, or a route")


def _check_caller_keys(settings: Settings) -> None:
    keys = caller_keys(settings.auth)
    if is_on_loopback(settings.server):
        return
    for key in keys:
        text = key.secret.reveal()
        if len(text) < LEAST or _EXAMPLES.search(text) or _VISIBLE.fullmatch(text) is None or len(set(text)) < 8:
            message = "a caller's key in the environment is easily guessed, and others than this machine reach the gate"
            hint = f"write {LEAST} random characters or more: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
            raise ConfigError(message, hint=hint)


def is_on_loopback(server: Server) -> bool:
    """Whether only this machine reaches the gate."""
    return all(is_loopback(listener.host) for listener in server.listeners)


def _check_alerts(budgets: Budgets) -> None:
    try:
        parse_percents(budgets.alerts)
    except ValueError as error:
        raise ConfigError(f"`budgets.alerts`: {error}", hint="write percentages, as in `50,80,100`") from None
    if not budgets.alert_url:
        return
    parts = urlsplit(budgets.alert_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.fragment:
        raise ConfigError("`budgets.alert_url` is no http or https URL", hint="write `https://host/path`, without credentials")
    if not budgets.alert_url.isascii() or not budgets.alert_url.isprintable() or " " in budgets.alert_url:
        raise ConfigError("`budgets.alert_url` has characters that stand in no URL", hint="percent-encode them")
    if budgets.alert_secret is None:
        raise ConfigError("`budgets.alert_url` is set, `budgets.alert_secret` is not", hint="what is not signed anybody can send")
    _check_secret("`budgets.alert_secret`", budgets.alert_secret)


def _check_secret(what: str, key: Secret) -> None:
    text = key.reveal()
    hint = "make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
    if _EXAMPLES.search(text) or text.lower() == "secret":
        raise ConfigError(f"{what} comes from an example that everybody knows", hint=hint)
    if len(text) < MIN_ADMIN_KEY:
        raise ConfigError(f"{what} has {len(text)} characters; it needs {MIN_ADMIN_KEY} or more", hint=hint)
    if _VISIBLE.fullmatch(text) is None:
        raise ConfigError(f"{what} has a space or a character that no header can carry", hint=hint)
    if len(set(text)) < 8:
        raise ConfigError(f"{what} repeats a few characters and is easily guessed", hint=hint)


def _check_encryption_key(key: Secret) -> None:
    parts = key.reveal().split()
    if not parts or min(map(len, parts)) < MIN_ADMIN_KEY or any(_EXAMPLES.search(part) for part in parts):
        message = f"`auth.encryption_key` needs {MIN_ADMIN_KEY} characters or more that nobody knows"
        raise ConfigError(message, hint="make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'")


def _check_origin(origin: str) -> None:
    if _ORIGIN.fullmatch(origin) is None:
        message = f"`server.cors_origins`: `{origin}` is no origin"
        raise ConfigError(message, hint="write scheme, host and port alone, like `https://app.example.com`; `*` is not taken")


def _check_pair(cert: str, key: str) -> None:
    if bool(cert) != bool(key):
        given, missing = ("tls_cert", "tls_key") if cert else ("tls_key", "tls_cert")
        raise ConfigError(f"`{given}` is set, `{missing}` is not", hint="HTTPS needs both; set both or neither")


def _check_addresses(settings: Settings) -> None:
    seen: set[tuple[str, int]] = set()
    for listener in settings.server.listeners:
        address = (listener.host, listener.port)
        if listener.port and address in seen:
            raise ConfigError(f"{listener.host}:{listener.port} is to be bound twice", hint="give each listener its own port")
        seen.add(address)


def _check_network(text: str) -> None:
    try:
        ip_network(text)
    except ValueError as error:
        raise ConfigError(f"`server.trusted_proxies`: {error}", hint="write addresses or networks like `10.0.0.0/8`") from None


def _check_files(settings: Settings) -> None:
    named = [("server.tls_cert", listener.tls_cert) for listener in settings.server.listeners]
    named += [("server.tls_key", listener.tls_key) for listener in settings.server.listeners]
    named += [("upstream.ca_bundle", settings.upstream.ca_bundle)]
    named += [(f"auth.issuers.{name}.ca_bundle", issuer.ca_bundle) for name, issuer in settings.auth.issuers.items()]
    named += [("upstream.client_cert", part) for part in settings.upstream.client_cert.split(",")]
    for path, file in named:
        if file and not Path(file).is_file():
            raise ConfigError(f"`{path}`: there is no file {file}", hint="correct the path, or make the file readable")
