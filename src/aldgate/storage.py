"""What outlives the process, as whoever needs it sees it: keys, accounts, files, batches, money, and the whole store."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from aldgate.books import AuditStore, ReportStore
from aldgate.core.artifacts import StoredArtifact
from aldgate.core.batches import BatchLine, LineError, LineResult, Status, StoredBatch
from aldgate.core.calls import LedgerRow
from aldgate.core.clients import ClientSecret, StoredClient
from aldgate.core.files import StoredFile
from aldgate.core.kept import IdempotencyRecord, KeptResponse, SavedReply
from aldgate.core.levels import AccountKind, Level, LevelKind
from aldgate.core.policies import ANYTHING, Policy
from aldgate.queueing import JobStore, WebhookStore
from aldgate.residing import ResidencyStore
from aldgate.sharing import BudgetAuthority, ProcessStore


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept. Times in Unix seconds; the secret itself is nowhere."""

    id: str
    name: str
    prefix: str
    """The first characters of the newest secret, for people to recognise it by."""
    policy: Policy
    created_at: float
    owner: str | None = None
    """The account whose key it is; None: the gate's operator's."""
    made_by: str | None = None
    """Id of the principal that made it."""
    expires_at: float | None = None
    revoked_at: float | None = None


class StoredAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation, team, client or user as it is kept. Times in Unix seconds.

    Attributes:
        name: Unique among its kind.
        parent: The account above it: its policy holds here, too.
    """

    id: str
    kind: AccountKind
    name: str
    policy: Policy = ANYTHING
    parent: str | None = None
    created_at: float
    disabled_at: float | None = None

    @property
    def level(self) -> Level:
        """What it is in the chain that leads to a principal."""
        return Level(self.kind, self.id, self.name, self.policy)


class Credential(msgspec.Struct, frozen=True):
    """One secret of a key: its digest, and when it stops working (a rotation's overlap). None: with the key."""

    digest: bytes
    key: StoredKey
    expires_at: float | None = None
    above: tuple[StoredAccount, ...] = ()
    """The accounts that the key is under, the outermost first."""


class KeyUse(msgspec.Struct, frozen=True):
    """How a key was used so far, by the ledger."""

    calls: int
    last_used_at: float | None


class RecentUse(msgspec.Struct, frozen=True):
    """What an account used around one moment: rebuilds rate limits after a restart. `at` in Unix seconds."""

    at: float
    calls: int
    tokens: int


class SliceRequest(msgspec.Struct, frozen=True):
    """What a process asks of one budget.

    Attributes:
        account: Whose budget.
        period: Name of the calendar period, `core.budgets.period_name`.
        limit: The budget in micro-dollars.
        reported: All this process has spent of its grants so far; cumulative, so that a lost reply is not counted twice.
        give_back: Granted micro-dollars that nothing holds and the process no longer wants.
        minimum: Least to grant, or nothing at all; 0 only reports.
        maximum: Most to grant.
    """

    account: str
    period: str
    limit: int
    reported: int
    give_back: int
    minimum: int
    maximum: int


class SliceGrant(msgspec.Struct, frozen=True):
    """The answer to a `SliceRequest`: micro-dollars granted now (0 when the minimum did not fit), and what is free after it.

    `free` is below 0 after an overdraft or when a limit was lowered.
    """

    granted: int
    free: int


class FileStore(Protocol):
    """What is known of files. Nobody but their account is told of them."""

    async def add_file(self, file: StoredFile, quota_bytes: int) -> None:
        """Keep it, unless the account's files would come to more than `quota_bytes` with it: `StorageFull`."""
        ...

    async def get_file(self, account: str, file_id: str, now: float) -> StoredFile | None:
        """The account's file with this id; expired ones are gone."""
        ...

    async def list_files(
        self, account: str, now: float, *, purpose: str | None, after: StoredFile | None, limit: int, is_ascending: bool
    ) -> list[StoredFile]:
        """The account's files by age, those behind `after`, at most `limit`."""
        ...

    async def delete_file(self, account: str, file_id: str) -> bool:
        """Forget it; False if the account has no such file."""
        ...

    async def delete_expired_files(self, now: float) -> list[str]:
        """Forget some files that have expired, and return the names of their contents."""
        ...

    async def unused_contents(self, names: Sequence[str]) -> set[str]:
        """Those of `names` that no file, no artifact and no unfinished batch has for its content."""
        ...


class ArtifactRecords(Protocol):
    """What is known of artifacts."""

    async def add_artifact(self, artifact: StoredArtifact, quota_bytes: int | None) -> None:
        """Keep it, unless the account's artifacts would come to more than `quota_bytes` with it: `StorageFull`."""
        ...

    async def keep_made(self, artifact: StoredArtifact) -> StoredArtifact:
        """Keep what a job made, over any quota. Where the job has made the same before, that stands: it is returned."""
        ...

    async def check_artifact_room(self, account: str, quota_bytes: int) -> None:
        """Raise `StorageFull` if the account's artifacts come to `quota_bytes` or more."""
        ...

    async def get_artifact(self, artifact_id: str, now: float) -> StoredArtifact | None:
        """The artifact with this id, whoever's it is; expired ones that nothing holds are gone."""
        ...

    async def list_artifacts(self, account: str, now: float, *, after: StoredArtifact | None, limit: int) -> list[StoredArtifact]:
        """The account's artifacts, newest first, those behind `after`, at most `limit`."""
        ...

    async def delete_artifact(self, account: str, artifact_id: str) -> bool:
        """Forget it; False if the account has none. Raises `Conflict` while a job that is not over holds it."""
        ...

    async def delete_expired_artifacts(self, now: float) -> int:
        """Forget some that have expired and that nothing holds; returns how many."""
        ...

    async def hold_artifacts(self, holder: str, artifact_ids: Collection[str]) -> set[str]:
        """Keep them from being forgotten until `holder` lets go; returns those that are there."""
        ...

    async def release_artifacts(self, holder: str) -> None:
        """Let go of all that `holder` holds."""
        ...

    async def unused_contents(self, names: Sequence[str]) -> set[str]:
        """As `FileStore` has it."""
        ...


class BatchStore(Protocol):
    """Batches. What takes a `StoredBatch` is for the worker that took it, and raises `LeaseLost` once another has."""

    async def add_batch(self, batch: StoredBatch) -> None:
        """Keep a new one. Raises `Conflict` if the id is taken."""
        ...

    async def get_batch(self, account: str, batch_id: str) -> StoredBatch | None:
        """The account's batch with this id."""
        ...

    async def list_batches(self, account: str, *, after: StoredBatch | None, limit: int) -> list[StoredBatch]:
        """The account's batches, newest first, those behind `after`, at most `limit`."""
        ...

    async def count_unfinished_batches(self, account: str) -> int:
        """How many batches of the account are waiting or running."""
        ...

    async def cancel_batch(self, account: str, batch_id: str, at: float) -> StoredBatch | None:
        """Cancel it unless it has ended or is being cancelled. Returns it as it is then, None if there is none."""
        ...

    async def take_batch(self, lease_s: float) -> StoredBatch | None:
        """Take the oldest unfinished batch that no worker has, for so long. Lines whose calls were cut off wait again."""
        ...

    async def hold_batch(self, batch: StoredBatch, lease_s: float) -> Status:
        """Keep it for so long from now (0: let go of it)."""
        ...

    async def add_lines(self, batch: StoredBatch, lines: Sequence[BatchLine]) -> None:
        """Keep lines of its input; those already kept stay as they are."""
        ...

    async def start_batch(self, batch: StoredBatch, at: float, total: int, model: str | None) -> Status:
        """All its lines are kept: it is in progress, unless it was cancelled meanwhile."""
        ...

    async def waiting_lines(self, batch_id: str, after: int, limit: int) -> list[BatchLine]:
        """Lines behind line `after` that wait to be called, in order."""
        ...

    async def call_line(self, batch: StoredBatch, line: int, call_id: str) -> Status:
        """A call for the line is about to begin: if nothing more is heard of it, it was cut off."""
        ...

    async def put_line_back(self, batch: StoredBatch, line: int) -> Status:
        """Its call has ended, and another is to follow."""
        ...

    async def finish_line(self, batch: StoredBatch, result: LineResult) -> Status:
        """Keep what came of a line, and count it."""
        ...

    async def line_results(self, batch_id: str, after: int, limit: int) -> list[LineResult]:
        """What came of the lines behind line `after`, in order. Their usage is left out."""
        ...

    async def finalize_batch(self, batch: StoredBatch, at: float) -> Status:
        """All its lines have ended: its results are being written, unless it was cancelled meanwhile."""
        ...

    async def finish_batch(
        self,
        batch: StoredBatch,
        status: Status,
        at: float,
        results: Sequence[StoredFile] = (),
        errors: Sequence[LineError] = (),
        failed: int = 0,
    ) -> None:
        """End it, keep its output and error file (not those without content), and forget its lines, all at once.

        `failed`: lines that were never called.
        """
        ...


class AccountStore(Protocol):
    """Organisations, teams, clients and users."""

    async def add_account(self, account: StoredAccount) -> None:
        """Keep a new one. Raises `Conflict` if its id or name is taken, or there is no such parent."""
        ...

    async def save_account(self, account: StoredAccount) -> bool:
        """Put it in place of what is kept under its id; False if nothing is. Raises `Conflict` if its name is taken."""
        ...

    async def delete_account(self, account_id: str) -> bool:
        """Forget it; False if there is none. Raises `Conflict` while keys or accounts are under it."""
        ...

    async def find_account(self, kind: AccountKind, name: str) -> StoredAccount | None:
        """The account of this kind with this name."""
        ...

    async def list_accounts(self, kind: AccountKind | None = None) -> list[StoredAccount]:
        """All accounts, or all of one kind, by name."""
        ...

    async def lineage(self, account_id: str) -> tuple[StoredAccount, ...]:
        """The account with this id behind all that are above it, the outermost first; empty if there is none."""
        ...


class ClientStore(Protocol):
    """Clients that authenticate with an id and a secret. `delete_account` forgets them, too."""

    async def add_client(self, account: StoredAccount, client: StoredClient) -> None:
        """Keep a new one, its account with it. Raises `Conflict` as `add_account` does."""
        ...

    async def find_client(self, account_id: str) -> StoredClient | None:
        """The client with this account."""
        ...

    async def save_client(self, account: StoredAccount, client: StoredClient) -> bool:
        """Put both in place of what is kept, but for secrets; False if nothing is. Raises `Conflict` as `save_account` does."""
        ...

    async def rotate_client_secret(self, account_id: str, secret: ClientSecret, old_expire_at: float) -> bool:
        """Add a secret and let the older ones end at `old_expire_at`; False if there is no such client."""
        ...


class Store(
    FileStore,
    ArtifactRecords,
    BatchStore,
    JobStore,
    WebhookStore,
    ResidencyStore,
    AccountStore,
    ClientStore,
    ProcessStore,
    BudgetAuthority,
    ReportStore,
    AuditStore,
    Protocol,
):
    """Everything that outlives the process. Every method may raise `StoreUnavailable`."""

    async def open(self) -> None:
        """Connect, bring the schema up to date, and presume spent what lost processes held of any budget."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...

    async def ping(self) -> None:
        """Prove that the database answers."""
        ...

    async def secret(self, name: str, fresh: bytes) -> tuple[bytes, bool]:
        """The named secret of this installation, keeping `fresh` if there is none yet. Returns it and whether it was kept now."""
        ...

    async def add_key(self, key: StoredKey, digest: bytes) -> None:
        """Keep a new key with its first credential."""
        ...

    async def find_credential(self, digest: bytes) -> Credential | None:
        """The credential with this digest, revoked and expired ones included."""
        ...

    async def get_key(self, key_id: str) -> StoredKey | None:
        """The key with this id."""
        ...

    async def list_keys(self, owner: str | None = None) -> list[StoredKey]:
        """All keys, or all of an account, newest first, revoked and expired ones included."""
        ...

    async def key_uses(self) -> Mapping[str, KeyUse]:
        """Uses by key id, for keys that were used."""
        ...

    async def change_key(self, key: StoredKey) -> bool:
        """Put its name, policy and end in place of what is kept under its id; False if nothing is."""
        ...

    async def revoke_key(self, key_id: str, at: float) -> bool:
        """Revoke; False if there is no such key. Revoking twice keeps the first time."""
        ...

    async def rotate_key(self, key_id: str, digest: bytes, prefix: str, old_expire_at: float) -> bool:
        """Add a credential and let the older ones end at `old_expire_at`; False if there is no such key."""
        ...

    async def record(self, rows: Sequence[LedgerRow], reports: Sequence[SliceRequest]) -> None:
        """Append ledger rows and fold the processes' spending reports, in one transaction. A row already there is left alone."""
        ...

    async def recent_use(self, kind: LevelKind, account: str, since: float) -> list[RecentUse]:
        """What the account used since `since`, in steps of a second within the last minute and a minute before, oldest first."""
        ...

    async def refill(self, process: str, seq: int, requests: Sequence[SliceRequest]) -> list[SliceGrant]:
        """Grant a process slices of budgets, all or none, committed before this returns.

        A repeated `seq` of the same process is answered as before, so that a lost reply is not a second grant.
        """
        ...

    async def budget_free(self, process: str, account: str, period: str, limit: int, reported: int) -> int:
        """What is free of a budget once the process has reported what it spent, as in `SliceRequest`. Changes nothing."""
        ...

    async def begin_idempotent(
        self, principal: str, key: str, fingerprint: bytes, incarnation: str, now: float
    ) -> IdempotencyRecord | None:
        """Claim an idempotency key. None: it is ours now; else what the first call left. Records older than a day are gone."""
        ...

    async def finish_idempotent(self, principal: str, key: str, reply: SavedReply | None) -> None:
        """Keep the reply of a claimed key, or with None let the key go, so that it may be tried anew."""
        ...

    async def keep_response(self, account: str, kept: KeptResponse, events: bytes | None, quota_bytes: int) -> None:
        """Keep a response, in place of an earlier state of the same, with its events if it was streamed.

        `quota_bytes`: What the account's responses may come to; beyond it the oldest that nothing continues are removed.
        """
        ...

    async def end_response(self, account: str, kept: KeptResponse, events: bytes | None, quota_bytes: int) -> bool:
        """Keep what became of a response that was under way; as `keep_response`. False: it has ended otherwise or was deleted."""
        ...

    async def hold_responses(self, names: Collection[tuple[str, str]], lease_s: float) -> set[tuple[str, str]]:
        """Hold responses that are under way, by account and id, for so long from now; returns those that still are."""
        ...

    async def response_events(self, account: str, response_id: str) -> bytes | None:
        """The events that were kept with a response, if any."""
        ...

    async def find_response(self, account: str, response_id: str, now: float) -> KeptResponse | None:
        """The account's response with this id; None if it has none or it has expired."""
        ...

    async def response_chain(self, account: str, response_id: str, max_bytes: int) -> list[KeptResponse]:
        """The response and all that it continued, oldest first, expired ones included; empty if there is no such response.

        Raises:
            BodyTooLarge: They come to more than `max_bytes` together.
        """
        ...

    async def delete_response(self, account: str, response_id: str) -> bool:
        """Delete a response; False if there is none. What continued it can be continued no further."""
        ...
