"""People: making them, logging them in, their passwords and invites. Whatever ends what somebody may do ends it at once."""

from __future__ import annotations

import secrets
import time
from typing import Any

import msgspec

from aldgate.core.errors import BadLogin, Conflict, InvalidRequest, NotFound
from aldgate.core.levels import SCOPES_OF_ROLES, Role
from aldgate.core.policies import Policy
from aldgate.core.users import StoredInvite, StoredUser, check_password, email_address, login_name
from aldgate.gate.principals.identity import Identity
from aldgate.gate.principals.passwords import Passwords
from aldgate.gate.principals.sessions import NewSession, Sessions
from aldgate.gate.principals.tries import Tries
from aldgate.gate.principals.user_store import UserStore
from aldgate.storage import StoredAccount

INVITE_PREFIX = "agi-"
INVITE_LIFETIME_S = 7 * 86_400
LONGEST_NAME = 250

Person = tuple[StoredAccount, StoredUser]


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of somebody who is to become a user; the words as they were typed."""

    name: str
    password: str
    email: str | None = None
    display_name: str | None = None
    role: Role = "member"
    parent: str | None = None
    must_change: bool = False
    policy: Policy = Policy()


class Users:
    """Everything that is done with users.

    Args:
        identity: Digests invites; forgets what it cached when somebody may do less.
        sessions: Those of all users.
    """

    def __init__(self, store: UserStore, identity: Identity, sessions: Sessions) -> None:
        self._store = store
        self._identity = identity
        self.sessions = sessions
        self._passwords = Passwords()
        self.tries = Tries()

    # --- making them ---

    async def create(self, new: NewUser, invite: StoredInvite | None = None) -> Person:
        """Make a user; with an invite, which is used up.

        Raises:
            InvalidRequest: The name, address or password is none, or the invite was used meanwhile.
            Conflict: There is such a user.
        """
        name = login_name(new.name)
        email = None if new.email is None else email_address(new.email)
        check_password(new.password, name, email)
        account = StoredAccount(
            id="user-" + secrets.token_hex(12),
            kind="user",
            name=name,
            policy=msgspec.structs.replace(new.policy, scopes=SCOPES_OF_ROLES[new.role]),
            parent=new.parent,
            created_at=time.time(),
        )
        user = StoredUser(
            id=account.id,
            email=email,
            display_name=new.display_name,
            password=await self._passwords.hash(new.password),
            role=new.role,
            must_change=new.must_change,
        )
        if not await self._store.add_user(account, user, invite and invite.digest):
            raise InvalidRequest("This invite was used already.", param="invite_token")
        return account, user

    async def invite(self, made_by: str, role: Role, parent: str | None, email: str | None) -> tuple[str, StoredInvite]:
        """Leave for one person to become a user. Returns the token, which is kept nowhere.

        Raises:
            InvalidRequest: The address is none.
        """
        token = INVITE_PREFIX + secrets.token_urlsafe(32)
        invite = StoredInvite(
            digest=self._identity.digest(token.encode()),
            role=role,
            parent=parent,
            email=None if email is None else email_address(email),
            made_by=made_by,
            expires_at=time.time() + INVITE_LIFETIME_S,
        )
        await self._store.add_invite(invite)
        return token, invite

    async def register(self, token: str, new: NewUser, address: str) -> Person:
        """Become a user by an invite, which says the role.

        Raises:
            InvalidRequest: The invite is none, is over or is for somebody else; or as `create`.
            Conflict: There is such a user.
            RateLimited: Too many bad invites came from this address.
        """
        tried = await self.tries.begin({"address": address})
        invite = await self._store.find_invite(self._identity.digest(token.encode("utf-8", "surrogateescape")))
        if invite is None or invite.expires_at <= time.time():
            raise InvalidRequest("This invite is not good (any more); ask for another.", param="invite_token")
        if invite.email is not None and (new.email or new.name).strip().lower() != invite.email:
            raise InvalidRequest("This invite is for another email address.", param="email")
        self.tries.forgive(tried)
        new = msgspec.structs.replace(new, role=invite.role, parent=invite.parent, email=invite.email or new.email)
        return await self.create(new, invite)

    # --- logging them in ---

    async def login(self, name: str, password: str, address: str) -> tuple[NewSession, Person]:
        """Begin a session. Whatever is wrong, the answer is the same and takes as long.

        Raises:
            BadLogin: No enabled user has this name or address and this password.
            RateLimited: This name, or this address, failed too often.
        """
        name = name.strip().lower()[:LONGEST_NAME]
        tried = await self.tries.begin({"name": name, "address": address})
        found = await self._store.find_user(name)
        is_theirs = await self._passwords.verify(password, found and found[1].password)
        if found is None or not is_theirs or found[0].disabled_at is not None:
            raise BadLogin("Invalid credentials")
        self.tries.forgive(tried)
        return await self.sessions.begin(found[1]), found

    # --- changing them ---

    async def find(self, name: str) -> Person:
        """The user with this name, address or id.

        Raises:
            NotFound: There is none.
        """
        found = await self._store.find_user(name) or await self._store.find_user(name.strip().lower())
        if found is None:
            raise NotFound(f"There is no user `{name[:100]}`.")
        return found

    async def change_password(self, user_id: str, current: str, new: str, address: str) -> None:
        """Take another password. Ends all sessions of the user.

        Raises:
            BadLogin: `current` is not the password.
            InvalidRequest: `new` is none, or the same.
            RateLimited: As `login`.
        """
        account, user = await self.find(user_id)
        tried = await self.tries.begin({"name": account.name, "address": address})
        if not await self._passwords.verify(current, user.password):
            raise BadLogin("The current password is another one.")
        self.tries.forgive(tried)
        if new == current:
            raise InvalidRequest("The new password is the old one.", param="new_password")
        await self._set_password(account, user, new, must_change=False)

    async def reset(self, name: str, password: str) -> Person:
        """Give a user a password that opens nothing but the way to a new one. Ends all their sessions.

        Raises:
            NotFound: There is no such user.
            InvalidRequest: The password is none.
        """
        account, user = await self.find(name)
        await self._set_password(account, user, password, must_change=True)
        return account, user

    async def _set_password(self, account: StoredAccount, user: StoredUser, password: str, *, must_change: bool) -> None:
        check_password(password, account.name, user.email)
        hashed = await self._passwords.hash(password)
        await self._store.change_user(user.id, {"password": hashed, "must_change": must_change})
        await self.sessions.end(user.id)

    async def disable(self, name: str) -> Person:
        """Let a user and all their keys do nothing any more, from now on.

        Raises:
            NotFound: There is no such user.
        """
        account, user = await self.find(name)
        if account.disabled_at is None:
            await self._store.change_user(user.id, {"disabled_at": time.time()})
        await self.sessions.end(user.id)
        return await self.find(user.id)

    async def change(self, name: str, changes: dict[str, Any]) -> Person:
        """Set fields of a user and account. With the role go the scopes of all their keys.

        Raises:
            NotFound: There is no such user.
            Conflict: Somebody else has this address.
        """
        account, user = await self.find(name)
        if "role" in changes:
            policy = msgspec.structs.replace(changes.get("policy", account.policy), scopes=SCOPES_OF_ROLES[changes["role"]])
            changes = {**changes, "policy": policy}
        if changes.get("email"):
            changes = {**changes, "email": email_address(changes["email"])}
        await self._store.change_user(user.id, changes)
        self._identity.forget()
        return await self.find(user.id)

    async def parent_of(self, team: str | None) -> str | None:
        """The id of the team or organisation with this name, id or `kind:name`, to put users under.

        Raises:
            InvalidRequest: There is none.
        """
        if team is None:
            return None
        found = await self._store.find_account("team", team) or await self._store.find_account("organisation", team)
        kind, _, name = team.partition(":")
        if found is None and kind in ("team", "organisation"):
            found = await self._store.find_account(kind, name)
        above = (found,) if found is not None else await self._store.lineage(team)
        if not above or above[-1].kind not in ("team", "organisation"):
            raise InvalidRequest(f"There is no team or organisation `{team[:100]}`.", param="team")
        return above[-1].id

    async def add_vouched(self, name: str, user: StoredUser, parent: str | None) -> Person:
        """Make a user for whom somebody else vouches; without the address if that is somebody's already."""
        account = StoredAccount(
            id=user.id,
            kind="user",
            name=name,
            policy=Policy(scopes=SCOPES_OF_ROLES[user.role]),
            parent=parent,
            created_at=time.time(),
        )
        try:
            await self._store.add_user(account, user)
        except Conflict:
            found = await self._store.find_user(name)  # another process was faster
            if found is not None:
                return found
            user = msgspec.structs.replace(user, email=None)
            await self._store.add_user(account, user)
        return account, user
