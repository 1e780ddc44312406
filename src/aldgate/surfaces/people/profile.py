"""`/v1/users/me` and what else users do with themselves: password, tokens."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from fastapi import Request

from aldgate.core.errors import BadLogin, InvalidRequest, NotFound, PolicyDenied
from aldgate.core.levels import CALLER_SCOPES
from aldgate.core.principals import Principal
from aldgate.core.users import StoredUser
from aldgate.gate.principals.identity import Identity
from aldgate.gate.principals.tokens import own_token
from aldgate.gate.principals.user_store import UserStore
from aldgate.gate.principals.users import Users
from aldgate.ports import Acts
from aldgate.storage import KeyUse, StoredAccount, StoredKey
from aldgate.surfaces.admin.policies import iso
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.http.requests import address_of, body_of

DAY_S = 86_400
MAX_PREFERENCES_BYTES = 65_536
Text = Annotated[str, msgspec.Meta(max_length=200)]


class ProfileRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What to change of oneself. What is left out stays."""

    display_name: Text | None | msgspec.UnsetType = msgspec.UNSET
    preferred_model: Text | None | msgspec.UnsetType = msgspec.UNSET
    preferences: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class PasswordRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Another password."""

    current_password: str
    new_password: str


class UiPasswordRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The same in other words."""

    current: str
    new: str


class TokenRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A key to make for oneself."""

    name: Annotated[str, msgspec.Meta(max_length=200, extra_json_schema={"pattern": r"^[^\x00-\x1f\x7f]*$"})] = "token"
    scopes: list[str] | None = None
    expires_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | None = None


class Profile:
    """What those paths do. A key of a user may do it, too, except where a password is asked for."""

    def __init__(self, store: UserStore, identity: Identity, users: Users, acts: Acts) -> None:
        self._store = store
        self._identity = identity
        self._users = users
        self._acts = acts

    async def me(self, who: Principal, request: Request) -> dict[str, Any]:
        """GET /v1/users/me."""
        del request
        return described(*await self._users.find(user_of(who, must_be_settled=False)))

    async def ui_me(self, who: Principal, request: Request) -> dict[str, Any]:
        """GET /ui/api/auth/me."""
        del request
        account, user = await self._users.find(user_of(who, must_be_settled=False))
        shown = {"id": account.id, "username": account.name, "admin": user.role == "admin", "must_change": user.must_change}
        return {"ok": True, "authenticated": True, "user": shown}

    async def change(self, who: Principal, request: Request) -> dict[str, Any]:
        """PATCH /v1/users/me."""
        wanted = decoded(await body_of(request), ProfileRequest)
        changes = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not msgspec.UNSET}
        if "preferences" in changes:
            changes["preferences"] = msgspec.json.encode(changes["preferences"])
            if len(changes["preferences"]) > MAX_PREFERENCES_BYTES:
                raise InvalidRequest(f"Preferences have at most {MAX_PREFERENCES_BYTES} bytes.", param="preferences")
        user_id = user_of(who)
        return described(*(await self._users.change(user_id, changes) if changes else await self._users.find(user_id)))

    async def change_password(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /v1/users/change-password. Ends all sessions, the one that asks among them."""
        wanted = decoded(await body_of(request), PasswordRequest)
        await self._change_password(who, request, wanted.current_password, wanted.new_password)
        return {"changed": True}

    async def ui_change_password(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /ui/api/user/password."""
        wanted = decoded(await body_of(request), UiPasswordRequest)
        await self._change_password(who, request, wanted.current, wanted.new)
        return {"ok": True}

    async def _change_password(self, who: Principal, request: Request, current: str, new: str) -> None:
        user_id = user_of(who, must_be_settled=False)
        try:
            await self._users.change_password(user_id, current, new, address_of(request))
        except BadLogin as error:  # who asks is known: a 401 would say that they are not
            raise InvalidRequest(error.message, param="current_password") from None
        await self._acts.did(who, "user.password", user_id, {})

    async def create_token(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /v1/users/tokens; the token is in this answer and nowhere else."""
        user_of(who)
        wanted = decoded(await body_of(request) or b"{}", TokenRequest)
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in wanted.name):
            raise InvalidRequest("A name has no control characters (`name`).", param="name")
        lifetime_s = None if wanted.expires_days is None else wanted.expires_days * DAY_S
        scopes = frozenset(wanted.scopes) if wanted.scopes else None
        secret, key = own_token(who, wanted.name, scopes, lifetime_s)
        await self._store.add_key(key, self._identity.digest(secret.encode()))
        self._identity.forget()
        await self._acts.did(who, "token.create", key.id, {"name": key.name, "scopes": sorted(key.policy.scopes or ())})
        return {"token": secret, "info": _token(key, None)}

    async def list_tokens(self, who: Principal, request: Request) -> list[dict[str, Any]]:
        """GET /v1/users/tokens: those that still work."""
        del request
        uses, now = await self._store.key_uses(), time.time()
        keys = await self._store.list_keys(user_of(who))
        good = [key for key in keys if key.revoked_at is None and (key.expires_at is None or key.expires_at > now)]
        return [_token(key, uses.get(key.id)) for key in good]

    async def revoke_token(self, who: Principal, request: Request) -> dict[str, Any]:
        """DELETE /v1/users/tokens/{id}."""
        key_id: str = request.path_params["id"]
        key = await self._store.get_key(key_id)
        if key is None or key.owner != user_of(who) or key.revoked_at is not None:
            raise NotFound("Token not found")
        await self._store.revoke_key(key_id, time.time())
        self._identity.forget()
        await self._acts.did(who, "token.revoke", key_id, {"name": key.name})
        return {"revoked": True}


def user_of(who: Principal, *, must_be_settled: bool = True) -> str:
    """The id of the user that this is, or whose key it is.

    Raises:
        PolicyDenied: It is nobody's in person, or they have to change their password first.
    """
    if who.user is None:
        raise PolicyDenied("This is for users; who asks is no user and no key of one.")
    if must_be_settled and not who.rights.scopes:
        raise PolicyDenied("Somebody else chose your password: change it first, at `/v1/users/change-password`.")
    return who.user


def described(account: StoredAccount, user: StoredUser) -> dict[str, Any]:
    """A user as users see themselves."""
    return {
        "id": account.id,
        "username": account.name,
        "email": user.email,
        "display_name": user.display_name,
        "preferred_model": user.preferred_model,
        "preferences": msgspec.json.decode(user.preferences),
        "role": user.role,
        "must_change_password": user.must_change,
        "created_at": iso(account.created_at),
    }


def _token(key: StoredKey, use: KeyUse | None) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": sorted(key.policy.scopes if key.policy.scopes is not None else CALLER_SCOPES),
        "created_at": iso(key.created_at),
        "last_used_at": iso(use.last_used_at) if use else None,
        "expires_at": iso(key.expires_at),
    }
