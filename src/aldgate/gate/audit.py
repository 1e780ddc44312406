"""The audit log as the gate writes it: who did what, from where, without secrets, before the answer says that it is done."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, cast

import msgspec

from aldgate.books import AuditStore
from aldgate.core.audit import Anchor, AuditEntry, AuditOutcome, Finding, Verifier
from aldgate.core.principals import Principal

log = logging.getLogger("aldgate.audit")

PAGE = 2_000
MOST_DETAILS = 8_192
"""Characters of the details of one act; longer ones are left out, and their names are kept."""
_SECRET = re.compile(
    r"(^|_)(secrets?|passwords?|passphrase|tokens?|api_?keys?|private_?keys?|authorization|cookie|credentials?)$", re.I
)
_CREDENTIAL = re.compile(r"\b(ag[ks]-|sk-)[\w-]{8,}")
_COUNTS = re.compile(r"^(max_|min_|input_|output_|cached_|total_)")


class Doing(msgspec.Struct):
    """An administrative request under way.

    Attributes:
        origin: Address of the other end.
        is_noted: A row was written for it.
    """

    origin: str
    is_noted: bool = False


DOING: ContextVar[Doing | None] = ContextVar("doing", default=None)


class Audit:
    """The one writer of the audit log. Implements what others call `Acts`.

    Args:
        store: Where rows go.
        now: Gives Unix seconds.
    """

    def __init__(self, store: AuditStore, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    async def did(self, who: Principal, act: str, target: str, details: Mapping[str, Any]) -> None:
        """Note an act that is done; committed when this returns.

        Args:
            who: Did it.
            act: What, as in `key.create`.
            target: Id of what it was done to.
            details: What was asked for; made of what JSON has. What looks like a secret is struck out all the same.

        Raises:
            StoreUnavailable: It could not be written, so the act must not be reported as done.
        """
        await self._note(who, act, target, details, "done")

    async def refused(self, who: Principal, act: str, target: str, details: Mapping[str, Any]) -> None:
        """Note an act that was tried in vain. As `did`."""
        await self._note(who, act, target, details, "refused")

    async def verify(self, anchors: Sequence[Anchor] = ()) -> tuple[list[Finding], int, Anchor | None]:
        """Go through the whole log: what is wrong, how many rows there are, and how far it has come.

        Args:
            anchors: Ends of the chain as they were written down elsewhere.
        """
        begun_at = await self._store.audit_head()
        verifier = Verifier([*anchors, *([begun_at] if begun_at else [])])
        last, head = -(2**62), begun_at
        while True:
            rows = await self._store.audit_rows(where={}, after=last, limit=PAGE)
            for row in rows:
                verifier.see(row)
                last = row.seq
            if rows:
                continue
            head = await self._store.audit_head()  # read after the rows: whatever was added by then is in it
            if head is None or head.seq <= last or not await self._store.audit_rows(where={}, after=last, limit=1):
                return verifier.finish(head), verifier.rows, head

    async def _note(self, who: Principal, act: str, target: str, details: Mapping[str, Any], outcome: AuditOutcome) -> None:
        doing = DOING.get()
        entry = AuditEntry(
            at_us=int(self._now() * 1_000_000),
            who=_text(who.id),
            who_kind=who.kind,
            who_name=_text(who.name),
            origin=doing.origin if doing is not None else "",
            act=_text(act),
            target=without_credentials(_text(target)),
            outcome=outcome,
            details=written(details),
        )
        row = await self._store.add_audit(entry)
        if doing is not None:
            doing.is_noted = True
        log.info("act", extra={"seq": row.seq, "principal": row.who, "act": row.act, "target": row.target, "outcome": outcome})


def written(details: Mapping[str, Any]) -> str:
    """Details as JSON, bounded, with what looks like a secret struck out."""
    text = json.dumps(_without_secrets(details), separators=(",", ":"), sort_keys=True, default=str)
    if len(text) <= MOST_DETAILS:
        return text
    return json.dumps({"left_out": sorted(map(str, details))[:100]}, separators=(",", ":"))[:MOST_DETAILS]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        members = cast(Mapping[Any, Any], value).items()
        return {
            str(name): "***" if isinstance(each, str) and each and is_secret(str(name)) else _without_secrets(each)
            for name, each in members
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_secrets(each) for each in cast(Sequence[Any], value)]
    return value


def is_secret(name: str) -> bool:
    """Whether what has this name is a secret if it is text."""
    return _SECRET.search(name) is not None and _COUNTS.match(name) is None


def without_credentials(text: str) -> str:
    """`text` with what looks like a key or the token of a session cut: people put one where its id belongs."""
    return _CREDENTIAL.sub(r"\1...", text)


def _text(value: str) -> str:
    """What every database holds."""
    return value.encode(errors="replace").decode().replace("\0", "?")[:500]
