import asyncio

import pytest

from aldgate.core.errors import Shedding
from aldgate.gate.principals.passwords import Passwords
from aldgate.gate.principals.passwords import _hasher as the_hasher_of_real_gates  # pyright: ignore[reportPrivateUsage]


async def test_a_password_is_its_hashs_and_no_others() -> None:
    passwords = Passwords()
    hashed = await passwords.hash("correct horse")
    assert hashed.startswith("$argon2id$") and "correct" not in hashed
    assert await passwords.verify("correct horse", hashed)
    assert not await passwords.verify("Correct horse", hashed)
    assert not await passwords.verify("\ud800", hashed)


def test_a_hash_costs_what_rfc_9106_asks_for() -> None:
    """Its second recommendation: https://www.rfc-editor.org/rfc/rfc9106#section-4."""
    assert the_hasher_of_real_gates().hash("correct horse").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_nobody_has_a_password_without_a_hash_or_with_a_broken_one() -> None:
    passwords = Passwords()
    for hashed in (None, "", "$argon2id$broken", "plain"):
        assert not await passwords.verify("guess", hashed)


async def test_more_than_may_wait_are_turned_away() -> None:
    passwords = Passwords(at_once=1, most_waiting=1)
    results = await asyncio.gather(*(passwords.verify("x", None) for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results] == [bool, bool, Shedding, Shedding]
    assert not await passwords.verify("x", None)
    with pytest.raises(Shedding):
        await asyncio.gather(*(passwords.hash("x") for _ in range(3)))
