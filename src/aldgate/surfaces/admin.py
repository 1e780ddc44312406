"""`/admin/keys`: make, list, revoke and rotate keys. Every path needs a principal with the `admin` scope."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from aldgate.core.budgets import Budget
from aldgate.core.errors import Conflict, InvalidRequest, NotFound, ScopeDenied
from aldgate.core.limits import Limits
from aldgate.core.policies import Policy
from aldgate.core.principals import ALL_SCOPES, CALLER_SCOPES, Principal
from aldgate.core.terms import format_usd, parse_budget, parse_duration
from aldgate.gate.identity import Identity
from aldgate.ports import KeyUse, Store, StoredKey
from aldgate.surfaces.bodies import decoded

KEY_PREFIX = "agk-"
SHOWN_CHARACTERS = 12
ALWAYS_SHOWN = ("rpm", "tpm", "tpd", "concurrency")
"""Limits that a key is shown with even if it has none."""

Limit = Annotated[int, msgspec.Meta(ge=1, le=10**12)]


class KeyRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A key to make. A limit that is not given does not exist."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200, extra_json_schema={"pattern": r"^[^\x00-\x1f\x7f]*$"})]
    rpm: Limit | None = None
    tpm: Limit | None = None
    tpd: Limit | None = None
    concurrency: Limit | None = None
    budget: Annotated[str, msgspec.Meta(description="Dollars per period, as in `10.00/month`.")] | None = None
    expires: Annotated[str, msgspec.Meta(description="How long the key lives, as in `30d`.")] | None = None
    scopes: list[str] | None = None


class RotateRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How to rotate a key: the old secret works on for `overlap`."""

    overlap: str = "1h"


class KeyAdmin:
    """What the paths under `/admin/keys` do.

    Args:
        identity: Digests secrets; forgets what it cached when a key changes.
    """

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store = store
        self._identity = identity

    async def create(self, body: bytes) -> dict[str, Any]:
        """Make a key; its secret is in this answer and nowhere else.

        Raises:
            InvalidRequest: A field is not what a key has.
        """
        wanted = decoded(body, KeyRequest)
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in wanted.name):  # some databases keep no NUL
            raise InvalidRequest("A name has no control characters (`name`).", param="name")
        now = time.time()
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        key = StoredKey(
            id="key-" + secrets.token_hex(12),
            name=wanted.name,
            prefix=secret[:SHOWN_CHARACTERS],
            policy=Policy(
                scopes=_scopes(wanted.scopes),
                limits=Limits(wanted.rpm, wanted.tpm, wanted.tpd, wanted.concurrency),
                budgets=_budgets(wanted.budget),
            ),
            created_at=now,
            expires_at=now + _duration(wanted.expires, "expires") if wanted.expires is not None else None,
        )
        await self._store.add_key(key, self._identity.digest(secret.encode()))
        self._identity.forget()
        return {"key": secret, **describe(key, None)}

    async def list(self) -> dict[str, Any]:
        """All keys, newest first."""
        uses = await self._store.key_uses()
        return {"keys": [describe(key, uses.get(key.id)) for key in await self._store.list_keys()]}

    async def revoke(self, key_id: str) -> dict[str, Any]:
        """Withdraw a key: its next call is refused.

        Raises:
            NotFound: There is no such key.
        """
        if not await self._store.revoke_key(key_id, time.time()):
            raise _no_such_key(key_id)
        self._identity.forget()
        return {"id": key_id, "message": "Key revoked"}

    async def rotate(self, key_id: str, body: bytes) -> dict[str, Any]:
        """Give a key a new secret. Its id, limits, budget and history stay; the old secret works on for the overlap.

        Raises:
            NotFound: There is no such key.
            Conflict: It was revoked or has expired.
        """
        wanted = decoded(body or b"{}", RotateRequest)
        old_expire_at = time.time() + (0 if wanted.overlap in ("0", "0s") else _duration(wanted.overlap, "overlap"))
        key = await self._store.get_key(key_id)
        if key is None:
            raise _no_such_key(key_id)
        if key.revoked_at is not None:
            raise Conflict("This key was revoked, and so would its new secret be; make a new key.")
        if key.expires_at is not None and key.expires_at <= time.time():
            raise Conflict("This key has expired, and so would its new secret; make a new key.")
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        prefix = secret[:SHOWN_CHARACTERS]
        await self._store.rotate_key(key_id, self._identity.digest(secret.encode()), prefix, old_expire_at)
        self._identity.forget()
        renewed = msgspec.structs.replace(key, prefix=prefix)
        use = (await self._store.key_uses()).get(key_id)
        return {"key": secret, **describe(renewed, use), "old_expires_at": iso(old_expire_at)}


def require_admin(principal: Principal) -> None:
    """Refuse whoever may not administer.

    Raises:
        ScopeDenied: The principal has no `admin` scope.
    """
    if "admin" not in principal.rights.scopes:
        raise ScopeDenied("This needs an admin key.")


def describe(key: StoredKey, use: KeyUse | None) -> dict[str, Any]:
    """A key as the API shows it."""
    now = time.time()
    is_expired = key.expires_at is not None and key.expires_at <= now
    is_active = key.revoked_at is None and not is_expired
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "active": is_active,
        "is_active": is_active,
        "usage_count": use.calls if use else 0,
        "created": iso(key.created_at),
        "created_at": iso(key.created_at),
        "expires_at": iso(key.expires_at),
        "revoked_at": iso(key.revoked_at),
        "last_used_at": iso(use.last_used_at) if use else None,
        "scopes": sorted(key.policy.scopes if key.policy.scopes is not None else CALLER_SCOPES),
        "limits": {name: getattr(key.policy.limits, name) for name in ALWAYS_SHOWN} | dict(key.policy.limits.rates),
        "budget": _describe_budget(next(iter(key.policy.budgets), None)),
    }


def _describe_budget(budget: Budget | None) -> dict[str, Any] | None:
    if budget is None:
        return None
    return {"usd": format_usd(budget.microusd), "microusd": budget.microusd, "period": budget.period}


def iso(at: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()


def _scopes(wanted: list[str] | None) -> frozenset[str]:
    if wanted is None:
        return CALLER_SCOPES
    unknown = set(wanted) - ALL_SCOPES
    if unknown or not wanted:
        raise InvalidRequest(f"Scopes are {', '.join(sorted(ALL_SCOPES))}.", param="scopes")
    return frozenset(wanted)


def _budgets(text: str | None) -> tuple[Budget, ...]:
    try:
        return () if text is None else (parse_budget(text),)
    except ValueError as error:
        raise InvalidRequest(f"`budget`: {error}.", param="budget") from None


def _duration(text: str, param: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidRequest(f"`{param}`: {error}.", param=param) from None


def _no_such_key(key_id: str) -> NotFound:
    return NotFound(f"There is no key `{key_id[:100]}`.")
