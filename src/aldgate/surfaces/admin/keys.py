"""`/admin/keys`: make, list, change, revoke and rotate keys. Every path needs a principal with the `admin` scope."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from aldgate.core.budgets import Budget
from aldgate.core.errors import Conflict, InvalidRequest, NotFound, ScopeDenied
from aldgate.core.giving import ending
from aldgate.core.limits import Limits
from aldgate.core.policies import Policy
from aldgate.core.principals import CALLER_SCOPES, Principal
from aldgate.core.terms import format_usd
from aldgate.gate.audit import without_credentials
from aldgate.gate.principals.giving import check_gift
from aldgate.gate.principals.identity import level_of
from aldgate.storage import KeyUse, StoredKey
from aldgate.surfaces.admin.acts import Administration, check_name, plain
from aldgate.surfaces.admin.policies import (
    PolicyForm,
    changed,
    iso,
    read_budget,
    read_budgets,
    read_duration,
    read_policy,
    read_scopes,
    show_policy,
    with_limits,
    write_budget,
)
from aldgate.surfaces.http.bodies import decoded

KEY_PREFIX = "agk-"
SHOWN_CHARACTERS = 12
ALWAYS_SHOWN = ("rpm", "tpm", "tpd", "concurrency")
"""Limits that a key is shown with even if it has none."""

Limit = Annotated[int, Meta(ge=1, le=10**12)]
Name = Annotated[str, Meta(min_length=1, max_length=200, extra_json_schema={"pattern": r"^[^\x00-\x1f\x7f]*$"})]
BudgetText = Annotated[str, Meta(description="Dollars per period, as in `10.00/month`.")]
Lifetime = Annotated[str, Meta(description="How long the key lives, as in `30d`.")]
Owner = Annotated[str, Meta(max_length=300, description="Id of the account whose key it is, or `kind:name`.")]


class KeyRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A key to make. A limit that is not given does not exist. What stands beside `policy` goes before what stands in it."""

    name: Name
    rpm: Limit | None = None
    tpm: Limit | None = None
    tpd: Limit | None = None
    concurrency: Limit | None = None
    images_per_minute: Limit | None = None
    images_per_day: Limit | None = None
    audio_seconds_per_minute: Limit | None = None
    audio_seconds_per_day: Limit | None = None
    gpu_seconds_per_minute: Limit | None = None
    gpu_seconds_per_day: Limit | None = None
    budget: BudgetText | None = None
    budgets: list[BudgetText] | None = None
    expires: Lifetime | None = None
    scopes: list[str] | None = None
    owner: Owner | None = None
    policy: PolicyForm | None = None


