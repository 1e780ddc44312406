"""The chain that administrative acts are written into: what is hashed, and how a broken chain is told from a whole one.

A row's hash is SHA-256 over the hash before it (32 bytes) and the row's canonical form: a JSON array of its fields without
spaces, everything beyond ASCII escaped. Whoever has the rows can check them with a few lines of any language.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Literal

import msgspec

AuditOutcome = Literal["done", "refused"]
Fault = Literal["changed", "removed", "inserted", "reordered", "unlinked", "rewritten"]
CANDIDATES = 200
"""Rows at most for which the place is looked for that they came from."""
NOTHING_BEFORE = "0" * 64
"""What stands in the place of a hash before the first row."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An administrative act.

    Attributes:
        at_us: Unix time in microseconds.
        who: Id of the principal; `who_name` and `who_kind` as they were then.
        origin: Address of the other end of the connection.
        act: As in `key.create`; a method and a path where no handler said more.
        target: Id of what it was done to.
        details: JSON without secrets.
    """

    at_us: int
    who: str
    who_kind: str
    who_name: str
    origin: str
    act: str
    target: str
    outcome: AuditOutcome
    details: str


class AuditRow(AuditEntry, frozen=True, kw_only=True):
    """An act in its place: numbered from 1 without gaps."""

    seq: int
    previous: str
    hash: str


class Anchor(msgspec.Struct, frozen=True):
    """How far the chain had come: its last row's number and hash. Kept elsewhere, it proves that no past was rewritten."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


class Finding(msgspec.Struct, frozen=True):
    """Something that is wrong with a row."""

    seq: int
    what: Fault
    message: str


def canonical(entry: AuditEntry, seq: int) -> bytes:
    """What of a row is hashed."""
    fields = [seq, *(getattr(entry, name) for name in AuditEntry.__struct_fields__)]
    return json.dumps(fields, separators=(",", ":")).encode()


def chained(previous: str, entry: AuditEntry, seq: int) -> str:
    """The hash of a row that follows one with the hash `previous`."""
    return sha256(bytes.fromhex(previous) + canonical(entry, seq)).hexdigest()


def place(entry: AuditEntry, last: Anchor) -> AuditRow:
    """The entry as the row behind `last`."""
    seq = last.seq + 1
    return AuditRow(**msgspec.structs.asdict(entry), seq=seq, previous=last.hash, hash=chained(last.hash, entry, seq))


class Verifier:
    """Goes through all rows in the order of their numbers and says what is wrong.

    Args:
        anchors: Rows known from elsewhere; the head of the table is one of them.
    """

    def __init__(self, anchors: Iterable[Anchor] = ()) -> None:
        self._anchors = {anchor.seq: anchor for anchor in anchors}
        self._last = Anchor(0, NOTHING_BEFORE)
        self._odd: list[AuditRow] = []
        self._missing: list[int] = []
        self.findings: list[Finding] = []
        self.rows = 0

    def see(self, row: AuditRow) -> None:
        """The next row."""
        self.rows += 1
        if row.seq < 1:
            return self._found(row.seq, "inserted", f"row {row.seq} was put in: rows are numbered from 1")
        self._see_gap(row)
        is_sound = _is_sound(row, row.seq)
        if not is_sound:
            self._odd.append(row)
        elif row.seq == self._last.seq + 1 and row.previous != self._last.hash and not self._follows_odd(row):
            self._found(row.seq, "unlinked", f"row {row.seq} does not follow row {self._last.seq}: one of them was put in anew")
        anchor = self._anchors.pop(row.seq, None)
        if anchor is not None and is_sound and anchor.hash != row.hash:
            self._found(row.seq, "rewritten", f"row {row.seq} is not the one that was anchored: it or what is before it is new")
        self._last = Anchor(row.seq, row.hash)

    def finish(self, head: Anchor | None = None) -> list[Finding]:
        """What is wrong, in the order of the rows.

        Args:
            head: How far the table says it has come.
        """
        known = [anchor.seq for anchor in self._anchors.values() if anchor.seq > self._last.seq]
        end = max([*known, head.seq if head else 0])
        self._missing += range(self._last.seq + 1, min(end + 1, self._last.seq + CANDIDATES))
        for number, row in enumerate(self._odd):
            origin = self._moved(row) if number < CANDIDATES else None
            if origin is not None:
                self._found(row.seq, "reordered", f"row {row.seq} is the one that was written as row {origin}")
            else:
                self._found(row.seq, "changed", f"row {row.seq} was changed, or put in: its hash is not that of what it says")
        if end > self._last.seq:
            self._found(end, "removed", f"{_rows(self._last.seq + 1, end)} removed from the end")
        if head is not None and head.seq == self._last.seq and head.hash != self._last.hash:
            self._found(head.seq, "rewritten", f"row {head.seq} is not the last one that was written")
        if head is not None and head.seq < self._last.seq:
            self._found(self._last.seq, "inserted", f"{_rows(head.seq + 1, self._last.seq)} put in behind the last one written")
        return sorted(self.findings, key=lambda finding: finding.seq)

    def _see_gap(self, row: AuditRow) -> None:
        missing = row.seq - self._last.seq - 1
        if missing > 0:
            self._missing += range(self._last.seq + 1, min(row.seq, self._last.seq + CANDIDATES))
            self._found(row.seq - 1, "removed", f"{_rows(self._last.seq + 1, row.seq - 1)} removed")

    def _follows_odd(self, row: AuditRow) -> bool:
        """The break is at the row before, which has been found out already."""
        return bool(self._odd) and self._odd[-1].seq == row.seq - 1

    def _moved(self, row: AuditRow) -> int | None:
        places = (*self._missing[:CANDIDATES], *(other.seq for other in self._odd[:CANDIDATES] if other.seq != row.seq))
        return next((seq for seq in places if _is_sound(row, seq)), None)

    def _found(self, seq: int, what: Fault, message: str) -> None:
        self.findings.append(Finding(seq, what, message))


def _is_sound(row: AuditRow, seq: int) -> bool:
    try:
        return chained(row.previous, row, seq) == row.hash
    except ValueError:  # what stands there is no hash
        return False


def _rows(first: int, last: int) -> str:
    return f"row {first} was" if first == last else f"rows {first} to {last} were"
