"""One loop per module, so that many tests can ask one gate."""

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Async tests run on asyncio, as the gate does."""
    return "asyncio"
