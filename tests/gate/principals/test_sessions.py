from collections.abc import Callable

import pytest

from aldgate.core.errors import BadLogin, ExpiredKey, GatewayError, RateLimited, RevokedKey, UnknownKey
from aldgate.core.levels import SCOPES_OF_ROLES
from aldgate.core.principals import Principal
from aldgate.gate.principals.identity import Identity
from aldgate.gate.principals.own_credentials import OwnCredentials
from aldgate.gate.principals.sessions import CHECK_S, SessionResolver, Sessions
from aldgate.gate.principals.users import NewUser, Users
from aldgate.gate.principals.vault import Vault
from aldgate.ports import Resolver
from aldgate.storage import Store
from tests.gate.conftest import Clock

IDLE_S, LIFETIME_S = 3_600.0, 86_400.0
PASSWORD = "correct horse battery"


class Lab:
    """Users, their sessions, and an identity that knows both carriers, by one clock."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        resolvers: list[Resolver] = []
        self.own = OwnCredentials(store, Vault([b"key"]))
        self.identity = Identity(store, b"pepper", b"", clock, resolvers, self.own.bring)
        self.sessions = Sessions(store, self.identity, self.own.bring, idle_s=IDLE_S, lifetime_s=LIFETIME_S, now=clock)
        self.users = Users(store, self.identity, self.sessions)
        resolvers += [SessionResolver(self.sessions, carrier) for carrier in (b"session", b"")]

    async def login(self, name: str = "ada", password: str = PASSWORD) -> str:
        return (await self.users.login(name, password, "127.0.0.1"))[0].token

    async def who(self, token: str) -> Principal:
        principal = await self.identity.identify(token.encode())
        assert (await self.identity.identify(b"session\0" + token.encode())).id == principal.id
        return principal

    async def refusal(self, secret: bytes) -> type[GatewayError]:
        with pytest.raises(GatewayError) as raised:
            await self.identity.identify(secret)
        return raised.type


@pytest.fixture
async def lab(store: Store, clock: Clock) -> Lab:
    lab = Lab(store, clock)
    await lab.users.create(NewUser(name="ada", password=PASSWORD))
    return lab


async def test_a_session_is_a_principal_of_its_user(lab: Lab, clock: Clock) -> None:
    who = await lab.who(await lab.login())
    assert (who.kind, who.name, who.account) == ("user", "ada", who.user)
    assert who.rights.scopes == SCOPES_OF_ROLES["member"]
    assert who.expires_at == clock.at + LIFETIME_S
    assert (await lab.identity.standing(who.id)).user == who.id


async def test_tokens_that_are_none_are_unknown(lab: Lab) -> None:
    token = await lab.login()
    for secret in (b"ags-nobodys", b"session\0ags-nobodys"):
        assert await lab.refusal(secret) is ExpiredKey
    for secret in (b"session\0agk-x", b"session\0", token[:-1].encode()[4:], b"client\0a\0b", b"\xff\xfe"):
        assert await lab.refusal(secret) is UnknownKey


async def test_a_session_lives_as_long_as_it_is_used(lab: Lab, clock: Clock) -> None:
    token = await lab.login()
    for _ in range(5):
        clock.at += IDLE_S - 1
        assert (await lab.who(token)).name == "ada"
    clock.at += IDLE_S + CHECK_S
    assert await lab.refusal(token.encode()) is ExpiredKey


async def test_no_use_keeps_a_session_beyond_its_lifetime(lab: Lab, clock: Clock) -> None:
    token = await lab.login()
    end = clock.at + LIFETIME_S
    while clock.at + IDLE_S / 2 < end:
        clock.at += IDLE_S / 2
        await lab.who(token)
    clock.at = end
    assert await lab.refusal(token.encode()) is ExpiredKey


async def test_a_changed_password_ends_every_session(lab: Lab) -> None:
    one, other = await lab.login(), await lab.login()
    who = await lab.who(one)
    await lab.users.change_password(who.id, PASSWORD, "another fine password", "127.0.0.1")
    for token in (one, other):
        assert await lab.refusal(token.encode()) is ExpiredKey
    with pytest.raises(BadLogin):
        await lab.login()
    assert await lab.login(password="another fine password")


async def test_who_is_disabled_has_no_session_and_gets_none(lab: Lab) -> None:
    token = await lab.login()
    who = await lab.who(token)
    await lab.users.disable("ada")
    assert await lab.refusal(token.encode()) is ExpiredKey
    with pytest.raises(BadLogin):
        await lab.login()
    with pytest.raises(RevokedKey):
        await lab.identity.standing(who.id)


async def test_a_session_that_begins_while_the_password_changes_does_not_begin(lab: Lab) -> None:
    _, user = await lab.users.find("ada")
    await lab.users.reset("ada", "made up by somebody")
    with pytest.raises(BadLogin):
        await lab.sessions.begin(user)


async def test_an_address_that_guesses_many_names_has_to_wait(lab: Lab) -> None:
    lab.users._passwords.verify = _never  # pyright: ignore[reportPrivateUsage]
    errors: list[type[Exception]] = []
    for number in range(51):
        with pytest.raises(GatewayError) as raised:
            await lab.users.login(f"name{number}", "guess", "10.0.0.1")
        errors.append(raised.type)
    assert errors == [BadLogin] * 50 + [RateLimited]


async def _never(password: str, hashed: str | None) -> bool:
    del password, hashed
    return False
