import msgspec
import pytest

from aldgate.core.errors import PolicyDenied, RevokedKey
from aldgate.core.levels import SCOPES_OF_ROLES, Role
from aldgate.gate.principals.users import NewUser
from aldgate.gate.principals.vouched import VouchedUsers
from aldgate.storage import Store, StoredAccount
from tests.gate.conftest import Clock
from tests.gate.principals.test_sessions import PASSWORD, Lab


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified token says."""

    issuer: str = "https://issuer.example.com"
    subject: str = "Sub-1"
    email: str = ""
    is_email_verified: bool = False
    name: str = ""
    roles: frozenset[Role] = frozenset({"member"})
    team: str = ""
    expires_at: float = 2_000_000_000.0


@pytest.fixture
def lab(store: Store, clock: Clock) -> Lab:
    return Lab(store, clock)


@pytest.fixture
def vouched(lab: Lab, store: Store) -> VouchedUsers:
    return VouchedUsers(store, lab.users, lab.own.bring)


async def test_the_first_token_makes_the_user_and_later_ones_find_it(vouched: VouchedUsers, store: Store) -> None:
    first, again = await vouched.user_of(Claims(name="Ada")), await vouched.user_of(Claims(name="Ada L."))
    assert first.principal is not None and again.principal is not None
    assert (first.principal.id, first.expires_at, first.principal.kind) == (again.principal.id, 2_000_000_000.0, "user")
    ((account, user),) = await store.list_users()
    assert (account.name, user.display_name, user.password) == ("https://issuer.example.com|Sub-1", "Ada L.", None)


async def test_subjects_that_differ_in_case_or_issuer_are_different_people(vouched: VouchedUsers) -> None:
    several = [Claims(), Claims(subject="sub-1"), Claims(issuer="https://other.example.com")]
    principals = [(await vouched.user_of(claims)).principal for claims in several]
    assert len({principal.id for principal in principals if principal is not None}) == 3


async def test_who_is_named_to_the_letter_is_meant(vouched: VouchedUsers, lab: Lab) -> None:
    for subject in ("sub-1", "Sub-1"):
        await vouched.user_of(Claims(subject=subject))
    name = "https://issuer.example.com|Sub-1"
    assert (await lab.users.disable(name))[0].name == name


async def test_the_highest_role_holds_and_none_is_no_leave(vouched: VouchedUsers) -> None:
    assert (await vouched.user_of(Claims(roles=frozenset()))).error is not None
    for roles, role in (({"viewer", "admin"}, "admin"), ({"viewer"}, "viewer"), ({"member", "viewer"}, "member")):
        principal = (await vouched.user_of(Claims(roles=frozenset(roles)))).principal  # pyright: ignore[reportArgumentType]
        assert principal is not None and principal.rights.scopes == SCOPES_OF_ROLES[role]
    with pytest.raises(PolicyDenied):
        await vouched.login(Claims(roles=frozenset()))


async def test_an_address_is_taken_only_if_seen_and_free(vouched: VouchedUsers, lab: Lab, store: Store) -> None:
    await lab.users.create(NewUser(name="bo", password=PASSWORD, email="bo@x.org"))
    await vouched.user_of(Claims(subject="1", email="bo@x.org", is_email_verified=True))
    await vouched.user_of(Claims(subject="2", email="cy@x.org", is_email_verified=False))
    await vouched.user_of(Claims(subject="3", email="Di@x.org", is_email_verified=True))
    emails = {account.name.partition("|")[2] or account.name: user.email for account, user in await store.list_users()}
    assert emails == {"bo": "bo@x.org", "1": None, "2": None, "3": "di@x.org"}


async def test_a_team_that_there_is_stands_above(vouched: VouchedUsers, store: Store) -> None:
    await store.add_account(StoredAccount(id="team-1", kind="team", name="physics", created_at=0.0))
    assert (await _team(vouched, "physics"), await _team(vouched, "nobodys"), await _team(vouched, "")) == ("team-1",) * 3
    assert await _team(vouched, "nobodys", "other") is None


async def _team(vouched: VouchedUsers, team: str, subject: str = "Sub-1") -> str | None:
    principal = (await vouched.user_of(Claims(team=team, subject=subject))).principal
    assert principal is not None
    return principal.team


async def test_a_login_is_a_session_that_disabling_ends(vouched: VouchedUsers, lab: Lab) -> None:
    token = (await vouched.login(Claims())).token
    who = await lab.who(token)
    await lab.users.disable(who.id)
    with pytest.raises(RevokedKey):
        await vouched.login(Claims())
    with pytest.raises(RevokedKey):
        await lab.identity.standing(who.id)


async def test_nobody_logs_in_to_it_with_a_password(vouched: VouchedUsers, lab: Lab) -> None:
    await vouched.user_of(Claims(subject="sub-1"))
    for password in ("", "None", "x"):
        with pytest.raises(Exception, match="Invalid credentials"):
            await lab.users.login("https://issuer.example.com|sub-1", password, "127.0.0.1")
