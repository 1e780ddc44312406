"""What a face can say and not every provider: it arrives, is refused or is named, as `docs/translation.md` says."""

from __future__ import annotations

import pytest

from tests.contract.extras import EXTRAS
from tests.contract.house import House
from tests.contract.page import COLUMNS, PAGE, cells, differences, outcome
from tests.contract.providers import PROVIDERS

pytestmark = pytest.mark.anyio

CELLS = cells()
EVERY = [
    pytest.param(face, provider, name, id=f"{face}-{provider}-{name}")
    for face, extras in EXTRAS.items()
    for name in extras
    for provider in PROVIDERS
]


@pytest.mark.parametrize(("face", "provider", "name"), EVERY)
async def test_nothing_is_lost_in_silence(house: House, face: str, provider: str, name: str) -> None:
    became = await outcome(house, face, provider, name)
    if provider in COLUMNS:
        assert became == CELLS[face, provider, name], "run `python -m tests.contract.page`"


def test_the_page_speaks_of_no_field_that_is_not_tried() -> None:
    assert {(face, name) for face, _, name in CELLS} == {(face, name) for face, extras in EXTRAS.items() for name in extras}


def test_the_page_has_every_difference() -> None:
    assert "\n".join(differences()) in PAGE.read_text(encoding="utf-8"), "run `python -m tests.contract.page`"
