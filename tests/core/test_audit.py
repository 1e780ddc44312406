from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from aldgate.core.audit import NOTHING_BEFORE, Anchor, AuditEntry, AuditRow, Finding, Verifier, chained, place

ENTRY = AuditEntry(
    at_us=1_790_000_000_000_000,
    who="admin",
    who_kind="admin",
    who_name="admin",
    origin="127.0.0.1",
    act="key.create",
    target="key-1",
    outcome="done",
    details='{"name":"app"}',
)


def chain(length: int) -> list[AuditRow]:
    rows: list[AuditRow] = []
    last = Anchor(0, NOTHING_BEFORE)
    for number in range(length):
        rows.append(place(replace(ENTRY, target=f"key-{number}"), last))
        last = Anchor(rows[-1].seq, rows[-1].hash)
    return rows


def findings(rows: list[AuditRow], head: Anchor | None, *anchors: Anchor) -> list[Finding]:
    verifier = Verifier(anchors)
    for row in sorted(rows, key=lambda row: row.seq):
        verifier.see(row)
    return verifier.finish(head)


def head_of(rows: list[AuditRow]) -> Anchor:
    return Anchor(rows[-1].seq, rows[-1].hash)


def rewritten(row: AuditRow, previous: str, seq: int) -> AuditRow:
    entry = AuditEntry(**{name: value for name, value in asdict(row).items() if name in AuditEntry.__struct_fields__})
    return AuditRow(**asdict(entry), seq=seq, previous=previous, hash=chained(previous, entry, seq))


@pytest.mark.parametrize("length", [0, 1, 2, 9])
def test_a_chain_as_it_was_written_is_whole(length: int) -> None:
    rows = chain(length)
    assert findings(rows, head_of(rows) if rows else None, *(Anchor(row.seq, row.hash) for row in rows)) == []


def test_the_first_row_can_be_checked_by_hand() -> None:
    (row,) = chain(1)
    text = b'[1,1790000000000000,"admin","admin","admin","127.0.0.1","key.create","key-0","done","{\\"name\\":\\"app\\"}"]'
    assert row.hash == sha256(bytes(32) + text).hexdigest()


@given(length=st.integers(1, 8), place=st.integers(0, 7), field=st.sampled_from(AuditEntry.__struct_fields__))
def test_any_changed_field_is_found_at_its_row(length: int, place: int, field: str) -> None:
    rows = chain(length)
    at = place % length
    value = getattr(rows[at], field)
    rows[at] = replace(rows[at], **{field: value + 1 if isinstance(value, int) else value + "x"})
    assert [(finding.seq, finding.what) for finding in findings(rows, head_of(rows))] == [(at + 1, "changed")]


def test_a_row_changed_together_with_its_hash_does_not_fit_the_next() -> None:
    rows = chain(4)
    head = head_of(rows)
    rows[1] = rewritten(replace(rows[1], who="nobody"), rows[0].hash, 2)
    assert [(finding.seq, finding.what) for finding in findings(rows, head)] == [(3, "unlinked")]


@given(length=st.integers(1, 8), start=st.integers(0, 7), count=st.integers(1, 8))
def test_removed_rows_are_named(length: int, start: int, count: int) -> None:
    rows = chain(length)
    head, start = head_of(rows), start % length
    left = rows[:start] + rows[start + count :]
    (finding,) = findings(left, head)
    assert finding.what == "removed"
    first, last = start + 1, min(start + count, length)
    said = f"row {first} was" if first == last else f"rows {first} to {last} were"
    assert finding.message.startswith(said)


def test_rows_that_changed_places_are_named() -> None:
    rows = chain(5)
    head = head_of(rows)
    rows[1], rows[3] = replace(rows[3], seq=2), replace(rows[1], seq=4)
    assert [finding.message for finding in findings(rows, head)] == [
        "row 2 is the one that was written as row 4",
        "row 4 is the one that was written as row 2",
    ]


def test_rows_moved_up_over_a_removed_one_are_found() -> None:
    rows = chain(5)
    head = head_of(rows)
    moved = [rows[0], *(replace(row, seq=row.seq - 1) for row in rows[2:])]
    found = findings(moved, head)
    assert [finding.what for finding in found] == ["reordered", "reordered", "reordered", "removed"]
    assert found[0].message == "row 2 is the one that was written as row 3"


@pytest.mark.parametrize(
    ("put_in", "seq"),
    [
        (lambda rows: rewritten(rows[0], rows[-1].hash, len(rows) + 1), 5),
        (lambda rows: rewritten(rows[0], NOTHING_BEFORE, 0), 0),
    ],
    ids=["behind the end", "before the beginning"],
)
def test_rows_put_in_are_named(put_in: Callable[[list[AuditRow]], AuditRow], seq: int) -> None:
    rows = chain(4)
    head = head_of(rows)
    assert [(finding.seq, finding.what) for finding in findings([*rows, put_in(rows)], head)] == [(seq, "inserted")]


def test_a_history_written_anew_is_found_by_an_anchor_alone() -> None:
    rows = chain(4)
    anchor = Anchor(2, rows[1].hash)
    last, anew = Anchor(0, NOTHING_BEFORE), list[AuditRow]()
    for row in rows:
        anew.append(place(replace(ENTRY, target=row.target, who="somebody"), last))
        last = Anchor(anew[-1].seq, anew[-1].hash)
    assert findings(anew, head_of(anew)) == []
    assert [(finding.seq, finding.what) for finding in findings(anew, head_of(anew), anchor)] == [(2, "rewritten")]
    assert [finding.what for finding in findings(anew, head_of(rows))] == ["rewritten"]
    assert [finding.what for finding in findings(rows[:1], head_of(rows[:1]), anchor)] == ["removed"]


def test_a_hash_that_is_none_is_a_change() -> None:
    rows = chain(2)
    rows[1] = replace(rows[1], previous="none")
    assert [finding.what for finding in findings(rows, head_of(rows))] == ["changed"]
