import asyncio
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.config.settings import Upstream
from aldgate.core.calls import Attempt
from aldgate.core.errors import GatewayError, UpstreamAuth, UpstreamBroken, UpstreamInvalid
from aldgate.core.prices import FREE
from aldgate.core.principals import Operation
from aldgate.providers.bedrock.backend import Bedrock
from aldgate.providers.held import HeldReply
from aldgate.providers.section import Surroundings, build_provider
from aldgate.testing.upstream import FakeUpstream, Step, converse, wire

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1"}
HELLO = b'{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}'
ARN = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123"


def build(environment: dict[str, str] | None = None, origin: Any = "file", **table: Any) -> Bedrock:
    surroundings = Surroundings(Upstream(), 1_000_000, MappingProxyType(ENVIRONMENT if environment is None else environment))
    provider = build_provider("bedrock", table, origin, surroundings)
    assert isinstance(provider, Bedrock)
    return provider


def attempt(provider: Bedrock, operation: Operation = "chat", body: bytes = HELLO, *, stream: bool = False) -> Attempt:
    deployment = provider.unlisted().deployments[0]
    return Attempt("req-1", operation, deployment, body, stream, "converse", b"anthropic-beta: mcp-servers-2025-12-04\r\n")


@pytest.mark.parametrize(("stream", "verb"), [(False, "converse"), (True, "converse-stream")])
@pytest.mark.anyio
async def test_a_call_is_signed_and_names_the_model_in_its_path(stream: bool, verb: str) -> None:
    async with FakeUpstream() as upstream:
        provider = build(base_url=upstream.url, models=[ARN])
        exchange = await provider.start(attempt(provider, stream=stream))
        assert exchange.status == 200 and await exchange.read()
        (seen,) = upstream.requests
        assert seen.path == f"/v1/model/{ARN.replace(':', '%3A').replace('/', '%2F')}/{verb}"
        assert seen.body == HELLO and seen.header("content-type") == "application/json"
        authorization = seen.header("authorization") or ""
        assert (
            authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
            and "/eu-west-1/bedrock/aws4_request" in authorization
        )
        assert seen.header("x-amz-date") and seen.header("x-amz-security-token") is None
        assert seen.header("anthropic-beta") is None, "what Bedrock does not know it refuses; its betas stand in the body"
        await provider.aclose()


@pytest.mark.anyio
async def test_a_bedrock_key_is_sent_as_it_is_and_signs_nothing() -> None:
    async with FakeUpstream() as upstream:
        environment = {"KEY": "bedrock-api-key-abc", "AWS_REGION": "eu-west-1"}
        provider = build(environment, base_url=upstream.url, api_key="env:KEY", models=["m"])
        await (await provider.start(attempt(provider))).read()
        assert upstream.requests[0].header("authorization") == "Bearer bedrock-api-key-abc"
        assert upstream.requests[0].header("x-amz-date") is None
        await provider.aclose()


