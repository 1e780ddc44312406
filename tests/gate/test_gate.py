"""The four verbs against a real store, with a backend whose words are the test's."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aldgate.core import errors
from aldgate.core.budgets import Budget
from aldgate.core.calls import Admission, Attempt, Call, LedgerRow, Outcome
from aldgate.core.catalogue import build_catalogue
from aldgate.core.errors import GatewayError, UpstreamError
from aldgate.core.limits import Limits
from aldgate.core.prices import FREE, MILLION, Price
from aldgate.core.principals import Level, Operation, Policy, Principal
from aldgate.core.rights import EXPECTED_OUTPUT
from aldgate.core.routes import Deployment, Source
from aldgate.core.usage import Usage
from aldgate.dialects.openai.dialect import OPENAI, OpenAI
from aldgate.dialects.openai.requests import peek
from aldgate.gate.gate import Gate
from aldgate.gate.metrics import Metrics
from aldgate.gate.money.slices import Slices
from aldgate.limiter.headers import rate_headers
from aldgate.limiter.memory import MemoryLimiter
from aldgate.ports import UpstreamDialect
from aldgate.storage import Store
from tests.gate.conftest import Clock

PRICE = Price(input=1 * MILLION, output=10 * MILLION, version="test")
HELLO = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}


@dataclass
class Reply:
    """An exchange that is already there."""

    status: int = 200
    headers: dict[bytes, bytes] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=lambda: [b'{"choices":[],"usage":{"prompt_tokens":1}}'])
    is_closed: bool = False

    def header(self, name: bytes) -> bytes | None:
        return self.headers.get(name)

    async def next(self) -> bytes | None:
        return self.pieces.pop(0) if self.pieces else None

    async def read(self) -> bytes:
        return b"".join(self.pieces)

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Lab:
    """A backend that remembers its attempts."""

    name: str = "lab"
    operations: frozenset[Operation] = frozenset({"chat", "complete", "embed"})
    dialects: dict[str, UpstreamDialect] = field(default_factory=lambda: {"openai": OpenAI(stream_usage="always")})
    reply: Reply = field(default_factory=Reply)
    attempts: list[Attempt] = field(default_factory=list)

    async def start(self, attempt: Attempt) -> Reply:
        self.attempts.append(attempt)
        return self.reply


class House:
    """A gate and what it is made of."""

    def __init__(self, store: Store, clock: Clock, process: str = "this-process") -> None:
        priced = [Deployment(f"lab/{name}", "lab", name, PRICE, "file") for name in ("small", "large")]
        unpriced = Deployment("lab/secret", "lab", "secret", None, "file")
        embedder = Deployment("lab/embedder", "lab", "embedder", FREE, "file", frozenset({"embed"}))
        sources = [Source("lab", (*priced, unpriced, embedder), "file", accepts_any=True)]
        self.lab = Lab()
        self.rows: list[LedgerRow] = []
        self.may_record = True
        self.metrics = Metrics({})
        self.slices = Slices(store, process, clock)
        backends: Any = {"lab": self.lab}
        self.gate = Gate(
            catalogue=build_catalogue(sources, {"fast": "small"})[0],
            backends=backends,
            store=store,
            limiter=MemoryLimiter(),
            slices=self.slices,
            append=self.rows.append,
            may_record=lambda: self.may_record,
            metrics=self.metrics,
            default_max_tokens=100,
        )

    def call(
        self, operation: Operation = "chat", *, policy: Policy | None = None, expires_at: float | None = None, **fields: Any
    ) -> Call:
        body = json.dumps({**HELLO, **fields}).encode()
        principal = Principal.of("key", Level("key", "key-1", "shop", policy or Policy()), (), expires_at)
        return self.gate.call(self.gate.new_id(), operation, principal, peek(operation, body))

    async def admit(self, call: Call) -> Admission:
        return self.gate.admit(call) or await self.gate.admit_shared(call)

    async def refusal(self, call: Call) -> GatewayError:
        with pytest.raises(GatewayError) as raised:
            await self.admit(call)
        return raised.value


@pytest.fixture
def house(store: Store, clock: Clock) -> House:
    return House(store, clock)


def budget(microusd: int) -> Policy:
    return Policy(budgets=(Budget(microusd, "day"),))


@pytest.mark.anyio
async def test_an_unlimited_call_is_admitted_at_once_and_settled_once(house: House) -> None:
    call = house.call(model="fast", stream=True)
    admission = house.gate.admit(call)
    assert admission is not None and house.gate.under_way == 1
    assert (admission.deployment.id, admission.units[1], admission.most_microusd, admission.held) == ("lab/small", 0, 0, None)
    outcome = Outcome(200, Usage(10, 5, 4, 1, 2), "reported", 0.25)
    house.gate.settle(admission, outcome)
    house.gate.settle(admission, outcome)
    assert house.gate.under_way == 0
    (row,) = house.rows
    shown = msgspec.structs.asdict(row)
    assert shown.pop("total_s") >= 0
    assert shown == {
        "call_id": call.id,
        "received_at": call.received_at,
        "principal_id": "key-1",
        "account": "key-1",
        "operation": "chat",
        "model": "lab/small",
        "provider": "lab",
        "requested_model": "fast",
        "stream": True,
        "status": 200,
        "error_code": None,
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_tokens": 4,
        "cache_write_tokens": 1,
        "reasoning_tokens": 2,
        "usage_source": "reported",
        "cost_microusd": 60,
        "price_version": "test",
        "attempt": 1,
        "is_final": True,
        "organisation_id": None,
        "team_id": None,
        "client_id": None,
        "user_id": None,
        "first_byte_s": 0.25,
    }


@pytest.mark.anyio
async def test_a_failed_call_is_recorded_with_its_code_and_what_it_used(house: House) -> None:
    admission = await house.admit(house.call(model="lab/secret"))
    outcome = Outcome(usage=Usage(3), usage_source="counted")
    outcome.fail(errors.UpstreamBroken("cut"))
    house.gate.settle(admission, outcome)
    (row,) = house.rows
    assert (row.status, row.error_code, row.input_tokens, row.cost_microusd, row.price_version) == (
        502,
        "upstream_broken",
        3,
        0,
        "unknown",
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("operation", "fields", "policy", "code"),
    [
        ("chat", {}, Policy(scopes=frozenset({"embed", "admin"})), "scope_denied"),
        ("chat", {"model": "nothing"}, Policy(), "model_not_found"),
        ("chat", {"model": "embedder"}, Policy(), "invalid_request"),
        ("chat", {"model": "secret"}, budget(10**9), "price_unknown"),
        ("chat", {"model": "lab/unheard-of"}, budget(10**9), "price_unknown"),
        ("chat", {}, budget(10), "budget_exceeded"),
    ],
)
async def test_a_refusal_has_a_code_and_holds_nothing(
    house: House, operation: Operation, fields: dict[str, Any], policy: Policy, code: str
) -> None:
    policy = msgspec.structs.replace(policy, limits=Limits(rpm=1, concurrency=1))
    error = await house.refusal(house.call(operation, policy=policy, **fields))
    assert error.code == code
    assert (house.gate.under_way, house.gate.limiter.in_flight(), house.rows) == (0, 0, [])
    assert b'aldgate_refusals_total{code="%s",operation="chat"} 1.0' % code.encode() in house.metrics.expose()
    allowed = Policy(limits=Limits(rpm=1, concurrency=1))
    assert (await house.admit(house.call(policy=allowed))).units[1] > 0


@pytest.mark.anyio
async def test_a_stopping_gate_and_a_ledger_that_refuses_take_no_calls(house: House) -> None:
    house.may_record = False
    error = await house.refusal(house.call())
    assert (error.code, error.retry_after_s) == ("store_unavailable", 5)
    house.gate.is_draining = True
    assert (await house.refusal(house.call())).code == "shutting_down"


@pytest.mark.anyio
async def test_a_first_limited_call_asks_the_ledger_what_was_used_before(house: House, store: Store) -> None:
    policy = Policy(limits=Limits(rpm=2))
    first = await house.admit(house.call(policy=policy))
    house.gate.settle(first, Outcome(200, Usage(5, 5), "reported"))
    await store.record(house.rows, [])
    again = House(store, Clock(0))
    call = again.call(policy=policy)
    assert again.gate.admit(call) is None
    assert await again.gate.admit_shared(call)
    assert (await again.refusal(again.call(policy=policy))).code == "rate_limit_exceeded"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fields", "limits", "output"),
    [
        ({"max_tokens": 50, "n": 2}, Limits(tpm=10_000), 100),
        ({}, Limits(tpm=10_000), EXPECTED_OUTPUT),
        ({}, Limits(tpm=1_000), 250),
        ({}, Limits(tpm=1_000, tpd=400), 100),
        ({"n": 2}, Limits(rpm=5), 2 * EXPECTED_OUTPUT),
        ({}, Limits(tpd=2), 1),
    ],
)
async def test_a_token_limit_expects_a_modest_answer_of_who_names_no_bound(
    house: House, fields: dict[str, Any], limits: Limits, output: int
) -> None:
    call = house.call(policy=Policy(limits=limits), **fields)
    admission = await house.admit(call)
    assert admission.units[1] == -(-len(call.peek.body) // 4) + output


@pytest.mark.anyio
async def test_what_was_expected_and_not_used_is_given_back(house: House) -> None:
    policy = Policy(limits=Limits(tpm=10_000, concurrency=1))
    admission = await house.admit(house.call(policy=policy, max_tokens=9_000))
    assert (await house.refusal(house.call(policy=policy))).code == "concurrency_limit_exceeded"
    house.gate.settle(admission, Outcome(200, Usage(10, 90), "reported"))
    headers = dict(rate_headers(house.gate.standings(admission.call.principal)))
    assert int(headers[b"x-ratelimit-remaining-tokens"]) >= 9_900
    assert house.gate.standings(Principal.of("admin", Level("admin", "a", "a"))) == []


@pytest.mark.anyio
async def test_a_budget_holds_the_most_a_call_can_cost(house: House) -> None:
    call = house.call(policy=budget(10**6), max_tokens=7, n=3)
    assert house.gate.admit(call) is None
    admission = await house.gate.admit_shared(call)
    assert admission.most_microusd == len(call.peek.body) + 10 * 21
    assert admission.held is not None
    assert [(part.period, amount) for part, amount in admission.held] == [("2026-09-21", admission.most_microusd)]
    assert admission.cap == 7
    house.gate.settle(admission, Outcome(200, Usage(10, 5), "reported"))
    assert house.rows[0].cost_microusd == 60
    again = house.gate.admit(call)
    assert again is not None and again.most_microusd == admission.most_microusd


@pytest.mark.anyio
async def test_a_bound_is_put_in_where_the_caller_gave_none(house: House, store: Store) -> None:
    admission = await house.admit(house.call(policy=budget(10**6)))
    assert admission.cap == 100
    await house.gate.run(admission, OPENAI)
    assert json.loads(house.lab.attempts[0].body)["max_tokens"] == 100
    tight = House(store, Clock(0), "another-process")
    call = tight.call(policy=budget(1_009))
    held, caps = 0, list[int]()
    while held + len(call.peek.body) + 10 <= 1_009:
        admission = await tight.admit(call)
        assert admission.cap and admission.most_microusd == len(call.peek.body) + 10 * admission.cap
        held += admission.most_microusd
        caps.append(admission.cap)
    assert caps == sorted(caps, reverse=True) and caps[0] < 100 and held <= 1_009
    assert (await tight.refusal(call)).code == "budget_exceeded"


@pytest.mark.anyio
@pytest.mark.parametrize("is_soft", [False, True])
async def test_a_call_without_a_bound_gets_all_that_is_affordable(house: House, is_soft: bool) -> None:
    length = len(house.call().peek.body)
    likely = -(-length // 4) if is_soft else length
    call = house.call(policy=Policy(budgets=(Budget(likely + 10 * 5, "day", is_soft),)))
    assert (await house.admit(call)).cap == 5


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("caps", "knows", "sent"),
    [
        ({"max_tokens": 5}, "max_tokens", {"max_tokens": 5}),
        ({"max_completion_tokens": 5}, "max_tokens", {"max_tokens": 5, "max_completion_tokens": 5}),
        ({"max_completion_tokens": 5, "max_tokens": None}, "max_tokens", {"max_tokens": 5, "max_completion_tokens": 5}),
        ({"max_completion_tokens": 5}, "max_completion_tokens", {"max_completion_tokens": 5}),
        ({"max_tokens": 5}, "max_completion_tokens", {"max_tokens": 5}),
        ({"max_tokens": 1, "max_completion_tokens": 5}, "max_tokens", {"max_tokens": 1, "max_completion_tokens": 5}),
    ],
)
async def test_a_budget_is_bound_by_a_field_that_the_provider_reads(
    house: House, caps: dict[str, Any], knows: str, sent: dict[str, Any]
) -> None:
    house.lab.dialects = {"openai": OpenAI("max_tokens" if knows == "max_tokens" else "max_completion_tokens", "always")}
    call = house.call(policy=budget(10**6), **caps)
    admission = await house.admit(call)
    assert admission.most_microusd == len(call.peek.body) + 50
    await house.gate.run(admission, OPENAI)
    body = house.lab.attempts[0].body
    assert {name: value for name, value in json.loads(body).items() if name.startswith("max_")} == sent
    assert body.count(b'"max_tokens"') == ("max_tokens" in sent)


@pytest.mark.anyio
async def test_an_embedding_costs_its_input_and_nothing_is_put_in(house: House) -> None:
    call = house.call("embed", policy=budget(10**6), input="hello")
    admission = await house.admit(call)
    assert (admission.most_microusd, admission.cap) == (len(call.peek.body), None)


@pytest.mark.anyio
async def test_calls_at_once_never_hold_more_than_the_budget(house: House) -> None:
    policy = budget(2_000)

    async def one() -> int:
        try:
            return (await house.admit(house.call(policy=policy, max_tokens=20))).most_microusd
        except errors.BudgetExceeded:
            return 0

    held = await asyncio.gather(*(one() for _ in range(20)))
    assert 0 < sum(held) <= 2_000
    assert sum(each > 0 for each in held) == 2_000 // max(held)


@pytest.mark.anyio
async def test_the_model_is_what_the_provider_calls_it(house: House) -> None:
    run = await house.gate.run(await house.admit(house.call(model="fast")), OPENAI)
    assert run.exchange is house.lab.reply and house.lab.reply.is_closed
    assert run.first == b"".join(house.lab.reply.pieces) and run.relay.usage == Usage(1, 0)
    (attempt,) = house.lab.attempts
    assert (json.loads(attempt.body)["model"], attempt.deployment.id, attempt.stream) == ("small", "lab/small", False)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "retry_after_s"),
    [
        ({}, 1),
        ({b"retry-after": b"7"}, 7),
        ({b"retry-after": b"0"}, 1),
        ({b"retry-after": b"2.6"}, 3),
        ({b"retry-after": b"86400"}, 60),
        ({b"retry-after": b"-5"}, 1),
        ({b"retry-after": b"inf"}, 1),
        ({b"retry-after": b"nan"}, 1),
        ({b"retry-after": b"Wed, 21 Oct 2026 07:28:00 GMT"}, 1),
        ({b"retry-after-ms": b"1500", b"retry-after": b"9"}, 2),
        ({b"retry-after-ms": b"soon", b"retry-after": b"9"}, 1),
    ],
)
async def test_an_error_reply_is_classed_and_says_when_to_come_back(
    house: House, headers: dict[bytes, bytes], retry_after_s: int
) -> None:
    house.lab.reply = Reply(429, headers, [b'{"error":{"mess', b'age":"slow down"}}'])
    with pytest.raises(UpstreamError, match="slow down") as raised:
        await house.gate.run(await house.admit(house.call()), OPENAI)
    assert raised.value.retry_after_s == retry_after_s
    assert house.lab.reply.is_closed


@pytest.mark.anyio
async def test_an_endless_error_page_is_not_read_to_its_end(house: House) -> None:
    house.lab.reply = Reply(500, {}, [b"x" * 40_000] * 100)
    with pytest.raises(UpstreamError):
        await house.gate.run(await house.admit(house.call()), OPENAI)
    assert len(house.lab.reply.pieces) == 98


@pytest.mark.anyio
async def test_metrics_name_only_models_of_the_catalogue(house: House) -> None:
    for model in ("small", "lab/made-up-1", "lab/made-up-2"):
        house.gate.settle(await house.admit(house.call(model=model)), Outcome(200, Usage(1), "reported"))
    shown = house.metrics.expose().decode()
    assert 'aldgate_calls_total{model="other",operation="chat",status="200"} 2.0' in shown and "made-up" not in shown
    assert [row.model for row in house.rows] == ["lab/small", "lab/made-up-1", "lab/made-up-2"]


@pytest.mark.anyio
async def test_a_call_keeps_the_catalogue_it_began_with(house: House, tmp_path: Path) -> None:
    call = house.call()
    house.gate.catalogue = build_catalogue([], {})[0]
    assert await house.admit(call)
    assert (await house.refusal(house.call())).code == "model_not_found"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("part", "least"),
    [
        ({"type": "image_url", "image_url": {"url": "https://host/a.png"}}, 40_000),
        ({"type": "file", "file": {"file_id": "file-1"}}, 200_000),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, 40_000),
    ],
)
async def test_media_that_is_only_named_is_held_for_what_it_may_come_to(house: House, part: dict[str, Any], least: int) -> None:
    call = house.call(policy=budget(10**12), messages=[{"role": "user", "content": [part]}], max_tokens=1)
    admission = await house.admit(call)
    assert admission.most_microusd >= PRICE.cost(Usage(input_tokens=least, output_tokens=1))
