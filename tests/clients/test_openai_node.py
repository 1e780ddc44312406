"""The openai package from npm against a running gate: `node/suite.mjs` in a process of its own."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trustme

from aldgate.testing.upstream import FakeUpstream, faults
from tests.clients import installing, running
from tests.support import RunningGate, lab, running_gate

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def node() -> str:
    """Where Node is, once the locked modules are installed beside the suite."""
    installing.node_modules(HERE)
    return installing.node()


PROVIDERS = {
    "lab": None,
    "down": faults.status(500),
    "breaking": faults.die_mid_stream(after=3),
    "silent": faults.hang_before_head(),
    "stumbling": None,
    "penniless": faults.quota_exhausted(),
}


@asynccontextmanager
async def house(data: Path, authority: trustme.CA | None) -> AsyncIterator[tuple[RunningGate, dict[str, FakeUpstream]]]:
    async with AsyncExitStack() as stack:
        upstreams = {name: await stack.enter_async_context(FakeUpstream(default=step)) for name, step in PROVIDERS.items()}
        upstreams["stumbling"].script(faults.status(500))
        tables = {name: lab(upstream.url) for name, upstream in upstreams.items()}
        yield await stack.enter_async_context(running_gate(data, providers=tables, authority=authority)), upstreams


async def keys(gate: RunningGate) -> dict[str, str]:
    revoked, expired = [(await gate.http.post("/admin/keys", json={"name": "old"})).json() for _ in range(2)]
    await gate.http.delete(f"/admin/keys/{revoked['id']}")
    await gate.http.post(f"/admin/keys/{expired['id']}/rotate", json={"overlap": "0s"})
    return {
        "unknown": "agk-nobody",
        "revoked": revoked["key"],
        "expired": expired["key"],
        "limited": await gate.key(rpm=6),
        "frugal": await gate.key(tpd=1),
        "embedding": await gate.key(scopes=["embed"]),
        "poor": await gate.key(budget="0.000001/total"),
    }


async def run(node: str, gate: RunningGate, *options: str, **environment: str) -> tuple[int, str]:
    named = {
        "OPENAI_BASE_URL": f"{gate.url}/v1",
        "OPENAI_API_KEY": await gate.key(),
        "ALDGATE_KEYS": json.dumps(await keys(gate)),
        **environment,
    }
    return await running.run(node, "--test-reporter=spec", *options, str(HERE / "suite.mjs"), **named)


async def test_the_suite(node: str, tmp_path: Path) -> None:
    async with house(tmp_path, None) as (gate, upstreams):
        code, output = await run(node, gate)
        assert code == 0, output
        asked = {name: len(upstream.requests) for name, upstream in upstreams.items() if name != "lab"}
        assert asked == {"down": 2, "breaking": 1, "silent": 1, "stumbling": 2, "penniless": 1}


async def test_answers_over_tls(node: str, tmp_path: Path) -> None:
    authority, bundle = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    async with house(tmp_path / "gate", authority) as (gate, _):
        code, output = await run(node, gate, "--test-name-pattern=answers", NODE_EXTRA_CA_CERTS=str(bundle))
        assert code == 0, output
        assert "\nℹ pass 0\n" not in output
