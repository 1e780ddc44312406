"""Every protocol that something plugs into. Implementations live to the right; nothing here imports them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from aldgate.core.calls import Attempt, Call, Named, Peek
from aldgate.core.errors import GatewayError, UpstreamError
from aldgate.core.events import Event
from aldgate.core.guardrails.verdicts import Question, Verdict
from aldgate.core.levels import Operation
from aldgate.core.operations import Request, Result
from aldgate.core.principals import Principal
from aldgate.core.routes import Deployment, Source
from aldgate.core.usage import Usage

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
            key is. See `surfaces.http.credentials`.
    """

    carrier: bytes

    async def look_up(self, secret: bytes) -> Standing | None:
        """Whose it is; None: it is of another kind. The answer is cached until `Identity.forget`.

        Raises:
            StoreUnavailable: The database did not answer. This is never shown as a 401.
        """
        ...

    async def look_at(self, principal_id: str, credential: bytes = b"") -> tuple[Principal, GatewayError | None] | None:
        """The principal with this id, and why its calls are refused, if they are; None: it is of another kind.

        `credential`: As a principal has it that was looked up; then calls are refused as well if that one is good no longer.
        """
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


class Upload(Protocol):
    """A content that is being written. Whoever began it must `commit` or `abort` it."""

    @property
    def size(self) -> int:
        """Bytes so far."""
        ...

    async def write(self, piece: bytes) -> None:
        """Append a piece.

        Raises:
            StoreUnavailable: It was not taken.
        """
        ...

    async def commit(self) -> str:
        """Keep it for good, as new as if nobody had had it before, and return its SHA-256 in hex.

        Raises:
            StoreUnavailable: It was not kept.
        """
        ...

    def abort(self) -> None:
        """Forget it. Harmless after `commit`."""
        ...


class ArtifactStore(Protocol):
    """Contents by their SHA-256. A name never stands for half a content. Every method may raise `StoreUnavailable`."""

    async def begin(self) -> Upload:
        """Start to write one."""
        ...

    async def has(self, sha256: str) -> bool:
        """Whether it is there."""
        ...

    def read(self, sha256: str, start: int, length: int) -> AsyncIterator[bytes]:
        """`length` of its bytes, from `start` on; there are as many. What is not there is `StoreUnavailable`."""
        ...

    async def delete(self, sha256: str) -> None:
        """Remove it; it may be gone already."""
        ...

    def names(self, older_than_s: float) -> AsyncIterator[str]:
        """Those last written so long ago. Removes what began to be written then and was never finished."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
