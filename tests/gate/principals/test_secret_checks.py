import asyncio
import threading
from collections.abc import Iterator

import pytest

from aldgate.core.errors import Shedding
from aldgate.core.hashes import hash_secret
from aldgate.gate.principals import secret_checks
from aldgate.gate.principals.secret_checks import MOST_OF_ONE, MOST_WAITING, SecretChecks

pytestmark = pytest.mark.anyio
RIGHT, WRONG = b"right", b"wrong"


class Slow:
    """Stands in for argon2id: counts the checks, and ends none before it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.running = self.most = self.made = 0
        self.lock = threading.Lock()

    def matches(self, secret: bytes, hashed: str) -> bool:
        with self.lock:
            self.made += 1
            self.running += 1
            self.most = max(self.most, self.running)
        self.go.wait(10)
        with self.lock:
            self.running -= 1
        return hashed == "$" + secret.decode()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow()
    monkeypatch.setattr(secret_checks, "matches", slow.matches)
    yield slow
    slow.go.set()


async def test_the_hash_that_a_secret_is_of_is_found() -> None:
    checks, hashed = SecretChecks(1), hash_secret(RIGHT)
    assert await checks.match("a", RIGHT, ["0" * 64, hashed]) == hashed
    assert await checks.match("a", WRONG, ["0" * 64, hashed]) is None
    assert await checks.match("a", RIGHT, []) is None


async def test_a_secret_is_checked_slowly_once_and_guesses_at_it_never_again(slow: Slow) -> None:
    slow.go.set()
    checks = SecretChecks(1)
    assert await checks.match("a", RIGHT, ["$right"]) == "$right"
    for secret, found in ((RIGHT, "$right"), (WRONG, None)):
        assert await checks.match("a", secret, ["$right"]) == found
    assert slow.made == 1


async def test_few_are_checked_at_once_and_one_holder_cannot_take_all_places(slow: Slow) -> None:
    checks = SecretChecks(2)
    waiting = [asyncio.ensure_future(checks.match("a", b"%d" % n, ["$right"])) for n in range(MOST_OF_ONE)]
    await asyncio.sleep(0)
    with pytest.raises(Shedding):
        await checks.match("a", RIGHT, ["$right"])
    other = asyncio.ensure_future(checks.match("b", b"other", ["$other"]))
    await asyncio.sleep(0)
    slow.go.set()
    assert await asyncio.gather(*waiting) == [None] * MOST_OF_ONE and await other == "$other"
    assert slow.most <= 2
    assert await checks.match("a", RIGHT, ["$right"]) == "$right"


async def test_all_holders_together_are_bounded(slow: Slow) -> None:
    checks = SecretChecks(1)
    waiting = [asyncio.ensure_future(checks.match(str(n), WRONG, ["$right"])) for n in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Shedding):
        await checks.match("another", RIGHT, ["$right"])
    slow.go.set()
    assert await asyncio.gather(*waiting) == [None] * MOST_WAITING


async def test_callers_who_leave_make_no_room_for_more_checks(slow: Slow) -> None:
    checks = SecretChecks(1)
    for number in range(5):
        guess = asyncio.ensure_future(checks.match(str(number), WRONG, ["$right"]))
        await asyncio.sleep(0)
        guess.cancel()
        with pytest.raises(asyncio.CancelledError):
            await guess
    assert slow.made <= 1
    slow.go.set()
    assert await checks.match("a", RIGHT, ["$right"]) == "$right"
    assert slow.most == 1
