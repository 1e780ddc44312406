import asyncio
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from aldgate.core.clients import ClientSecret, StoredClient
from aldgate.core.errors import ExpiredKey, InvalidConfiguration, RevokedKey, UnknownKey
from aldgate.core.hashes import hash_secret
from aldgate.core.limits import Limits
from aldgate.core.policies import Policy
from aldgate.gate.principals.client_files import Loaded, load
from aldgate.gate.principals.clients import Clients
from aldgate.gate.principals.identity import Identity
from aldgate.gate.principals.secret_checks import SecretChecks
from aldgate.storage import StoredAccount
from aldgate.store.stores import open_url

pytestmark = pytest.mark.anyio
NOON = 1_790_000_000.0
FILE: dict[str, Any] = {
    "client_id": "shop",
    "client_secret_hash": sha256(b"password").hexdigest(),
    "allowed_providers": ["groq", "openai"],
    "default_provider": "groq",
    "default_model": "mixtral-8x7b-32768",
    "max_tokens_limit": 2000,
    "rate_limit": {"requests_per_minute": 60, "tokens_per_day": 100000},
    "allowed_endpoints": ["generate", "clients/reload", "/v1/models*"],
    "created_at": "2025-03-16T20:00:00-04:00",
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, **changes: Any) -> Path:
        said = {field: value for field, value in {**FILE, **changes}.items() if value is not None}
        (tmp_path / name).write_text(json.dumps(said), encoding="utf-8")
        return tmp_path

    return write


def test_every_field_of_a_file_is_a_part_of_its_policy(write: Write) -> None:
    loaded = load(write("shop.json", expires_at="2027-01-01T00:00:00"), Loaded())
    shop = loaded.clients["shop"]
    assert shop.account.policy == Policy(
        providers=("groq", "openai"),
        endpoints=("/api/v1/generate", "/api/v1/clients/reload", "/v1/models*"),
        max_output_tokens=2000,
        limits=Limits(rpm=60, tpd=100_000),
        expires_at=1_798_761_600.0,
    )
    assert (shop.account.kind, shop.account.created_at) == ("client", 1_742_169_600.0)
    assert (shop.client.default_provider, shop.client.default_model) == ("groq", "mixtral-8x7b-32768")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client_secret_hash": None}, "client_secret_hash"),
        ({"client_secret_hash": "password"}, "aldgate clients hash-secret"),
        ({"allowed_providers": None}, "allowed_providers"),
        ({"allowed_endpoints": None}, "allowed_endpoints"),
        ({"allowed_provider": ["openai"]}, "allowed_provider"),
        ({"max_tokens_limit": 0}, "max_tokens_limit"),
        ({"rate_limit": {"requests_per_second": 1}}, "rate_limit"),
        ({"default_provider": "anthropic"}, "allowed_providers"),
        ({"client_id": "a b"}, "client_id"),
    ],
)
def test_a_file_that_restricts_in_words_unknown_is_not_used(write: Write, changes: dict[str, Any], reason: str) -> None:
    loaded = load(write("shop.json", **changes), Loaded())
    assert not loaded.clients and reason in loaded.failed["shop.json"]


def test_a_bad_file_leaves_its_client_as_it_was_and_all_others_alone(write: Write) -> None:
    write("other.json", client_id="other")
    before = load(write("shop.json"), Loaded())
    directory = write("other.json", client_id="other", max_tokens_limit=5)
    (directory / "shop.json").write_text("{", encoding="utf-8")
    (directory / "notes.txt").write_text("no client", encoding="utf-8")
    loaded = load(directory, before)
    assert loaded.clients["shop"] == before.clients["shop"] and set(loaded.failed) == {"shop.json"}
    assert loaded.clients["other"].account.policy.max_output_tokens == 5
    (directory / "shop.json").unlink()
    assert set(load(directory, loaded).clients) == {"other"}


