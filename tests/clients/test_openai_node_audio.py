"""The openai package from npm against a running gate: `node/audio.mjs` in a process of its own."""

from pathlib import Path

import pytest

from aldgate.testing.engines.noises import wav
from tests.clients import installing, running
from tests.clients.engines import house_of_engines

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent / "node"


async def test_the_suite(tmp_path: Path) -> None:
    installing.node_modules(HERE)
    recording = tmp_path / "said.wav"
    recording.write_bytes(wav(1.0))
    async with house_of_engines(tmp_path / "gate") as gate:
        named = {"OPENAI_BASE_URL": f"{gate.url}/v1", "OPENAI_API_KEY": await gate.key()}
        suite = ("--test-reporter=spec", str(HERE / "audio.mjs"))
        code, output = await running.run(installing.node(), *suite, **named, ALDGATE_RECORDING=str(recording))
        assert code == 0, output
