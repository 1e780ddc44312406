"""Limits of a route's name, which all callers share."""

from pathlib import Path

import pytest

from aldgate.testing.upstream import FakeUpstream
from tests.support import lab, running_gate

pytestmark = pytest.mark.anyio
ROUTE = """
[routes.fast]
deployments = ["lab/gpt-4.1"]
rpm = 2
"""


async def test_a_names_limit_is_of_all_who_ask_for_it_and_of_nobody_else(tmp_path: Path) -> None:
    async with FakeUpstream() as upstream, running_gate(tmp_path, providers={"lab": lab(upstream.url)}, config=ROUTE) as gate:
        keys = [await gate.key(), await gate.key(rpm=100), await gate.key(budget="1.00/day")]

        async def ask(key: str, model: str) -> tuple[int, str]:
            body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
            reply = await gate.http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
            return reply.status_code, reply.text

        assert [(await ask(key, "fast"))[0] for key in keys[:2]] == [200, 200]
        for key in keys:
            status, text = await ask(key, "fast")
            assert status == 429 and "2 requests per minute of the model `fast`" in text
            assert (await ask(key, "lab/gpt-4.1"))[0] == 200