def test_of_two_files_with_one_id_the_first_counts(write: Write) -> None:
    write("a.json", max_tokens_limit=1)
    loaded = load(write("b.json"), Loaded())
    assert loaded.clients["shop"].file == "a.json" and "a.json" in loaded.failed["b.json"]


def test_a_second_file_with_its_id_takes_nothing_from_a_client_that_was_there(write: Write) -> None:
    before = load(write("b.json"), Loaded())
    loaded = load(write("a.json", allowed_providers=["*"], default_provider=None), before)
    assert loaded.clients["shop"] == before.clients["shop"] and "b.json" in loaded.failed["a.json"]


def test_the_client_of_a_bad_file_does_not_come_back_where_another_has_its_id(write: Write) -> None:
    before = load(write("b.json"), Loaded())
    directory = write("a.json", max_tokens_limit=1)
    (directory / "b.json").write_text("{", encoding="utf-8")
    assert load(directory, before).clients["shop"].file == "a.json"


# against a store


@pytest.fixture
async def store(tmp_path: Path):
    store = open_url(f"sqlite:///{tmp_path}/aldgate.db", "one")
    await store.open()
    yield store
    await store.aclose()


def account(name: str = "app", **more: Any) -> StoredAccount:
    return StoredAccount(id=f"client-{name}", kind="client", name=name, created_at=NOON, **more)


def identity(clients: Clients, store: Any, now: float = NOON) -> Identity:
    return Identity(store, b"pepper", b"", lambda: now, (clients,))


async def test_a_client_of_the_database_is_its_account_under_all_above(store: Any) -> None:
    team = StoredAccount(id="team-1", kind="team", name="lab", policy=Policy(models=("a*",)), created_at=NOON)
    await store.add_account(team)
    secret = ClientSecret(hash_secret(b"pass"), NOON)
    mine = account(parent="team-1", policy=Policy(denied_models=("ab",)))
    await store.add_client(mine, StoredClient(mine.id, "groq", "mixtral", (secret,)))
    clients = Clients(store, SecretChecks(1), None, lambda: NOON)
    who = identity(clients, store)
    for name in (b"app", b"client-app"):
        principal = await who.identify(b"client\0" + name + b"\0pass")
        assert (principal.kind, principal.id, principal.client, principal.team) == ("client", mine.id, mine.id, "team-1")
        assert [level.kind for level in principal.levels] == ["team", "client"]
    assert await clients.defaults(mine.id) == ("groq", "mixtral")
    assert (await who.standing(mine.id)).levels == principal.levels
    for wrong in (b"app\0wrong", b"app\0", b"nobody\0pass", b"team-1\0pass", b"lab\0pass", b"\0"):
        with pytest.raises(UnknownKey, match="Invalid client credentials"):
            await who.identify(b"client\0" + wrong)


async def test_an_old_secret_ends_when_its_overlap_does(store: Any) -> None:
    old, new = ClientSecret(hash_secret(b"old"), NOON), ClientSecret(hash_secret(b"new"), NOON + 1)
    await store.add_client(account(), StoredClient("client-app", secrets=(old,)))
    await store.rotate_client_secret("client-app", new, NOON + 60)
    now = NOON + 59  # the lambdas below read it anew
    clients = Clients(store, SecretChecks(1), None, lambda: now)
    who = Identity(store, b"pepper", b"", lambda: now, (clients,))
    for secret in (b"old", b"new"):
        assert (await who.identify(b"client\0app\0" + secret)).id == "client-app"
    now = NOON + 60
    with pytest.raises(ExpiredKey):
        await who.identify(b"client\0app\0old")
    who.forget()
    with pytest.raises(UnknownKey):
        await who.identify(b"client\0app\0old")
    assert await who.identify(b"client\0app\0new")