def test_hosts_are_the_regions() -> None:
    provider = build(region="us-west-2")
    assert [pool.origin.host for pool in provider.pools] == [
        "bedrock-runtime.us-west-2.amazonaws.com",
        "bedrock.us-west-2.amazonaws.com",
    ]
    assert provider.unlisted().accepts_any and provider.unlisted().unlisted_price is None
    found = build({"AWS_BEARER_TOKEN_BEDROCK": "key"}, "environment")
    assert found.pools[0].origin.host == "bedrock-runtime.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("environment", "table", "message"),
    [
        ({}, {}, "no region is known"),
        ({"AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true"}, {}, "no AWS credentials"),
        (
            {"AWS_REGION": "eu-west-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://evil.example/x"},
            {},
            "nor an agent's address",
        ),
        ({"AWS_REGION": "eu-west-1", "AWS_PROFILE": "nobody"}, {}, "no AWS credentials: the profile `nobody`"),
        (ENVIRONMENT, {"profile": "nobody"}, "no AWS credentials: the profile `nobody`"),
        (ENVIRONMENT, {"access_key_id": "AKID"}, "not usable"),
        (ENVIRONMENT, {"access_key_id": "AKID", "secret_access_key": "env:NOBODY"}, "`NOBODY` is not set"),
        ({**ENVIRONMENT, "AWS_SESSION_TOKEN": "a\r\nb"}, {}, "not usable"),
        (ENVIRONMENT, {"regoin": "x"}, "unknown field `regoin`"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(environment: dict[str, str], table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build(environment, **table)
    assert message in raised.value.message and raised.value.hint


@pytest.mark.anyio
async def test_the_shared_file_is_read_anew_with_each_look(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    text = "[default]\naws_access_key_id = AKIDOLD\naws_secret_access_key = s\naws_session_token = old\n"
    file.write_text(text)
    async with FakeUpstream() as upstream:
        environment = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_REGION": "eu-west-1"}
        provider = build(environment, base_url=upstream.url, models=["m"])
        for written in (text.replace("old", "new"), "nothing"):
            file.write_text(written)
            assert [each.model for each in (await provider.discover()).deployments] == ["m"]
            await (await provider.start(attempt(provider))).read()
        assert [seen.header("x-amz-security-token") for seen in upstream.requests] == ["new", "new"]
        await provider.aclose()


MODELS = {
    "modelSummaries": [
        {
            "modelId": "amazon.nova-pro-v1:0",
            "inputModalities": ["TEXT", "IMAGE"],
            "outputModalities": ["TEXT"],
            "inferenceTypesSupported": ["ON_DEMAND"],
        },
        {
            "modelId": "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "inputModalities": ["TEXT"],
            "outputModalities": ["TEXT"],
            "inferenceTypesSupported": ["INFERENCE_PROFILE"],
        },
        {"modelId": "amazon.titan-embed-text-v2:0", "outputModalities": ["EMBEDDING"], "inferenceTypesSupported": ["ON_DEMAND"]},
        {"modelId": "amazon.nova-canvas-v1:0", "outputModalities": ["IMAGE"], "inferenceTypesSupported": ["ON_DEMAND"]},
    ]
}
SONNET = {"modelArn": "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0"}
PROFILES = {
    "inferenceProfileSummaries": [
        {"inferenceProfileId": "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "status": "ACTIVE", "models": [SONNET]},
        {"inferenceProfileId": "abc123", "status": "ACTIVE", "models": [{"modelArn": "arn:x"}]},
        {"inferenceProfileId": "old", "status": "LEGACY"},
    ]
}


def saying(*bodies: bytes, status: int = 200, kind: str = "") -> list[Step]:
    headers = [wire.JSON, *([("x-amzn-ErrorType", kind)] if kind else [])]
    return [Step("list", lambda _, body=body: iter([wire.whole(body, status=status, headers=headers)])) for body in bodies]


@pytest.mark.anyio
async def test_models_and_profiles_that_can_be_called_are_listed() -> None:
    async with FakeUpstream() as upstream:
        upstream.script(*saying(json.dumps(MODELS).encode(), json.dumps(PROFILES).encode()))
        provider = build(base_url=upstream.url, control_url=upstream.url)
        source = await provider.discover()
        assert [(each.model, each.operations) for each in source.deployments] == [
            ("amazon.nova-pro-v1:0", {"chat"}),
            ("amazon.titan-embed-text-v2:0", {"embed"}),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", {"chat"}),
            ("abc123", None),
        ]
        nova, _, sonnet, unknown = source.deployments
        assert ("vision" in nova.facts.can, "vision" in sonnet.facts.cannot, unknown.facts.cannot) == (True, True, frozenset())
        assert sonnet.price is not None and sonnet.price.version.startswith("genai-prices") and unknown.price is FREE
        assert source.accepts_any
        assert [seen.path for seen in upstream.requests] == ["/v1/foundation-models", "/v1/inference-profiles?maxResults=1000"]
        assert all("Signature=" in (seen.header("authorization") or "") for seen in upstream.requests)
        await provider.aclose()


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        (saying(b"{}"), UpstreamInvalid),
        (saying(b"\xff"), UpstreamInvalid),
        (saying(json.dumps(MODELS).encode(), b"[]"), UpstreamInvalid),
        (saying(b'{"message":"no"}', status=403, kind="AccessDeniedException"), UpstreamAuth),
    ],
    ids=["empty", "bytes", "profiles", "refused"],
)
@pytest.mark.anyio
async def test_what_is_no_list_is_said_so(steps: list[Step], kind: type[GatewayError]) -> None:
    async with FakeUpstream() as upstream:
        upstream.script(*steps)
        provider = build(base_url=upstream.url, control_url=upstream.url)
        with pytest.raises(kind):
            await provider.discover()
        await provider.aclose()


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (
            b'{"message":"Slow down"}',
            "ThrottlingException:http://x/",
            {"message": "Slow down", "__type": "ThrottlingException:http://x/"},
        ),
        (b"<html>", "InternalServerException", {"__type": "InternalServerException"}),
        (b"{}", "", {}),
    ],
)
@pytest.mark.anyio
async def test_the_kind_of_an_error_is_put_into_its_body(body: bytes, kind: str, said: dict[str, str]) -> None:
    async with FakeUpstream() as upstream:
        upstream.script(*saying(body, status=429, kind=kind))
        provider = build(base_url=upstream.url, models=["m"])
        exchange = await provider.start(attempt(provider))
        assert exchange.status == 429 and json.loads(await exchange.read()) == said
        await provider.aclose()


@pytest.mark.parametrize("model", ["amazon.titan-embed-text-v2:0", "cohere.embed-english-v3"])
@pytest.mark.anyio
async def test_an_embeddings_tokens_are_in_its_body_wherever_they_were_said(model: str) -> None:
    async with FakeUpstream() as upstream:
        provider = build(base_url=upstream.url, models=[model])
        exchange = await provider.start(attempt(provider, "embed", b'{"inputText":"a","texts":["a"]}'))
        assert json.loads(await exchange.read())["inputTextTokenCount"] == 10
        assert upstream.requests[0].path.endswith("/invoke")
        await provider.aclose()


@pytest.mark.anyio
async def test_a_held_reply_is_given_once() -> None:
    seen: list[bytes] = []
    later: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    later.set_result(None)
    held = HeldReply(200, {b"content-type": b"application/json"}, b"{}")
    await held.pipe(lambda piece: seen.append(piece) or later)
    assert seen == [b"{}"] and await held.next() is None and await held.read() == b""
    assert held.header(b"content-type") == b"application/json" and held.header(b"x") is None
    held.finish()
    held.abort(UpstreamInvalid("too late"))
    with pytest.raises(UpstreamBroken):
        await held.next()


def test_the_fake_refuses_what_bedrock_refuses() -> None:
    assert b"x-amzn-ErrorType: ValidationException" in converse.refusal(400, "ValidationException", "No.")
