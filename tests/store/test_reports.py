"""Sums, rows and statements out of the ledger, whichever database it is in."""

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from aldgate.core.budgets import period_name
from aldgate.core.calls import LedgerRow
from aldgate.core.dimensions import DIMENSIONS
from aldgate.core.levels import AccountKind
from aldgate.core.policies import ANYTHING
from aldgate.storage import Store, StoredAccount
from aldgate.surfaces.reports.statements import Subject, statement

from .rows import KEY, NOON, ROW, ask

COLUMNS = {"key": "account", "user": "user_id", "client": "client_id", "team": "team_id", "organisation": "organisation_id"}


def rows_of(seed: int, count: int = 300) -> list[LedgerRow]:
    """Rows from around the ends of months, weeks and years."""
    chance = random.Random(seed)
    edges = [datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)]
    return [
        replace(
            ROW,
            call_id=f"req-{number:04}",
            attempt=chance.choice((1, 2)),
            received_at=chance.choice(edges).timestamp() + chance.choice((0, -0.001, chance.uniform(-9e5, 9e5))),
            account=f"key-{chance.randrange(4)}",
            operation=chance.choice(("chat", "embed")),
            model=chance.choice(("lab/small", "lab/large", "other/small")),
            requested_model=chance.choice(("small", "fast")),
            provider=chance.choice(("lab", "other")),
            status=chance.choice((200, 429, 499)),
            error_code=chance.choice((None, "client_gone")),
            usage_source=chance.choice(("reported", "counted")),
            input_tokens=chance.randrange(10**6),
            output_tokens=chance.randrange(10**6),
            cost_microusd=chance.randrange(10**9),
            is_final=chance.random() < 0.8,
            organisation_id=chance.choice((None, "org-1")),
            team_id=chance.choice((None, "team-1", "team-2")),
            client_id=chance.choice((None, "client-1")),
            user_id=chance.choice((None, "user-1", "user-2")),
        )
        for number in range(count)
    ]


def value_of(row: LedgerRow, dimension: str) -> Any:
    if dimension in ("hour", "day", "week", "month"):
        return period_name(dimension, datetime.fromtimestamp(row.received_at, UTC))
    return getattr(row, COLUMNS.get(dimension, dimension))


@pytest.fixture
async def filled(store: Store) -> Store:
    await store.add_key(KEY, b"digest")
    await store.add_key(replace(KEY, id="key-2", name="=shop"), b"other")
    kinds: tuple[tuple[AccountKind, str], ...] = (("user", "user-1"), ("team", "team-1"))
    for kind, account in kinds:
        await store.add_account(StoredAccount(id=account, kind=kind, name="ann", policy=ANYTHING, created_at=NOON))
    await store.record(rows_of(1), [])
    return store


@pytest.mark.parametrize("dimension", DIMENSIONS)
async def test_every_dimension_sums_to_the_ledger(filled: Store, dimension: str):
    expected: Counter[Any] = Counter()
    for row in rows_of(1):
        expected[value_of(row, dimension)] += row.cost_microusd
    id_name = f"{dimension}_id" if dimension in COLUMNS else dimension
    rows = await filled.usage(group_by=(dimension,), account=None, since=None, until=None)
    assert {getattr(row, id_name): row.cost_microusd for row in rows} == dict(expected)
    (whole,) = await filled.usage(group_by=(), account=None, since=None, until=None)
    assert (whole.cost_microusd, whole.attempts) == (sum(expected.values()), 300)


@pytest.mark.parametrize("dimension", DIMENSIONS)
async def test_every_dimension_filters(filled: Store, dimension: str):
    wanted = next(value_of(row, dimension) for row in rows_of(1) if value_of(row, dimension) is not None)
    rows = [row for row in rows_of(1) if value_of(row, dimension) == wanted]
    (found,) = await filled.usage(group_by=(), account=None, since=None, until=None, where=((dimension, (str(wanted),)),))
    assert (found.attempts, found.cost_microusd) == (len(rows), sum(row.cost_microusd for row in rows))
    listed = await filled.ledger_rows(since=None, until=None, where=((dimension, (str(wanted),)),), limit=1000)
    assert listed == rows


async def test_names_stand_beside_ids_and_are_found_by(filled: Store):
    rows = await filled.usage(group_by=("user", "team", "key"), account=None, since=None, until=None)
    assert {(row.user_id, row.user) for row in rows} == {("user-1", "ann"), ("user-2", "user-2"), (None, None)}
    assert {(row.team_id, row.team) for row in rows} == {("team-1", "ann"), ("team-2", "team-2"), (None, None)}
    (ann,) = await filled.usage(group_by=("user",), account=None, since=None, until=None, where=(("user", ("ann",)),))
    assert ann.user_id == "user-1"
    (both,) = await filled.usage(
        group_by=(), account=None, since=None, until=None, where=(("user", ("ann",)), ("user_id", ("user-2",)))
    )
    assert both.attempts == 0


async def test_pages_of_sums_and_of_rows_are_the_whole(filled: Store):
    whole = await filled.usage(group_by=("day", "model"), account=None, since=None, until=None)
    pages = [
        row
        for offset in range(0, len(whole), 7)
        for row in await filled.usage(group_by=("day", "model"), account=None, since=None, until=None, limit=7, offset=offset)
    ]
    assert pages == whole
    found: list[LedgerRow] = []
    while page := await filled.ledger_rows(
        since=None, until=None, after=(found[-1].call_id, found[-1].attempt) if found else None, limit=41
    ):
        found += page
    assert found == rows_of(1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kind", "account"), [("key", "key-1"), ("user", "user-1"), ("organisation", "org-1")])
async def test_a_statement_adds_up_to_the_micro_dollar(store: Store, seed: int, kind: str, account: str):
    await store.record(rows_of(seed), [])
    for month in ("2026-10", "2026-11", "2026-12", "2027-01"):
        rows = [row for row in rows_of(seed) if value_of(row, kind) == account and value_of(row, "month") == month]
        made = await statement(store, Subject(account, kind, account), month)
        expected = sum(row.cost_microusd for row in rows)
        assert made.total.cost_microusd == expected
        for lines in (made.models, made.days):
            assert sum(line.cost_microusd for line in lines) == expected
            assert sum(line.prompt_tokens for line in lines) == sum(row.input_tokens for row in rows)
            assert sum(line.calls for line in lines) == sum(row.is_final for row in rows) == made.total.calls
        assert {line.name for line in made.days} == {value_of(row, "day") for row in rows}


async def test_what_is_booked_on_budgets_is_listed(store: Store):
    await store.refill("process", 1, [ask(limit=1_000, reported=300, minimum=0, maximum=0)])
    (row,) = await store.budget_rows("key-1")
    assert (row.period, row.limit_microusd, row.settled_microusd, row.presumed_microusd) == ("2026-09", 1_000, 300, 0)
    assert await store.budget_rows("nobody") == []
