"""Who may call: clients, keys, users, and the issuers that vouch for them."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from aldgate.config.caller_keys import caller_keys
from aldgate.config.errors import ConfigError
from aldgate.config.secret import Secret
from aldgate.config.settings import Auth, Settings
from aldgate.core.errors import InvalidConfiguration
from aldgate.gate.gate import Gate
from aldgate.gate.principals.clients import Clients
from aldgate.gate.principals.identity import Identity
from aldgate.gate.principals.own_credentials import OwnCredentials
from aldgate.gate.principals.secret_checks import SecretChecks
from aldgate.gate.principals.sessions import Sessions
from aldgate.gate.principals.static_keys import StaticKeys
from aldgate.gate.principals.users import Users
from aldgate.gate.principals.vouched import VouchedUsers
from aldgate.oidc.login import Logins
from aldgate.oidc.tokens import Tokens
from aldgate.ports import Resolver
from aldgate.storage import Store
from aldgate.store.store import SqlStore
from aldgate.surfaces.people.oidc import OidcFace
from aldgate.surfaces.people.sign_in import VouchedSignIn


async def read_clients(store: Store, directory: str) -> Clients:
    """Clients, and those in a directory of files if one is named.

    Raises:
        ConfigError: The directory cannot be read.
    """
    clients = Clients(store, SecretChecks(), _absolute(directory))
    try:
        await clients.reload()
    except InvalidConfiguration as error:
        raise ConfigError(error.message, hint="name a directory that can be read, or none") from None
    return clients


def _absolute(directory: str) -> Path | None:
    return Path(directory).expanduser().absolute() if directory else None


async def identity_of(store: Store, auth: Auth, resolvers: list[Resolver], own: OwnCredentials) -> Identity:
    """Who keys belong to: those of the database, those in the environment, and the admin's."""
    preset = auth.admin_key
    pepper, _ = await store.secret("pepper", secrets.token_bytes(32))
    identity = Identity(store, pepper, b"", resolvers=resolvers, dress=own.bring)
    callers = ((key.secret.reveal().encode(), key.name, key.policy) for key in caller_keys(auth))
    admin = b"" if auth.admin_secret is None else auth.admin_secret.reveal().encode()
    resolvers.append(StaticKeys(identity.digest, callers, admin))
    if preset is not None:
        identity.appoint(identity.digest(preset.reveal().encode()))
    return identity


def users_of(settings: Settings, store: SqlStore, identity: Identity, own: OwnCredentials) -> Users:
    """People, and their sessions."""
    auth = settings.auth
    idle_s, lifetime_s = auth.session_idle_s, auth.session_lifetime_s
    return Users(store, identity, Sessions(store, identity, own.bring, idle_s=idle_s, lifetime_s=lifetime_s, now=time.time))


async def oidc_face(settings: Settings, store: SqlStore, tokens: Tokens, vouched: VouchedUsers, gate: Gate) -> OidcFace:
    """Logins to the console through issuers."""
    secret, _ = await store.secret("oidc_login", secrets.token_bytes(32))
    public_url = settings.auth.public_url
    sign_in = VouchedSignIn(vouched, is_secure=public_url.startswith("https:"))
    return OidcFace(Logins(tokens.issuers, secret, time.time), sign_in, public_url=public_url, new_id=gate.new_id)


async def make_admin_key(store: Store, identity: Identity, preset: Secret | None) -> str | None:
    """Make the admin key if there is none, and return it; None if there is one."""
    if preset is not None:
        return None
    fresh = "agk-admin-" + secrets.token_urlsafe(32)
    digest, is_new = await store.secret("admin_digest", identity.digest(fresh.encode()))
    identity.appoint(digest)
    return fresh if is_new else None