class KeyPatch(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What to change of a key: a JSON Merge Patch (RFC 7396), so null takes an end or a field of the policy away."""

    name: Name | UnsetType = UNSET
    expires: Lifetime | None | UnsetType = UNSET
    policy: dict[str, Any] | UnsetType = UNSET


class RotateRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How to rotate a key: the old secret works on for `overlap`."""

    overlap: str = "1h"


class KeyAdmin:
    """What the paths under `/admin/keys` do."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._store = administration.store

    async def create(self, who: Principal, body: bytes) -> dict[str, Any]:
        """Make a key; its secret is in this answer and nowhere else.

        Raises:
            InvalidRequest: A field is not what a key has.
            PolicyDenied: It would be more than its maker.
        """
        wanted = decoded(body, KeyRequest)
        check_name(wanted.name)
        now = time.time()
        policy = _policy(wanted)
        owner = None if wanted.owner is None else await self._administration.account(wanted.owner, param="owner")
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        key = StoredKey(
            id="key-" + secrets.token_hex(12),
            name=wanted.name,
            prefix=secret[:SHOWN_CHARACTERS],
            policy=policy,
            created_at=now,
            owner=owner and owner.id,
            made_by=who.id,
            expires_at=ending(who, None if wanted.expires is None else now + read_duration(wanted.expires, "expires")),
        )
        await self._check_gift(who, key)
        await self._store.add_key(key, self._administration.identity.digest(secret.encode()))
        await self._administration.did(who, "key.create", key.id, plain(wanted))
        return {"key": secret, **describe(key, None)}

    async def change(self, who: Principal, key_id: str, body: bytes) -> dict[str, Any]:
        """Change a key's name, end or policy. It counts from the next call on.

        Raises:
            NotFound: There is no such key.
            InvalidRequest: A field is not what a key has.
            Conflict: It was revoked.
            PolicyDenied: It would be more than who changes it.
        """
        wanted = decoded(body, KeyPatch)
        async with self._administration.one_at_a_time:
            key = await self._find(key_id)
            if key.revoked_at is not None:
                raise Conflict("This key was revoked; make a new one.")
            await self._check_gift(who, key)
            key = _changed(key, wanted)
            await self._check_gift(who, key)
            await self._store.change_key(key)
        await self._administration.did(who, "key.edit", key_id, plain(wanted))
        return describe(key, (await self._store.key_uses()).get(key_id))

    async def list(self) -> dict[str, Any]:
        """All keys, newest first."""
        uses = await self._store.key_uses()
        return {"keys": [describe(key, uses.get(key.id)) for key in await self._store.list_keys()]}

    async def revoke(self, who: Principal, key_id: str) -> dict[str, Any]:
        """Withdraw a key: its next call is refused.

        Raises:
            NotFound: There is no such key.
        """
        if not await self._store.revoke_key(key_id, time.time()):
            raise _no_such_key(key_id)
        await self._administration.did(who, "key.revoke", key_id, {})
        return {"id": key_id, "message": "Key revoked"}

    async def rotate(self, who: Principal, key_id: str, body: bytes) -> dict[str, Any]:
        """Give a key a new secret. Its id, limits, budget and history stay; the old secret works on for the overlap.

        Raises:
            NotFound: There is no such key.
            Conflict: It was revoked or has expired.
            PolicyDenied: It is more than who asks.
        """
        wanted = decoded(body or b"{}", RotateRequest)
        old_expire_at = time.time() + (0 if wanted.overlap in ("0", "0s") else read_duration(wanted.overlap, "overlap"))
        key = await self._find(key_id)
        if key.revoked_at is not None:
            raise Conflict("This key was revoked, and so would its new secret be; make a new key.")
        if key.expires_at is not None and key.expires_at <= time.time():
            raise Conflict("This key has expired, and so would its new secret; make a new key.")
        await self._check_gift(who, key)
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        prefix = secret[:SHOWN_CHARACTERS]
        await self._store.rotate_key(key_id, self._administration.identity.digest(secret.encode()), prefix, old_expire_at)
        await self._administration.did(who, "key.rotate", key_id, plain(wanted))
        renewed = msgspec.structs.replace(key, prefix=prefix)
        use = (await self._store.key_uses()).get(key_id)
        return {"key": secret, **describe(renewed, use), "old_expires_at": iso(old_expire_at)}

    async def _check_gift(self, who: Principal, key: StoredKey) -> None:
        await check_gift(self._store, who, level_of(key), key.owner, key.expires_at)

    async def _find(self, key_id: str) -> StoredKey:
        key = await self._store.get_key(key_id)
        if key is None:
            raise _no_such_key(key_id)
        return key


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
        "budgets": [write_budget(budget) for budget in key.policy.budgets],
        "owner": key.owner,
        "made_by": key.made_by,
        "policy": show_policy(key.policy),
    }


def _describe_budget(budget: Budget | None) -> dict[str, Any] | None:
    if budget is None:
        return None
    return {"usd": format_usd(budget.microusd), "microusd": budget.microusd, "period": budget.period}


def _policy(wanted: KeyRequest) -> Policy:
    policy = read_policy(wanted.policy)
    scopes = policy.scopes or CALLER_SCOPES if wanted.scopes is None else read_scopes(wanted.scopes)
    limits = Limits(**{name: getattr(wanted, name) for name in Limits.__struct_fields__})
    policy = msgspec.structs.replace(with_limits(policy, limits), scopes=scopes)
    if wanted.budget is not None and wanted.budgets is not None:
        raise InvalidRequest("Give `budget` or `budgets`, not both.", param="budgets")
    if wanted.budget is not None:
        return msgspec.structs.replace(policy, budgets=(read_budget(wanted.budget),))
    return policy if wanted.budgets is None else msgspec.structs.replace(policy, budgets=read_budgets(wanted.budgets))


def _changed(key: StoredKey, wanted: KeyPatch) -> StoredKey:
    name, expires_at, policy = key.name, key.expires_at, key.policy
    if wanted.name is not UNSET:
        check_name(wanted.name)
        name = wanted.name
    if wanted.expires is not UNSET:
        expires_at = None if wanted.expires is None else time.time() + read_duration(wanted.expires, "expires")
    if wanted.policy is not UNSET:
        policy = changed(policy, wanted.policy)
    return msgspec.structs.replace(key, name=name, expires_at=expires_at, policy=policy)


def _no_such_key(key_id: str) -> NotFound:
    return NotFound(f"There is no key `{without_credentials(key_id)[:100]}`.")
