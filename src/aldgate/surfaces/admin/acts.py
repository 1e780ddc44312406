"""Administrative acts: the one place that all of them come to when they are done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from aldgate.core.errors import Conflict, InvalidRequest, NotFound
from aldgate.core.levels import AccountKind
from aldgate.core.principals import Principal
from aldgate.gate.principals.identity import Identity
from aldgate.ports import Acts
from aldgate.storage import Store, StoredAccount

KINDS: tuple[AccountKind, ...] = ("organisation", "team", "client", "user")
_ABOVE: dict[AccountKind, tuple[AccountKind, ...]] = {
    "organisation": (),
    "team": ("organisation",),
    "client": ("team", "organisation"),
    "user": ("team", "organisation"),
}
"""What an account of a kind may be under. As each is under another kind, there can be no circle."""


class Administration:
    """What all of administration shares.

    Args:
        identity: Forgets what it knew when something changes.
        acts: Is told of every act.

    Attributes:
        one_at_a_time: Held while something is read, changed and written back.
    """

    def __init__(self, store: Store, identity: Identity, acts: Acts) -> None:
        self.store = store
        self.identity = identity
        self.one_at_a_time = asyncio.Lock()
        self._acts = acts

    async def did(self, who: Principal, act: str, target: str, details: Mapping[str, Any]) -> None:
        """Something was changed: everybody is looked up anew, and whoever keeps a record of acts is told. See `ports.Acts`."""
        self.identity.forget()
        await self._acts.did(who, act, target, details)

    async def account(self, name: str, kinds: tuple[AccountKind, ...] = KINDS, param: str | None = None) -> StoredAccount:
        """The account with this id, or this name: `kind:name`, or the name alone where there is one kind.

        Raises:
            NotFound: There is none; an `InvalidRequest` if it stood in the field `param`.
        """
        account = await self._find(name, kinds)
        if account is not None and account.kind in kinds:
            return account
        words = f"There is no {' or '.join(kinds)} `{name[:100]}`"
        if param is not None:
            raise InvalidRequest(f"{words} (`{param}`).", param=param)
        raise NotFound(f"{words}.")

    async def _find(self, name: str, kinds: tuple[AccountKind, ...]) -> StoredAccount | None:
        if "\0" in name:  # some databases keep no NUL
            return None
        lineage = await self.store.lineage(name)
        if lineage:
            return lineage[-1]
        for kind in kinds:
            if name.startswith(f"{kind}:"):
                return await self.store.find_account(kind, name.removeprefix(f"{kind}:"))
        return await self.store.find_account(kinds[0], name) if len(kinds) == 1 else None

    async def parent(self, kind: AccountKind, name: str) -> str:
        """The id of the account that one of this kind is to be put under.

        Raises:
            InvalidRequest: There is no such account, or it is of a kind that this one cannot be under.
        """
        if not _ABOVE[kind]:
            raise InvalidRequest(f"An {kind} is under nothing (`parent`).", param="parent")
        return (await self.account(name, _ABOVE[kind], "parent")).id


def check_name(name: str) -> None:
    """See that a name is one.

    Raises:
        InvalidRequest: It has control characters: some databases keep no NUL, and no header holds the others.
    """
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise InvalidRequest("A name has no control characters (`name`).", param="name")


def taken(kind: str, name: str) -> Conflict:
    """The refusal of a name that another account of the kind has."""
    return Conflict(f"There is a {kind} `{name}` already.")


def plain(wanted: msgspec.Struct) -> dict[str, Any]:
    """What was asked for, as JSON has it and without what was left out: the details of an act."""
    said: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(wanted, order="deterministic"))
    return {name: value for name, value in said.items() if value is not None}
