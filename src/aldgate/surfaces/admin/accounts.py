"""`/admin/organisations`, `/admin/teams` and, with more to them, `/admin/clients`: what each path does."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from aldgate.core.errors import Conflict
from aldgate.core.giving import ending
from aldgate.core.levels import AccountKind
from aldgate.core.principals import Principal
from aldgate.gate.principals.giving import check_gift
from aldgate.storage import StoredAccount
from aldgate.surfaces.admin.acts import Administration, check_name, plain, taken
from aldgate.surfaces.admin.keys import Name
from aldgate.surfaces.admin.policies import PolicyForm, changed, iso, read_policy, show_policy
from aldgate.surfaces.http.bodies import decoded

Parent = Annotated[str, Meta(max_length=300, description="Id of the account above it, or `kind:name`.")]
ID_PREFIXES: dict[AccountKind, str] = {"organisation": "org", "team": "team", "client": "client", "user": "user"}


class AccountRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An account to make."""

    name: Name
    parent: Parent | None = None
    policy: PolicyForm | None = None


class AccountPatch(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What to change: a JSON Merge Patch (RFC 7396), so null takes a parent or a field of the policy away."""

    name: Name | UnsetType = UNSET
    parent: Parent | None | UnsetType = UNSET
    policy: dict[str, Any] | None | UnsetType = UNSET


class AccountAdmin:
    """What the paths of one kind of account do.

    Args:
        kind: Of its accounts.
    """

    def __init__(self, kind: AccountKind, administration: Administration) -> None:
        self.kind: AccountKind = kind
        self._administration = administration
        self._store = administration.store

    async def list(self) -> dict[str, Any]:
        """All accounts of the kind, by name."""
        known = {account.id: account for account in await self._store.list_accounts()}
        mine = (account for account in known.values() if account.kind == self.kind)
        return {"data": [describe(account, known.get(account.parent or "")) for account in mine]}

    async def get(self, name: str) -> dict[str, Any]:
        """One account, by id or name.

        Raises:
            NotFound: There is none.
        """
        return await self._shown(await self._find(name))

    async def create(self, who: Principal, body: bytes) -> dict[str, Any]:
        """Make one.

        Raises:
            InvalidRequest: A field is not what an account has.
            Conflict: The name is taken.
            PolicyDenied: It would be more than its maker.
        """
        wanted = decoded(body, AccountRequest)
        account = await self._new(who, wanted)
        await self._store.add_account(account)
        await self._did(who, "create", account, plain(wanted))
        return await self._shown(account)

    async def change(self, who: Principal, name: str, body: bytes) -> dict[str, Any]:
        """Change name, parent or policy.

        Raises:
            NotFound: There is none.
            InvalidRequest: A field is not what an account has.
            Conflict: The name is taken.
            PolicyDenied: It would be more than who changes it.
        """
        wanted = decoded(body, AccountPatch)
        async with self._administration.one_at_a_time:
            account = await self._changed(who, await self._find(name), wanted)
            await self._store.save_account(account)
        await self._did(who, "edit", account, plain(wanted))
        return await self._shown(account)

    async def set_disabled(self, who: Principal, name: str, is_disabled: bool) -> dict[str, Any]:
        """Let nothing be called under it from now on, or let it again.

        Raises:
            NotFound: There is none.
            PolicyDenied: It is enabled by who is less.
        """
        async with self._administration.one_at_a_time:
            account = await self._find(name)
            if not is_disabled:
                await self._check_gift(who, account)
            at = (account.disabled_at or time.time()) if is_disabled else None
            account = msgspec.structs.replace(account, disabled_at=at)
            await self._store.save_account(account)
        await self._did(who, "disable" if is_disabled else "enable", account, {})
        return await self._shown(account)

    async def delete(self, who: Principal, name: str) -> dict[str, Any]:
        """Forget it.

        Raises:
            NotFound: There is none.
            Conflict: Keys, revoked ones included, or accounts are under it.
        """
        account = await self._find(name)
        try:
            await self._store.delete_account(account.id)
        except Conflict:
            words = f"Keys (revoked ones, too) or accounts are under the {self.kind} `{account.name}`; disable it instead."
            raise Conflict(words) from None
        await self._did(who, "delete", account, {"name": account.name})
        return {"id": account.id, "deleted": True}

    async def _find(self, name: str) -> StoredAccount:
        return await self._administration.account(name, (self.kind,))

    async def _check_gift(self, who: Principal, account: StoredAccount) -> None:
        await check_gift(self._store, who, account.level, account.parent)

    async def _new(self, who: Principal, wanted: AccountRequest) -> StoredAccount:
        name = wanted.name
        check_name(name)
        await self._check_free(name)
        above = None if wanted.parent is None else await self._administration.parent(self.kind, wanted.parent)
        account_id = f"{ID_PREFIXES[self.kind]}-{secrets.token_hex(12)}"
        policy = read_policy(wanted.policy)
        policy = msgspec.structs.replace(policy, expires_at=ending(who, policy.expires_at))
        made = StoredAccount(id=account_id, kind=self.kind, name=name, policy=policy, parent=above, created_at=time.time())
        await self._check_gift(who, made)
        return made

    async def _changed(self, who: Principal, account: StoredAccount, wanted: AccountPatch) -> StoredAccount:
        await self._check_gift(who, account)
        name, parent, policy = account.name, account.parent, account.policy
        if wanted.name is not UNSET and wanted.name != name:
            check_name(wanted.name)
            await self._check_free(wanted.name)
            name = wanted.name
        if wanted.parent is not UNSET:
            parent = None if wanted.parent is None else await self._administration.parent(self.kind, wanted.parent)
        if wanted.policy is not UNSET:
            policy = read_policy(None) if wanted.policy is None else changed(policy, wanted.policy)
        account = msgspec.structs.replace(account, name=name, parent=parent, policy=policy)
        await self._check_gift(who, account)
        return account

    async def _check_free(self, name: str) -> None:
        if await self._store.find_account(self.kind, name) is not None:
            raise taken(self.kind, name)

    async def _shown(self, account: StoredAccount) -> dict[str, Any]:
        above = await self._store.lineage(account.parent) if account.parent is not None else ()
        return describe(account, above[-1] if above else None)

    async def _did(self, who: Principal, act: str, account: StoredAccount, details: dict[str, Any]) -> None:
        await self._administration.did(who, f"{self.kind}.{act}", account.id, details)


def describe(account: StoredAccount, parent: StoredAccount | None) -> dict[str, Any]:
    """An account as the API shows it."""
    return {
        "id": account.id,
        "kind": account.kind,
        "name": account.name,
        "active": account.disabled_at is None and (account.policy.expires_at or float("inf")) > time.time(),
        "parent": account.parent,
        "parent_name": parent and f"{parent.kind}:{parent.name}",
        "policy": show_policy(account.policy),
        "created_at": iso(account.created_at),
        "disabled_at": iso(account.disabled_at),
    }
