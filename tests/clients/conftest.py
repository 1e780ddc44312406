"""A gate and a fake provider that all tests of a module share, and the clients they call it with."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from aldgate.testing.upstream import FakeUpstream, Reply
from tests.clients.openai_python import Sdk
from tests.support import RunningGate, lab, running_gate

Connect = Callable[..., Awaitable[Sdk]]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def no_settings_from_outside() -> Any:
    """The SDKs read addresses, keys and proxies from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("OPENAI_", "SSL_CERT_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(provider: FakeUpstream) -> FakeUpstream:
    """The provider behind `lab/gpt-4.1`, as new."""
    provider.requests.clear()
    provider.reply = Reply()
    return provider


@pytest.fixture(scope="module")
async def gate(provider: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGate]:
    async with running_gate(tmp_path_factory.mktemp("gate"), providers={"lab": lab(provider.url)}) as running:
        yield running


@pytest.fixture(scope="module", params=["sync", "async"])
async def opened(request: pytest.FixtureRequest, gate: RunningGate) -> AsyncIterator[Sdk]:
    """A client of each kind: opening one reads all certificates of the system, so a module does it once."""
    sdk = Sdk.open(request.param, base_url=f"{gate.url}/v1", api_key="none")
    yield sdk
    await sdk.close()


@pytest.fixture
def connect(opened: Sdk, gate: RunningGate) -> Connect:
    """Makes clients; without a key they get a fresh one that may do everything a caller may."""

    async def make(api_key: str | None = None, **options: Any) -> Sdk:
        return opened.having(api_key=await gate.key() if api_key is None else api_key, **options)

    return make


@pytest.fixture
async def sdk(connect: Connect) -> Sdk:
    return await connect()
