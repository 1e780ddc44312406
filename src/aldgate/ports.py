"""Every protocol that something plugs into. Implementations live to the right; nothing here imports them."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from aldgate.books import AuditStore, ReportStore
from aldgate.core.batches import BatchLine, LineError, LineResult, Status, StoredBatch
from aldgate.core.calls import Attempt, Call, LedgerRow, Named, Peek
from aldgate.core.clients import ClientSecret, StoredClient
from aldgate.core.errors import GatewayError, UpstreamError
from aldgate.core.events import Event
from aldgate.core.files import StoredFile
from aldgate.core.guardrails.verdicts import Question, Verdict
from aldgate.core.kept import IdempotencyRecord, KeptResponse, SavedReply
from aldgate.core.levels import AccountKind, Level, LevelKind, Operation
from aldgate.core.operations import Request, Result
from aldgate.core.policies import ANYTHING, Policy
from aldgate.core.principals import Principal
from aldgate.core.routes import Deployment, Source
from aldgate.core.usage import Usage
from aldgate.sharing import BudgetAuthority, ProcessStore

Judge = Callable[[Call, Question], Awaitable[Verdict]]
"""Somebody else who judges texts for a guardrail. A `GatewayError` is no verdict."""
Sink = Callable[[bytes], Awaitable[None] | bool]
"""Takes a piece. True: go on. False: enough. Something to await: go on after that; meanwhile the upstream is slowed down."""


class Exchange(Protocol):
    """One upstream reply, from its head on. Whoever holds it must `close` it or read it to its end."""

    status: int

    def header(self, name: bytes) -> bytes | None:
        """The value of a reply header (`name` in lower case), or None."""
        ...

    async def read(self) -> bytes:
        """The whole body.

        Raises:
            UpstreamError: It is too large, broke off, went silent or is malformed.
        """
        ...

    async def next(self) -> bytes | None:
        """The next piece as the wire gave it, None at the end. Pulling slowly slows the upstream down.

        Raises:
            UpstreamError: As `read`.
        """
        ...

    async def pipe(self, sink: Sink) -> None:
        """Hand each piece to `sink` as soon as it comes, until the body ends or the sink has enough.

        Raises:
            UpstreamError: As `read`; so does what the sink raises.
        """
        ...

    def abort(self, error: GatewayError) -> None:
        """Stop at once: whoever waits in `read`, `next` or `pipe` gets `error`, and the upstream sees the close."""
        ...

    def finish(self) -> None:
        """Everything that matters has come: let the upstream end its reply in its own time, soon, and read no more of it."""
        ...

    def close(self) -> None:
        """Let go of the reply. Synchronous and safe to repeat; an unfinished reply closes its connection."""
        ...


class Relay(Protocol):
    """Takes what an upstream replies, gives what the caller gets, and follows what it costs. One per attempt."""

    @property
    def usage(self) -> Usage | None:
        """What the provider reported so far."""
        ...

    delivered: int
    """Output tokens passed on by our own count, for providers that report nothing and streams that are cut."""
    is_done: bool
    """The answer is complete."""
    failure: GatewayError | None
    """The error that followed what `feed` or `whole` returned last; to be raised once that is passed on."""

    def whole(self, body: bytes) -> bytes:
        """A whole reply as the caller gets it. `usage` and `delivered` tell its cost afterwards.

        Raises:
            UpstreamError: It is not a reply of its dialect, or an error in the dress of one.
        """
        ...

    def feed(self, piece: bytes) -> bytes:
        """Take a piece of a stream as the wire cut it; return whole events for the caller, or nothing yet.

        Raises:
            UpstreamError: The provider reported an error before anything was said, or sent what is no event.
        """
        ...

    def end(self) -> bytes:
        """The upstream's body is over: return what is still owed to the caller.

        Raises:
            UpstreamBroken: The answer was not complete.
        """
        ...


class Decoder(Protocol):
    """Reads one provider's stream. Pieces may be cut at any byte."""

    is_done: bool
    """The provider's last word has come (or its error); False for ever where only the end of the body says so."""

    def feed(self, piece: bytes) -> list[Event]:
        """The events that are complete now. An error that the provider reports is a `Failed`.

        Raises:
            UpstreamInvalid: It is not a stream of this dialect.
        """
        ...

    def end(self) -> list[Event]:
        """The body is over: what was held back, and `Finished` if that only now is known.

        Raises:
            UpstreamBroken: The answer was not complete.
        """
        ...