async def test_what_was_begun_with_a_secret_is_refused_when_that_secret_ends(store: Any) -> None:
    old, new = ClientSecret(hash_secret(b"old"), NOON), ClientSecret(hash_secret(b"new"), NOON + 1)
    await store.add_client(account(), StoredClient("client-app", secrets=(old,)))
    who = identity(Clients(store, SecretChecks(1), None, lambda: NOON), store)
    begun = await who.identify(b"client\0app\0old")
    assert (await who.look_at(begun.id, begun.credential))[1] is None
    await store.rotate_client_secret("client-app", new, NOON)
    who.forget()
    refused = (await who.look_at(begun.id, begun.credential))[1]
    assert isinstance(refused, RevokedKey) and "works no longer" in refused.message
    fresh = await who.identify(b"client\0app\0new")
    for credential in (fresh.credential, b""):
        assert (await who.look_at(fresh.id, credential))[1] is None


async def test_a_disabled_client_or_one_under_a_disabled_team_is_refused(store: Any) -> None:
    team = StoredAccount(id="team-1", kind="team", name="lab", created_at=NOON)
    await store.add_account(team)
    await store.add_client(account(parent="team-1"), StoredClient("client-app", secrets=(ClientSecret("0" * 64, NOON),)))
    await store.rotate_client_secret("client-app", ClientSecret(sha256(b"pass").hexdigest(), NOON), NOON)
    clients = Clients(store, SecretChecks(1), None, lambda: NOON)
    who = identity(clients, store)
    assert await who.identify(b"client\0app\0pass")
    for shut in (account(parent="team-1", disabled_at=NOON), replace(team, disabled_at=NOON)):
        await store.save_account(shut)
        who.forget()
        with pytest.raises(RevokedKey, match="disabled"):
            await who.identify(b"client\0app\0pass")
        with pytest.raises(RevokedKey):
            await who.standing("client-app")
        await store.save_account(replace(shut, disabled_at=None))


async def test_a_client_in_a_file_goes_before_one_in_the_database(store: Any, write: Write) -> None:
    await store.add_client(account("shop"), StoredClient("client-shop", secrets=(ClientSecret("0" * 64, NOON),)))
    clients = Clients(store, SecretChecks(1), write("shop.json", expires_at="2027-01-01T00:00:00"), lambda: NOON)
    await clients.reload()
    who = identity(clients, store)
    principal = await who.identify(b"client\0shop\0password")
    assert (principal.id, principal.rights.max_output_tokens) == ("client-file:shop", 2000)
    assert (await who.standing(principal.id)).levels == principal.levels
    assert await clients.defaults(principal.id) == ("groq", "mixtral-8x7b-32768")
    with pytest.raises(ExpiredKey):
        await Identity(store, b"pepper", b"", lambda: 1.8e9, (clients,)).identify(b"client\0shop\0password")
    with pytest.raises(UnknownKey):
        await who.standing("client-file:nobody")


async def test_a_directory_that_is_gone_changes_nothing(store: Any, write: Write, tmp_path: Path) -> None:
    directory = tmp_path / "clients"
    directory.mkdir()
    (directory / "shop.json").write_bytes((write("shop.json") / "shop.json").read_bytes())
    clients = Clients(store, SecretChecks(1), directory)
    assert set((await clients.reload()).clients) == {"shop"}
    directory.rename(tmp_path / "elsewhere")
    with pytest.raises(InvalidConfiguration, match="client_config_dir"):
        await clients.reload()
    assert set(clients.files.clients) == {"shop"}


async def test_who_is_asked_to_reads_again_and_goes_on_after_a_failure(store: Any, write: Write, tmp_path: Path) -> None:
    directory = tmp_path / "clients"
    clients = Clients(store, SecretChecks(1), directory)
    told = asyncio.Event()
    running = asyncio.ensure_future(clients.run(told.set))
    clients.ask()
    await told.wait()
    assert not clients.files.clients
    directory.mkdir()
    (directory / "shop.json").write_bytes((write("shop.json") / "shop.json").read_bytes())
    told.clear()
    clients.ask()
    await told.wait()
    assert set(clients.files.clients) == {"shop"}
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
