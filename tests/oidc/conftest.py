from collections.abc import AsyncIterator

import pytest

from aldgate.testing.issuer import FakeIssuer
from tests.oidc.asking import Clock


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as running:
        running.clients["console"] = "s/e:c ret"
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()
