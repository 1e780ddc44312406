"""openai-python over HTTPS, to a gate that reaches its provider over HTTPS; one private authority vouches for both."""

import ssl
from pathlib import Path
from typing import Any

import openai
import pytest
import trustme

from aldgate.testing.upstream import FakeUpstream
from tests.clients.openai_python import Sdk
from tests.support import lab, running_gate

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_calls_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    authority, bundle = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with (
        FakeUpstream(context) as upstream,
        running_gate(tmp_path / "gate", providers={"lab": lab(upstream.url, ca_bundle=str(bundle))}, authority=authority) as gate,
    ):
        assert gate.url.startswith("https://")
        key = await gate.key()
        asked: dict[str, Any] = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}
        stranger = Sdk.open(kind, base_url=f"{gate.url}/v1", api_key=key, max_retries=0)
        with pytest.raises(openai.APIConnectionError):  # the gate's certificate is not one that everybody trusts
            await stranger.call(lambda client: client.chat.completions.create(**asked))
        await stranger.close()

        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        sdk = Sdk.open(kind, base_url=f"{gate.url}/v1", api_key=key)
        answer = await sdk.call(lambda client: client.chat.completions.create(**asked))
        assert answer.choices[0].message.content == "Hello from the fake upstream."
        chunks = await sdk.stream(lambda client: client.chat.completions.create(**asked, stream=True))
        assert chunks[-1].choices[0].finish_reason == "stop"
        await sdk.close()
