"""`/admin/users`: make, list, change, reset, disable and invite users. Every path needs the scope `admin`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import Request
from msgspec.structs import replace

from aldgate.core.errors import InvalidRequest
from aldgate.core.giving import check_beneath, ending
from aldgate.core.levels import Level, Role
from aldgate.core.policies import Policy
from aldgate.core.principals import Principal
from aldgate.core.users import StoredUser
from aldgate.gate.principals.giving import check_gift
from aldgate.gate.principals.own_credentials import OwnCredentials
from aldgate.gate.principals.user_store import UserStore
from aldgate.gate.principals.users import NewUser, Users
from aldgate.ports import Acts
from aldgate.storage import StoredAccount
from aldgate.surfaces.admin.keys import require_admin
from aldgate.surfaces.admin.policies import PolicyForm, changed, iso, read_policy, show_policy
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.http.requests import body_of

Text = Annotated[str, msgspec.Meta(max_length=200)]


class UserRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A user to make. Without a password one is made up, which has to be changed at the first login."""

    name: Text
    password: str | None = None
    email: Text | None = None
    display_name: Text | None = None
    role: Role = "member"
    team: Text | None = None
    policy: PolicyForm | None = None


class UserChange(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What to change of a user. What is left out stays; the policy is a JSON Merge Patch. With the role change its scopes."""

    email: Text | None | msgspec.UnsetType = msgspec.UNSET
    display_name: Text | None | msgspec.UnsetType = msgspec.UNSET
    role: Role | msgspec.UnsetType = msgspec.UNSET
    team: Text | None | msgspec.UnsetType = msgspec.UNSET
    policy: dict[str, Any] | None | msgspec.UnsetType = msgspec.UNSET


class ResetRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A password to begin anew with; without one it is made up."""

    password: str | None = None


class InviteRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Whom to invite."""

    role: Role = "member"
    team: Text | None = None
    email: Text | None = None


class UserAdmin:
    """What those paths do."""

    def __init__(self, store: UserStore, users: Users, own: OwnCredentials, acts: Acts) -> None:
        self._store = store
        self._users = users
        self._own = own
        self._acts = acts

    async def create(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /admin/users. A password that was made up is in this answer and nowhere else."""
        require_admin(who)
        wanted = decoded(await body_of(request), UserRequest)
        password = wanted.password or secrets.token_urlsafe(12)
        policy = _without_scopes(read_policy(wanted.policy), None)
        new = NewUser(
            name=wanted.name,
            password=password,
            email=wanted.email,
            display_name=wanted.display_name,
            role=wanted.role,
            parent=await self._users.parent_of(wanted.team),
            must_change=wanted.password is None,
            policy=replace(policy, expires_at=ending(who, policy.expires_at)),
        )
        await check_gift(self._store, who, Level("user", "", wanted.name, new.policy), new.parent)
        account, user = await self._users.create(new)
        await self._acts.did(
            who, "user.create", account.id, {"name": account.name, "role": user.role, "policy": show_policy(account.policy)}
        )
        shown = described_to_admin(account, user)
        return shown if wanted.password is not None else {**shown, "password": password}

    async def list(self, who: Principal, request: Request) -> dict[str, Any]:
        """GET /admin/users."""
        del request
        require_admin(who)
        return {"users": [described_to_admin(*person) for person in await self._store.list_users()]}

    async def show(self, who: Principal, request: Request) -> dict[str, Any]:
        """GET /admin/users/{name}."""
        require_admin(who)
        return described_to_admin(*await self._users.find(request.path_params["name"]))

    async def change(self, who: Principal, request: Request) -> dict[str, Any]:
        """PATCH /admin/users/{name}."""
        require_admin(who)
        wanted = decoded(await body_of(request), UserChange)
        changes = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not msgspec.UNSET}
        if not changes:
            raise InvalidRequest("There is nothing to change.")
        details = dict(changes)
        if "team" in changes:
            changes["parent"] = await self._users.parent_of(changes.pop("team"))
        if "policy" in changes:
            known = (await self._users.find(request.path_params["name"]))[0].policy
            wished = read_policy(None) if changes["policy"] is None else changed(known, changes["policy"])
            changes["policy"] = replace(_without_scopes(wished, known.scopes), scopes=known.scopes)
        await self._check_change(who, request.path_params["name"], changes)
        account, user = await self._users.change(request.path_params["name"], changes)
        await self._acts.did(who, "user.change", account.id, details)
        return described_to_admin(account, user)

    async def reset(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /admin/users/{name}/reset. Ends all sessions of the user."""
        require_admin(who)
        wanted = decoded(await body_of(request) or b"{}", ResetRequest)
        password = wanted.password or secrets.token_urlsafe(12)
        await self._check_change(who, request.path_params["name"], {})
        account, _ = await self._users.reset(request.path_params["name"], password)
        await self._acts.did(who, "user.reset", account.id, {})
        answer = {"id": account.id, "name": account.name, "must_change_password": True}
        return answer if wanted.password is not None else {**answer, "password": password}

    async def disable(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /admin/users/{name}/disable: sessions and keys of the user stop working."""
        require_admin(who)
        account, user = await self._users.disable(request.path_params["name"])
        await self._acts.did(who, "user.disable", account.id, {})
        return described_to_admin(account, user)

    async def enable(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /admin/users/{name}/enable: the keys of the user work again."""
        require_admin(who)
        await self._check_change(who, request.path_params["name"], {})
        account, user = await self._users.change(request.path_params["name"], {"disabled_at": None})
        await self._acts.did(who, "user.enable", account.id, {})
        return described_to_admin(account, user)

    async def invite(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /admin/users/invites, /v1/users/invites: for one person, for a week."""
        require_admin(who)
        wanted = decoded(await body_of(request) or b"{}", InviteRequest)
        parent = await self._users.parent_of(wanted.team)
        await check_gift(self._store, who, Level("user", "", ""), parent)
        token, invite = await self._users.invite(who.id, wanted.role, parent, wanted.email)
        await self._acts.did(who, "user.invite", invite.email or "", {"role": invite.role, "team": wanted.team})
        return {"invite_token": token, "role": invite.role, "expires_at": iso(invite.expires_at)}

    async def seal(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /admin/provider-credentials/seal: seal with the first key what others sealed, so that those can be forgotten."""
        del request
        require_admin(who)
        check_beneath(who, ())
        sealed, lost = await self._own.seal_anew()
        await self._acts.did(who, "provider_credentials.seal", "", {"sealed": sealed, "lost": lost})
        return {"sealed": sealed, "lost": lost}

    async def _check_change(self, who: Principal, name: str, changes: Mapping[str, Any]) -> None:
        """See that a user is no more than who makes these changes, before them as after them."""
        account, _ = await self._users.find(name)
        await check_gift(self._store, who, account.level, account.parent)
        level = replace(account.level, policy=changes.get("policy", account.policy))
        await check_gift(self._store, who, level, changes.get("parent", account.parent))


def _without_scopes(policy: Policy, known: frozenset[str] | None) -> Policy:
    if policy.scopes is not None and policy.scopes != known:
        raise InvalidRequest("What a user may do is said by the `role` (`policy.scopes`).", param="policy.scopes")
    return policy


def described_to_admin(account: StoredAccount, user: StoredUser) -> dict[str, Any]:
    """A user as administrators see them."""
    return {
        "id": account.id,
        "name": account.name,
        "email": user.email,
        "display_name": user.display_name,
        "role": user.role,
        "parent": account.parent,
        "policy": show_policy(account.policy),
        "active": account.disabled_at is None,
        "must_change_password": user.must_change,
        "created_at": iso(account.created_at),
        "last_login_at": iso(user.last_login_at),
    }
