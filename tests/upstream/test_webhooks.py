import base64
import hashlib
import hmac
import ssl
from typing import Any

import pytest

from aldgate.config.secret import Secret
from aldgate.core.calls import Call, Peek
from aldgate.core.catalogue import build_catalogue
from aldgate.core.errors import GatewayError, NotSupported, UpstreamUnreachable
from aldgate.core.guardrails.kinds import Webhook
from aldgate.core.guardrails.verdicts import PASSES, Question, Verdict
from aldgate.core.principals import ADMIN
from aldgate.upstream.pool import Sweeper
from aldgate.upstream.webhooks import MOST_POOLS, Webhooks
from tests.gate.judging import judging

pytestmark = pytest.mark.anyio


def webhooks(secret: str = "x" * 24) -> Webhooks:
    return Webhooks(Secret(secret), ssl.create_default_context, Sweeper(), now=lambda: 1_700_000_000.5)


def call() -> Call:
    return Call("req-1", "chat", ADMIN, Peek(b"{}", "lab/m"), 0.0, 0.0, build_catalogue([], {})[0], {})


def question(url: str, *texts: str) -> Question:
    return Question(Webhook(url=url), "request", texts or ("hello",))


async def test_a_question_is_signed_with_what_the_secret_encodes() -> None:
    key = b"0123456789abcdef01234567"
    async with judging() as service:
        judge = webhooks("whsec_" + base64.b64encode(key).decode())
        assert await judge.judge(call(), question(service.url)) == PASSES
        await judge.aclose()
    head, body = service.heads[0], service.asked[0]
    signed = hmac.digest(key, b"req-1.1700000000." + body, hashlib.sha256)
    assert head["webhook-signature"] == "v1," + base64.b64encode(signed).decode()
    assert (head["webhook-id"], head["webhook-timestamp"]) == ("req-1", "1700000000")


async def test_verdicts_are_read() -> None:
    async with judging() as service:
        judge = webhooks()
        service.answer = {"verdict": "replace", "texts": ["a", "b"]}
        assert await judge.judge(call(), question(service.url, "x", "y")) == Verdict(texts=("a", "b"))
        service.answer = {"verdict": "block"}
        assert (await judge.judge(call(), question(service.url))).found == "content that is not allowed"


async def test_half_a_character_is_asked_about_as_a_question_mark() -> None:
    async with judging() as service:
        await webhooks().judge(call(), question(service.url, "a\ud83d"))
    assert service.questions[0]["texts"] == ["a?"]


@pytest.mark.parametrize(
    ("url", "kind"), [("http://127.0.0.1:1/", UpstreamUnreachable), ("http://127.0.0.1:99999/", NotSupported)]
)
async def test_an_address_where_nobody_is_gives_no_verdict(url: str, kind: type[GatewayError]) -> None:
    with pytest.raises(kind):
        await webhooks().judge(call(), question(url))


async def test_connections_to_many_places_are_not_kept_for_ever() -> None:
    judge = webhooks()
    for port in range(MOST_POOLS + 5):
        with pytest.raises(GatewayError):
            await judge.judge(call(), question(f"http://127.0.0.1:{port + 1}/"))
    pools: dict[Any, Any] = judge._pools  # pyright: ignore[reportPrivateUsage]
    assert len(pools) == MOST_POOLS
