"""Users for whom an issuer vouches: made at their first token, and brought up to date by each login."""

from __future__ import annotations

import secrets
from typing import Protocol

from aldgate.core.errors import PolicyDenied
from aldgate.core.levels import Role
from aldgate.core.users import StoredUser
from aldgate.gate.principals.identity import closed
from aldgate.gate.principals.sessions import Bring, NewSession, principal_of_user
from aldgate.gate.principals.user_store import UserStore
from aldgate.gate.principals.users import Person, Users
from aldgate.ports import Standing

_RANK: tuple[Role, ...] = ("admin", "member", "viewer")


class Vouched(Protocol):
    """What a verified token says; texts are empty where it says nothing. `expires_at` in Unix seconds."""

    @property
    def issuer(self) -> str: ...  # noqa: D102 - as the docstring of the class says
    @property
    def subject(self) -> str: ...  # noqa: D102
    @property
    def email(self) -> str: ...  # noqa: D102
    @property
    def is_email_verified(self) -> bool: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def roles(self) -> frozenset[Role]: ...  # noqa: D102
    @property
    def team(self) -> str: ...  # noqa: D102
    @property
    def expires_at(self) -> float: ...  # noqa: D102


class VouchedUsers:
    """Turns the claims of verified tokens into users, and logs those in.

    Args:
        bring: Puts what users bring with them to a principal.
    """

    def __init__(self, store: UserStore, users: Users, bring: Bring) -> None:
        self._store = store
        self._users = users
        self._bring = bring

    async def user_of(self, claims: Vouched) -> Standing:
        """Whom a token speaks for, until it expires. The first one makes the user, called `issuer|subject`.

        A team that the token names and nobody has made is passed over.
        """
        if not claims.roles:
            return Standing(error=PolicyDenied("Your token gives you no role here."))
        account, user = await self._person(claims)
        above = await self._store.lineage(account.id)
        principal = await self._bring(principal_of_user(above, user, claims.expires_at))
        return Standing(principal, claims.expires_at, closed(above))

    async def login(self, claims: Vouched) -> NewSession:
        """Begin a session of whom a token speaks for.

        Raises:
            PolicyDenied: The token gives no role.
            RevokedKey: The user is disabled, or an account above is.
        """
        standing = await self.user_of(claims)
        if standing.error is not None:
            raise standing.error
        assert standing.principal is not None
        return await self._users.sessions.begin((await self._users.find(standing.principal.id))[1])

    async def _person(self, claims: Vouched) -> Person:
        name = _name(claims)
        role: Role = next(role for role in _RANK if role in claims.roles)
        team = await self._store.find_account("team", claims.team) if claims.team else None
        found = await self._store.find_user(name)  # to the letter: subjects that differ in case are two people
        if found is None:
            email = claims.email.lower() if claims.is_email_verified else None
            fresh = StoredUser(id="user-" + secrets.token_hex(12), email=email, display_name=claims.name or None, role=role)
            return await self._users.add_vouched(name, fresh, team and team.id)
        account, user = found
        changes: dict[str, object] = {}
        if user.role != role:
            changes["role"] = role
        if team is not None and account.parent != team.id:
            changes["parent"] = team.id
        if claims.name and user.display_name != claims.name:
            changes["display_name"] = claims.name
        return await self._users.change(user.id, changes) if changes else (account, user)


def _name(claims: Vouched) -> str:
    return f"{claims.issuer}|{claims.subject}"
