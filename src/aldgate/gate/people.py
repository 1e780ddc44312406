"""What is done with users, and with what: all that the surfaces for people need."""

from __future__ import annotations

import msgspec

from aldgate.gate.gate import Gate
from aldgate.gate.principals.identity import Identity
from aldgate.gate.principals.own_credentials import OwnCredentials
from aldgate.gate.principals.user_store import UserStore
from aldgate.gate.principals.users import Users
from aldgate.ports import Acts


class People(msgspec.Struct, frozen=True):
    """The parts, wired by whoever starts the gate."""

    store: UserStore
    gate: Gate
    identity: Identity
    users: Users
    own: OwnCredentials
    acts: Acts
