"""Answers kept in memory for the same request of the same account, where the operator or the request asks for it.

`Cache-Control` is read as a cache would (RFC 9111, 5.2.1): `no-store`, `no-cache`, `max-age`, `only-if-cached`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import msgspec

from aldgate.core.calls import Admission, Peek
from aldgate.core.errors import InvalidRequest, NothingKept
from aldgate.core.principals import Operation
from aldgate.core.terms import parse_duration
from aldgate.gate.money.bounds import GENERATES
from aldgate.surfaces.calls.recorder import Recorder
from aldgate.surfaces.http.asgi import Headers

LARGEST_ANSWER_BYTES = 1_048_576
_ENTRY_BYTES, _PIECE_BYTES = 512, 64
"""What an answer and a piece of it take beside their text, roughly."""
_KEPT_HEADERS = frozenset(
    {b"content-type", b"content-length", b"cache-control", b"x-accel-buffering", b"x-aldgate-model", b"x-aldgate-warnings"}
)
_DIRECTIVE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9a-z-]+)(?:\s*=\s*\"?([^\",]*)\"?)?\s*")
_LONGEST_S = 30 * 86_400


class Kept(msgspec.Struct, frozen=True):
    """An answer. `at` and `until` by the cache's clock, in seconds."""

    headers: Headers
    pieces: tuple[bytes, ...]
    at: float
    until: float

    @property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        return _ENTRY_BYTES + sum(len(piece) + _PIECE_BYTES for piece in self.pieces)


class Terms(msgspec.Struct, frozen=True):
    """How one request wants to be cached.

    Attributes:
        asked: The request's body in one fixed spelling: the order of fields and the white space between them do not count.
        keep_s: How long its answer is kept.
        max_age_s: How old a kept answer may be.
        may_read: It may be answered by a kept answer.
        only_kept: It may be answered by nothing else.
    """

    asked: bytes
    keep_s: float
    max_age_s: float
    may_read: bool
    only_kept: bool = False


