"""Who may not know of a model is not told of it by the answer to a name that is nearly its own."""

from pathlib import Path

import pytest

from aldgate.testing.upstream import FakeUpstream
from tests.support import lab, running_gate

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/explain", "/v1/messages"])
async def test_near_names_are_told_to_those_who_may_use_all(tmp_path: Path, path: str) -> None:
    async with FakeUpstream() as upstream, running_gate(tmp_path, providers={"lab": lab(upstream.url)}) as gate:
        free = await gate.key()
        made = await gate.http.post("/admin/keys", json={"name": "held", "policy": {"providers": ["builtin"]}})
        assert made.status_code == 201, made.text
        for key, is_told in ((free, True), (made.json()["key"], False)):
            body = {"model": "gpt-4.1x", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
            reply = await gate.http.post(path, json=body, headers={"authorization": f"Bearer {key}"})
            assert ("lab/gpt-4.1" in reply.text) is is_told, reply.text
