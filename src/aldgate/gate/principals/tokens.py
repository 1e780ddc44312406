"""Keys that users make for themselves, when they have logged in: never more than their maker."""

from __future__ import annotations

import secrets
import time

from aldgate.core.errors import InvalidRequest, PolicyDenied, ScopeDenied
from aldgate.core.levels import ALL_SCOPES, CALLER_SCOPES
from aldgate.core.policies import Policy
from aldgate.core.principals import Principal
from aldgate.storage import StoredKey

KEY_PREFIX = "agk-"
SHOWN_CHARACTERS = 12


def own_token(maker: Principal, name: str, scopes: frozenset[str] | None, lifetime_s: float | None) -> tuple[str, StoredKey]:
    """A new key of the maker's user, and its secret.

    Args:
        maker: Who makes it: the user. A key makes none: it would live on when that key is revoked.
        name: What people will know it by.
        scopes: What it may do; None: what keys usually may, as far as the maker may.
        lifetime_s: How long it lives; None: until it is revoked.

    Raises:
        ScopeDenied: A scope is not the maker's.
        PolicyDenied: The maker is no user who has logged in.
    """
    user = maker.user
    if user is None:
        raise PolicyDenied("Only users make tokens for themselves; others' are made at `/admin/keys`.")
    if maker.kind != "user":
        raise PolicyDenied("A key makes no other keys, which would outlive it: log in, and make it then.")
    if scopes is not None and (unknown := scopes - ALL_SCOPES):
        known = ", ".join(sorted(ALL_SCOPES))
        raise InvalidRequest(f"There is no scope `{min(unknown)[:50]}`; scopes are {known}.", param="scopes")
    beyond = (scopes or frozenset()) - maker.rights.scopes
    if beyond:
        raise ScopeDenied(f"You may not {', '.join(sorted(beyond))} yourself, and so may no token of yours.")
    now = time.time()
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    wanted = CALLER_SCOPES & maker.rights.scopes if scopes is None else scopes
    key = StoredKey(
        id="key-" + secrets.token_hex(12),
        name=name,
        prefix=secret[:SHOWN_CHARACTERS],
        policy=Policy(scopes=wanted),
        created_at=now,
        owner=user,
        made_by=maker.id,
        expires_at=None if lifetime_s is None else now + lifetime_s,
    )
    return secret, key