class Encoder(Protocol):
    """Writes one answer as a stream in a caller's dialect."""

    def feed(self, events: Sequence[Event]) -> bytes:
        """The wire form of `events`; empty while there is nothing to say. `Failed` is never fed: see `FaceDialect.failed`."""
        ...

    def end(self) -> bytes:
        """The clean end of the stream, after `Finished` and the last report of usage."""
        ...


class FaceDialect(Protocol):
    """A wire format that callers speak. Pure: no I/O, no state between calls."""

    name: str
    stream_type: bytes
    """Content type of a streamed answer."""

    def peek(self, operation: Operation, body: bytes, named: Named | None = None) -> Peek:
        """Read what the gate decides on. `named`: what the path or headers said, where the dialect says it there.

        Raises:
            InvalidRequest: Not a body of this dialect, or one that two parsers could read differently.
        """
        ...

    def parse(self, operation: Operation, peek: Peek) -> Request:
        """Read all of the request, to be sent on in another dialect.

        Raises:
            InvalidRequest: A field has a value that this dialect does not have.
        """
        ...

    def relay(self, call_id: str, operation: Operation, peek: Peek, upstream: object = None) -> Relay:
        """For a reply that comes in this very dialect. `upstream`: the dialect as its provider speaks it."""
        ...

    def encoder(self, call_id: str, peek: Peek, asked: Request) -> Encoder:
        """For a translated stream."""
        ...

    def write(self, call_id: str, peek: Peek, asked: Request, result: Result) -> bytes:
        """A translated whole answer."""
        ...

    def error(self, error: GatewayError, call_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """The error as status, headers (content type and length, retry advice, request id) and body."""
        ...

    def failed(self, error: GatewayError, call_id: str) -> bytes:
        """The last event of a stream that failed. No clean end follows it."""
        ...


class Memory(Protocol):
    """What the calls at one endpoint remember of each other."""

    async def filled(self, account: str, body: bytes) -> bytes:
        """The request with all it refers to.

        Raises:
            CallerError: It refers to what is not there, or asks for what this endpoint cannot do.
        """
        ...

    async def keep(self, principal: Principal, body: bytes, answer: bytes) -> None:
        """Keep the answer to the request, as it came, if its caller wants that."""
        ...


class Endpoint(msgspec.Struct, frozen=True):
    """What is spoken at a path, and the operation it asks for."""

    face: FaceDialect
    operation: Operation
    memory: Memory | None = None


class UpstreamDialect(Protocol):
    """A wire format that providers speak. Pure: no I/O, no state between calls.

    One object may be a `FaceDialect` too: where a caller's dialect has the name of the provider's, bytes pass through.
    """

    name: str
    stream_type: bytes
    """What the content type of a streamed reply must contain."""

    operations: frozenset[Operation]

    def outgoing(
        self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None, warnings: list[str]
    ) -> bytes:
        """The caller's own bytes, in this same dialect, with the model named as the provider names it.

        `cap`: output tokens per choice that the provider must be held to, as a budget needs; None leaves the caller's words.
        `warnings` takes the names of fields that are left out because the provider would refuse the request for them.
        """
        ...

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """The body of a translated request. What cannot be said but does no harm is named in `warnings`.

        Raises:
            InvalidRequest: It asks for what this dialect cannot say; `param` is the field in the caller's words.
        """
        ...

    def read(self, operation: Operation, body: bytes) -> Result:
        """A whole reply.

        Raises:
            UpstreamError: It is not one, or an error in the dress of one.
        """
        ...

    def decoder(self) -> Decoder:
        """For one streamed reply."""
        ...

    def read_error(self, status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
        """The error that a provider answered with, classed by who has to act on it.

        `retry_after_s`: what its headers say, 1 to 60; a dialect that says it in the body reads it there.
        """
        ...


class Backend(Protocol):
    """A provider or an engine: whatever runs an attempt."""

    name: str
    operations: frozenset[Operation]
    dialects: Mapping[str, UpstreamDialect]
    """What it speaks, by name, the one it is translated to first. Callers of any of these pass bytes through."""

    def start(self, attempt: Attempt) -> Awaitable[Exchange]:
        """Send the attempt and return when the reply's head has arrived.

        Raises:
            UpstreamUnreachable: No connection; nothing was sent.
            UpstreamError: Anything else before the head. The status of the reply is not judged here.
        """
        ...

    async def discover(self) -> Source:
        """Ask what models there are (for engines and listed providers: say so without asking).

        Raises:
            UpstreamError: It did not answer in the expected shape.
        """
        ...

    async def aclose(self) -> None:
        """Close what is idle; replies under way end first."""
        ...


class ByteBound(Protocol):
    """A bound on bytes that are held at once."""

    def take(self, count: int) -> None:
        """Hold `count` more bytes. Raises `Shedding` if they do not fit."""
        ...

    def release(self, count: int) -> None:
        """Let go of `count` bytes."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """A backend that counts the tokens of a Messages request without answering it, and for nothing."""

    async def count_tokens(self, body: bytes, forward: bytes) -> int:
        """Input tokens of `body`, which names the model as the provider does. `forward`: header lines that go with it.

        Raises:
            UpstreamError: It did not count.
        """
        ...


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


class Standing(msgspec.Struct):
    """What is known of a credential: whose it is, until when (Unix seconds), and why its calls are refused, if they are."""

    principal: Principal | None = None
    expires_at: float = float("inf")
    error: GatewayError | None = None
    is_renewed: bool = False
    """At its end it is looked up again instead of refused: it goes on as long as it is used."""


class Resolver(Protocol):
    """Knows the principals of one kind of credential that is not a key.

    Attributes:
        carrier: How it is carried: `client` (id, NUL and secret, from headers of their own), `session` (a cookie), or empty: as a
            key is. See `surfaces.credentials`.
    """

    carrier: bytes

    async def look_up(self, secret: bytes) -> Standing | None:
        """Whose it is; None: it is of another kind. The answer is cached until `Identity.forget`.

        Raises:
            StoreUnavailable: The database did not answer. This is never shown as a 401.
        """
        ...

    async def look_at(self, principal_id: str) -> tuple[Principal, GatewayError | None] | None:
        """The principal with this id, and why its calls are refused, if they are; None: it is of another kind."""
        ...


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
        """Those of `names` that no file and no unfinished batch has for its content."""
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

    async def take_batch(self, now: float, until: float) -> StoredBatch | None:
        """Take the oldest unfinished batch that no worker has until `until`. Lines whose calls were cut off wait again."""
        ...

    async def hold_batch(self, batch: StoredBatch, until: float) -> Status:
        """Keep it until then (0: let go of it)."""
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


class Acts(Protocol):
    """Is told of every administrative act, once it is done."""

    async def did(self, who: Principal, act: str, target: str, details: Mapping[str, Any]) -> None:
        """Take note of an act.

        Args:
            who: Did it.
            act: What, as in `key.create`, `team.edit`, `client.rotate`.
            target: Id of what it was done to.
            details: What was asked for, without secrets; made of what JSON has.
        """
        ...


class Store(FileStore, BatchStore, AccountStore, ClientStore, ProcessStore, BudgetAuthority, ReportStore, AuditStore, Protocol):
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

    async def hold_responses(self, names: Collection[tuple[str, str]], until: float) -> set[tuple[str, str]]:
        """Hold responses that are under way, by account and id, for so long; returns those that still are."""
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
