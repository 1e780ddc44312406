"""What lost processes had of budgets, and who is told that budgets are being spent: the same on every database."""

import asyncio

import pytest

from aldgate.core.alerts import Alert
from aldgate.sharing import BudgetStanding, LostSlice
from aldgate.storage import Store
from aldgate.store.stores import open_url

from .rows import ask

pytestmark = pytest.mark.anyio
ACCOUNT, PERIOD = ask().account, ask().period


async def standing(store: Store) -> BudgetStanding:
    (found,) = await store.budget_standings(ACCOUNT, is_lost=False, limit=10)
    return found


@pytest.fixture
async def bereaved(store: Store) -> Store:
    """A budget of 1,000: 100 settled, 300 of its slice left with this process, 350 with one that is gone."""
    await store.beat()
    await store.refill("this-process", 1, [ask(limit=1_000, minimum=300, maximum=300)])
    await store.refill("gone", 1, [ask(limit=1_000, minimum=450, maximum=450)])
    await store.refill("gone", 2, [ask(limit=1_000, reported=100)])
    return store


async def test_an_operator_sees_where_the_money_is(bereaved: Store) -> None:
    expected = BudgetStanding(ACCOUNT, PERIOD, 1_000, 100, 300, (LostSlice("gone", 350, None),), 0)
    assert await standing(bereaved) == expected
    assert expected.presumed_spent == 350
    assert await bereaved.budget_standings(None, is_lost=True, limit=10) == [expected]
    assert await bereaved.budget_standings("key-nobody", is_lost=False, limit=10) == []


async def test_what_a_lost_process_had_counts_until_it_is_released(bereaved: Store) -> None:
    (refused,) = await bereaved.refill("this-process", 2, [ask(limit=1_000, minimum=300, maximum=300)])
    assert (refused.granted, refused.free) == (0, 250)
    assert await bereaved.release_lost(ACCOUNT, PERIOD, None) == 350
    assert await bereaved.release_lost(ACCOUNT, PERIOD, None) == 0
    assert await bereaved.budget_standings(None, is_lost=True, limit=10) == []
    (granted,) = await bereaved.refill("this-process", 3, [ask(limit=1_000, minimum=600, maximum=600)])
    assert (granted.granted, granted.free) == (600, 0)


async def test_only_what_was_named_is_released(bereaved: Store) -> None:
    assert await bereaved.release_lost("key-nobody", None, None) == 0
    assert await bereaved.release_lost(None, "another period", None) == 0
    assert await bereaved.release_lost(None, None, "another process") == 0
    assert await bereaved.release_lost(None, None, "this-process") == 0, "it is alive"
    assert (await standing(bereaved)).presumed_spent == 350
    assert await bereaved.release_lost(None, None, "gone") == 350


async def test_a_late_report_returns_what_was_presumed(bereaved: Store) -> None:
    await bereaved.refill("gone", 3, [ask(limit=1_000, reported=150, give_back=300)])
    found = await standing(bereaved)
    assert (found.settled, found.presumed_spent) == (150, 0)
    assert await bereaved.budget_free("this-process", ACCOUNT, PERIOD, 1_000, 0) == 1_000 - 150 - 300


async def test_a_late_report_after_the_release_is_an_overdraft_that_shows(bereaved: Store) -> None:
    await bereaved.release_lost(None, None, None)
    await bereaved.refill("this-process", 2, [ask(limit=1_000, minimum=600, maximum=600)])
    (late,) = await bereaved.refill("gone", 3, [ask(limit=1_000, reported=400)])
    assert late.free == -300
    found = await standing(bereaved)
    assert (found.settled, found.outstanding, found.presumed_spent) == (400, 900, 0)
    (again,) = await bereaved.refill("gone", 4, [ask(limit=1_000, reported=400)])
    assert again.free == -300


async def test_an_embedded_database_presumes_what_the_process_before_had(sqlite_url: str) -> None:
    before = open_url(sqlite_url, "before")
    await before.open()
    await before.refill("before", 1, [ask(limit=1_000, minimum=400, maximum=400)])
    await before.aclose()
    store = open_url(sqlite_url, "after")
    await store.open()
    assert (await standing(store)).presumed == 400
    assert await store.release_lost(None, None, None) == 400
    assert (await standing(store)).presumed == 0
    await store.aclose()


async def test_each_alert_is_had_once_whoever_asks(store: Store) -> None:
    await store.refill("one", 1, [ask(limit=1_000, minimum=900, maximum=900)])
    names, percents = [(ACCOUNT, PERIOD), ("key-nobody", PERIOD)], (50, 80, 100)
    assert await store.claim_alerts(names, percents, 1.0) == []
    await store.refill("one", 2, [ask(limit=1_000, reported=850)])
    asked = await asyncio.gather(*(store.claim_alerts(names, percents, 2.0) for _ in range(4)))
    had = sorted((alert for each in asked for alert in each), key=lambda alert: alert.percent)
    assert had == [Alert(ACCOUNT, PERIOD, percent, 1_000, 850, 2.0) for percent in (50, 80)]
    await store.refill("one", 3, [ask(limit=1_000, reported=1_100)])
    assert [alert.percent for alert in await store.claim_alerts(names, percents, 3.0)] == [100]
    assert await store.claim_alerts([], percents, 4.0) == []
