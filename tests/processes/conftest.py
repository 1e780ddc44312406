"""One loop per module, so that many tests can ask gates that take their time to start."""

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Async tests run on asyncio, as the gate does."""
    return "asyncio"
