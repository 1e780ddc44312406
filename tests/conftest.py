"""Fixtures the whole suite shares."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the gate does."""
    return "asyncio"
