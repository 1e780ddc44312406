"""Clients in a directory of JSON files: what each file says, as an account and its policy.

The fields are those of the DSP AI Gateway's client files, and every one of them is enforced.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from aldgate.core.clients import FILE_ID_PREFIX, ClientSecret, StoredClient
from aldgate.core.hashes import check_hash
from aldgate.core.limits import Limits
from aldgate.core.policies import Policy, matches
from aldgate.storage import StoredAccount

MOST_BYTES = 1_048_576
_BASE = "/api/v1/"
"""Where endpoints are that a file names without a slash in front: `generate`, `clients/reload`."""

Count = Annotated[int, Meta(ge=1, le=10**12)]


class RateLimit(msgspec.Struct, forbid_unknown_fields=True):
    """How much a client may call."""

    requests_per_minute: Count | None = None
    tokens_per_day: Count | None = None


class ClientFile(msgspec.Struct, forbid_unknown_fields=True):
    """One client, as its file has it. An unknown field is an error: a restriction that is misspelled must not be none."""

    client_id: Annotated[str, Meta(pattern=r"^[!-~]{1,200}$")]
    client_secret_hash: str
    allowed_providers: list[str]
    allowed_endpoints: list[str]
    name: str = ""
    default_provider: str = ""
    default_model: str = ""
    max_tokens_limit: Count | None = None
    rate_limit: RateLimit = msgspec.field(default_factory=RateLimit)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None


class FileClient(msgspec.Struct, frozen=True):
    """A client out of a file, and the file's name."""

    file: str
    account: StoredAccount
    client: StoredClient


class Loaded(msgspec.Struct, frozen=True):
    """A directory of files, read: clients by their ids, and by its name what is wrong with each file that could not be used."""

    clients: Mapping[str, FileClient] = {}
    failed: Mapping[str, str] = {}


def load(directory: Path, before: Loaded) -> Loaded:
    """Read every `*.json` in a directory. A client whose file cannot be used stays as it was `before`.

    Raises:
        OSError: The directory cannot be read.
    """
    read: list[FileClient] = []
    failed: dict[str, str] = {}
    for path in sorted(path for path in directory.iterdir() if path.suffix == ".json"):
        try:
            read.append(_read(path))
        except (OSError, ValueError, RecursionError) as error:
            failed[path.name] = _reason(error)
    found: dict[str, FileClient] = {}
    for client in sorted(read, key=lambda each: not _is_as_before(each, before)):
        other = found.setdefault(client.account.name, client)
        if other is not client:
            failed[client.file] = f"the client_id `{client.account.name}` is that of {other.file}"
    for client in before.clients.values():
        if client.file in failed:
            found.setdefault(client.account.name, client)
    return Loaded(found, failed)


def _is_as_before(client: FileClient, before: Loaded) -> bool:
    """Whether a client is in the file where it was: another one that says its id takes nothing from it."""
    known = before.clients.get(client.account.name)
    return known is not None and known.file == client.file


def _read(path: Path) -> FileClient:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    said = msgspec.json.decode(content, type=ClientFile)
    check_hash(said.client_secret_hash)
    if said.default_provider and not matches(said.default_provider, tuple(said.allowed_providers)):
        raise ValueError(f"its default_provider `{said.default_provider}` is not among its allowed_providers")
    created_at = _unix(said.created_at) or path.stat().st_mtime
    account_id = FILE_ID_PREFIX + said.client_id
    account = StoredAccount(id=account_id, kind="client", name=said.client_id, policy=policy_of(said), created_at=created_at)
    secret = ClientSecret(said.client_secret_hash, created_at)
    return FileClient(path.name, account, StoredClient(account_id, said.default_provider, said.default_model, (secret,)))


def policy_of(said: ClientFile) -> Policy:
    """What a file allows."""
    return Policy(
        providers=tuple(said.allowed_providers),
        endpoints=tuple(each if each.startswith(("/", "*")) else _BASE + each for each in said.allowed_endpoints),
        max_output_tokens=said.max_tokens_limit,
        limits=Limits(rpm=said.rate_limit.requests_per_minute, tpd=said.rate_limit.tokens_per_day),
        expires_at=_unix(said.expires_at),
    )


def _unix(at: datetime | None) -> float | None:
    return at and (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"it cannot be read: {error.strerror}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return str(error)