class Cache:
    """All kept answers of this process.

    Args:
        models: For how many seconds the answers of a model are kept, by the name that callers use.
        max_bytes: Memory for all; what was used least recently goes first.
        keeps_unset: `models` goes for requests that name no temperature, too.
        now: Monotonic seconds.
    """

    def __init__(
        self, models: Mapping[str, int], max_bytes: int, keeps_unset: bool = False, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.models = models
        self.max_bytes = max_bytes
        self.keeps_unset = keeps_unset
        self.bytes = 0
        self._now = now
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Future[None]] = {}

    def change(self, models: Mapping[str, int], max_bytes: int, keeps_unset: bool) -> None:
        """Go over to other settings. What was kept goes: it may come from what is no longer there."""
        self.models, self.max_bytes, self.keeps_unset = models, max_bytes, keeps_unset
        self._kept.clear()
        self.bytes = 0

    def terms(
        self, headers: Mapping[bytes, bytes], operation: Operation, peek: Peek, most_s: float | None = None
    ) -> Terms | None:
        """How the request wants to be cached; None: not at all.

        A request's own word beats the operator's; without one, what is answered by chance is not cached: a temperature above 0,
        or, unless `keeps_unset`, none, where one can be named. Nothing is kept for longer than `most_s`.

        Raises:
            InvalidRequest: The header is no length of time.
            NothingKept: Only a kept answer would do, and there can be none.
        """
        terms = self._terms(headers, operation, peek)
        if terms is None:
            check_may_be_made(headers)
        elif most_s is not None and most_s < terms.keep_s:
            return msgspec.structs.replace(terms, keep_s=most_s)
        return terms

    def _terms(self, headers: Mapping[bytes, bytes], operation: Operation, peek: Peek) -> Terms | None:
        control = _directives(headers.get(b"cache-control", b""))
        asked = headers.get(b"x-aldgate-cache", b"").decode("latin-1").strip().lower()
        if "no-store" in control or asked == "no":
            return None
        max_age = control.get("max-age", "")
        age_s = min(int(max_age), _LONGEST_S) if max_age.isascii() and max_age.isdigit() else None
        only_kept = "only-if-cached" in control
        keep_s = _length(asked) if asked else age_s or (0 if only_kept else None)
        is_explicit = keep_s is not None
        keep_s = self.models.get(peek.model) if keep_s is None else keep_s
        body = _decoded(peek.body) if keep_s is not None else None
        if keep_s is None or body is None or not (is_explicit or self._is_without_chance(operation, body)):
            return None
        asked_for = msgspec.json.encode(body, order="deterministic")
        max_age_s = _LONGEST_S if age_s is None else age_s
        return Terms(asked_for, keep_s, max_age_s, may_read="no-cache" not in control, only_kept=only_kept)

    def _is_without_chance(self, operation: Operation, body: Mapping[str, Any]) -> bool:
        heats = _heats(body)
        return not any(heat > 0 for heat in heats) and (bool(heats) or self.keeps_unset or operation not in GENERATES)

    async def find(self, key: bytes, terms: Terms) -> Kept | None:
        """The kept answer, waiting for one that is being made; None: it is to be made now, by whoever asked, under `making`."""
        while terms.may_read:
            kept = self._fresh(key, terms)
            making = self._under_way.get(key)
            if kept is not None or making is None:
                return kept
            await asyncio.shield(making)
        return None

    @contextmanager
    def making(self, key: bytes) -> Generator[None]:
        """Until this ends, others who ask for the same wait. It may fail: then the next of them makes it."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        is_first = self._under_way.setdefault(key, mine) is mine
        try:
            yield
        finally:
            if is_first:
                del self._under_way[key]
                mine.set_result(None)

    def keep(self, key: bytes, terms: Terms, answer: Recorder) -> None:
        """Keep a good answer, if it is complete and not too large."""
        if answer.status != 200 or not answer.is_complete or answer.is_too_large:
            return
        now = self._now()
        headers = [(name, value) for name, value in answer.headers if name in _KEPT_HEADERS]
        kept = Kept(headers, tuple(answer.pieces), now, now + terms.keep_s)
        self._drop(key)
        self._kept[key] = kept
        self.bytes += kept.size
        while self.bytes > self.max_bytes:
            self._drop(next(iter(self._kept)))

    def age_s(self, kept: Kept) -> int:
        """Whole seconds since the answer was made."""
        return int(self._now() - kept.at)

    def _fresh(self, key: bytes, terms: Terms) -> Kept | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        now = self._now()
        if now >= kept.until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept if now - kept.at <= terms.max_age_s else None

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.bytes -= kept.size


def check_may_be_made(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a request that wants a kept answer or none.

    Raises:
        NothingKept: It does.
    """
    if "only-if-cached" in _directives(headers.get(b"cache-control", b"")):
        raise nothing_kept()


def nothing_kept() -> NothingKept:
    """What `only-if-cached` gets where there is no kept answer."""
    return NothingKept("No answer to this request is kept, and `only-if-cached` asks for no other.")


def key_of(dialect: str, terms: Terms, admission: Admission) -> bytes:
    """What tells one request from another: the account, all that was asked and in which dialect, and who would answer."""
    call = admission.call
    peek = call.peek
    places = [deployment.id for deployment in admission.candidates]
    facts = [call.principal.account, dialect, call.operation, peek.model, peek.stream, places, admission.cap]
    return hashlib.sha256(msgspec.json.encode(facts) + b"\0" + peek.forward + b"\0" + terms.asked).digest()


def _directives(value: bytes) -> dict[str, str]:
    parts = (_DIRECTIVE.fullmatch(part) for part in value.decode("latin-1").lower().split(","))
    return {found[1]: found[2] or "" for found in parts if found is not None}


def _length(asked: str) -> int:
    try:
        return min(parse_duration(asked), _LONGEST_S)
    except ValueError as error:
        raise InvalidRequest(f"`x-aldgate-cache` is `no` or a length of time: {error}.", param="x-aldgate-cache") from None


def _decoded(body: bytes) -> dict[str, Any] | None:
    """None where a field that the gate does not read is malformed: whether it is the same as another, nobody knows."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _heats(body: Mapping[str, Any]) -> list[int | float]:
    """The temperatures that are asked for, in any dialect's place for one."""
    nested = (body.get(name) for name in ("generationConfig", "generation_config", "options"))
    places = [body, *(cast(Mapping[str, Any], place) for place in nested if isinstance(place, Mapping))]
    named = (place.get("temperature") for place in places)
    return [heat for heat in named if isinstance(heat, int | float)]
