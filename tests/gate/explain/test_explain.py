"""An explanation says what would happen, and by saying it changes nothing."""

import asyncio
import copy
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aldgate.core.budgets import Budget
from aldgate.core.calls import Attempt, Call, LedgerRow, Outcome
from aldgate.core.catalogue import build_catalogue
from aldgate.core.errors import GatewayError, UpstreamAuth, UpstreamError, UpstreamLimited
from aldgate.core.limits import Limits
from aldgate.core.plans import DeploymentEntry, RouteEntry
from aldgate.core.prices import FREE, MILLION, Price
from aldgate.core.principals import Level, Operation, Policy, Principal
from aldgate.core.routes import Deployment, Facts, Source
from aldgate.core.usage import Usage
from aldgate.dialects.anthropic.dialect import ANTHROPIC
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.gate.explain.explain import explain
from aldgate.gate.explain.explanation import Candidate, Explanation
from aldgate.gate.gate import Gate
from aldgate.gate.metrics import Metrics
from aldgate.gate.money.slices import Slices
from aldgate.gate.routing.live import Live
from aldgate.limiter.memory import MemoryLimiter
from aldgate.ports import FaceDialect, UpstreamDialect
from aldgate.storage import Store
from aldgate.store.stores import open_url
from tests.gate.conftest import Clock

PRICE = Price(input=1 * MILLION, output=10 * MILLION, version="test")
BLIND = Facts(cannot=frozenset({"vision"}))
USAGE = b'{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}'


@dataclass
class Reply:
    status: int = 200
    pieces: list[bytes] = field(default_factory=lambda: [USAGE])

    def header(self, name: bytes) -> bytes | None:
        return None

    async def next(self) -> bytes | None:
        return self.pieces.pop(0) if self.pieces else None

    async def read(self) -> bytes:
        return b"".join(self.pieces)

    def close(self) -> None:
        pass


@dataclass
class Lab:
    """A provider that answers everybody and remembers whom."""

    name: str
    operations: frozenset[Operation] = frozenset({"chat", "complete", "embed"})
    dialects: dict[str, UpstreamDialect] = field(default_factory=lambda: {"openai": OPENAI})
    attempts: list[Attempt] = field(default_factory=list)

    async def start(self, attempt: Attempt) -> Reply:
        self.attempts.append(attempt)
        return Reply()


class House:
    """A gate with two providers of OpenAI's dialect, routes over them, and a clock to turn by hand."""

    def __init__(self, store: Store, clock: Clock) -> None:
        deployments = {
            "a": [Deployment("a/big", "a", "big", PRICE, "file"), Deployment("a/secret", "a", "secret", None, "file")],
            "b": [
                Deployment("b/big", "b", "big", FREE, "file", facts=BLIND),
                Deployment("b/vectors", "b", "vectors", FREE, "file", frozenset({"embed"})),
            ],
        }
        sources = [Source(name, tuple(each), "file") for name, each in deployments.items()]
        routes = {
            "team": RouteEntry(deployments=("a/big", "b/big"), fallbacks=("a/secret",), retries=0),
            "narrow": RouteEntry(deployments=(DeploymentEntry(model="b/big", rpm=1, concurrency=1),), retries=0),
            "cheap": RouteEntry(deployments=("a/big", "b/big"), strategy="lowest-cost", retries=0),
        }
        catalogue, problems = build_catalogue(sources, {"fast": "a/big"}, routes)
        assert problems == []
        self.labs = {name: Lab(name) for name in deployments}
        self.rows: list[LedgerRow] = []
        self.now = 1_000.0
        self.may_record = True
        self.live = Live(lambda: self.now, lambda: 0.5)
        backends: Any = self.labs
        self.gate = Gate(
            catalogue=catalogue,
            backends=backends,
            store=store,
            limiter=MemoryLimiter(),
            slices=Slices(store, "this-process", clock),
            append=self.rows.append,
            may_record=lambda: self.may_record,
            metrics=Metrics({}),
            default_max_tokens=100,
            live=self.live,
        )

    def principal(self, policy: Policy) -> Principal:
        return Principal.of("key", Level("key", "key-1", "shop", policy))

    def call(self, policy: Policy, operation: Operation, body: dict[str, Any], face: FaceDialect = OPENAI) -> Call:
        peek = face.peek(operation, json.dumps(body).encode())
        return self.gate.call(self.gate.new_id(), operation, self.principal(policy), peek)

    async def explained(
        self, policy: Policy = Policy(), operation: Operation = "chat", face: FaceDialect = OPENAI, **fields: Any
    ) -> Explanation:
        call = self.call(policy, operation, asking(operation, fields), face)
        return await explain(self.gate, call.principal, operation, face, call.peek)

    async def made(self, policy: Policy, operation: Operation, fields: dict[str, Any]) -> GatewayError | None:
        """Make the call; the refusal, or None if a provider was asked."""
        call = self.call(policy, operation, asking(operation, fields))
        before = self.asked
        try:
            admission = self.gate.admit(call) or await self.gate.admit_shared(call)
        except GatewayError as error:
            return error
        try:
            run = await self.gate.run(admission, OPENAI)
        except GatewayError as error:
            self.gate.settle(admission, Outcome(error.status, error=error))
            return error if self.asked == before else None
        self.gate.settle(admission, Outcome(200, Usage(10, 5), "reported", run.first_byte_s))
        return None

    @property
    def asked(self) -> int:
        return sum(len(lab.attempts) for lab in self.labs.values())

    def state(self) -> Any:
        """Everything that a call would change."""
        gate = self.gate
        kept = (gate.limiter._accounts, gate.slices._slices, gate.slices._seq, gate.under_way, self.rows, self.asked)
        lived = (self.live.limiter._accounts, self.live._states, self.live._credentials, self.live.affinity._served)
        return copy.deepcopy((kept, lived))


def asking(operation: Operation, fields: dict[str, Any]) -> dict[str, Any]:
    question = {"chat": {"messages": [{"role": "user", "content": "hello"}]}, "complete": {"prompt": "hello"}}
    return {"model": "team", **question.get(operation, {"input": "hello"}), **fields}


def candidates(explanation: Explanation) -> dict[str, Candidate]:
    assert explanation.route is not None
    return {each.deployment: each for each in explanation.route.candidates}


@pytest.fixture
def house(store: Store, clock: Clock) -> House:
    return House(store, clock)


@pytest.mark.anyio
async def test_a_breaker_that_is_open_speaks_against_its_deployment(house: House) -> None:
    away = house.gate.catalogue.resolve("a/big").deployments[0]
    for _ in range(5):
        house.live.failed(away, UpstreamError("It fell over."))
    shown = candidates(await house.explained())
    assert (shown["a/big"].verdict, shown["a/big"].order, shown["b/big"].order) == ("resting", None, 1)
    assert shown["a/big"].cons == ["it rests for 5.0 s: it failed 5 times in a row"]
    house.now += 6
    assert candidates(await house.explained())["a/big"].order == 1


@pytest.mark.anyio
async def test_a_cooldown_speaks_against_a_whole_provider(house: House) -> None:
    away = house.gate.catalogue.resolve("a/big").deployments[0]
    house.live.failed(away, UpstreamAuth("No.", upstream_status=401))
    shown = candidates(await house.explained())
    assert shown["a/big"].cons == ["it rests for 60.0 s: `a` refused our credential, or our account there is empty"]
    asked_to_wait = house.gate.catalogue.resolve("b/big").deployments[0]
    house.live.failed(asked_to_wait, UpstreamLimited("Later.", retry_after_s=30))
    explained = await house.explained()
    assert candidates(explained)["b/big"].cons == ["it rests for 30.0 s: it asked us to come back later"]
    assert explained.verdict == "allowed" and explained.route is not None
    (last,) = explained.route.fallbacks[0].candidates
    assert (last.deployment, last.verdict, last.order) == ("a/secret", "resting", 1)  # where all rest, the last resort is asked
    assert await house.made(Policy(), "chat", {}) is None and len(house.labs["a"].attempts) == 1


@pytest.mark.anyio
async def test_who_rests_is_asked_all_the_same_when_there_is_nobody_else(house: House) -> None:
    alone = house.gate.catalogue.resolve("a/big").deployments[0]
    house.live.failed(alone, UpstreamAuth("No.", upstream_status=401))
    explained = await house.explained(model="a/big")
    (candidate,) = candidates(explained).values()
    assert (explained.verdict, candidate.order) == ("allowed", 1) and "it rests for" in candidate.cons[0]


@pytest.mark.anyio
async def test_limits_of_deployments_are_a_refusal_when_nobody_is_left(house: House) -> None:
    assert await house.made(Policy(), "chat", {"model": "narrow"}) is None
    explained = await house.explained(model="narrow")
    assert explained.denial is not None and explained.denial.code == "upstream_rate_limited"
    (candidate,) = candidates(explained).values()
    assert candidate.verdict == "limited" and candidate.cons == ["its limits let no call through for 60.0 s"]


@pytest.mark.anyio
async def test_what_a_model_is_known_to_lack_and_what_it_costs_decide_the_order(house: House) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    seen = candidates(await house.explained(messages=[{"role": "user", "content": [picture]}]))
    assert seen["b/big"].verdict == "unfit" and seen["b/big"].cons == ["it is known to lack vision"]
    cheap = candidates(await house.explained(model="cheap"))
    assert sorted(cheap, key=lambda name: cheap[name].order or 0) == ["b/big", "a/big"]
    assert cheap["b/big"].pros == ["it costs about 0 micro-dollars"]


@pytest.mark.anyio
async def test_calls_under_way_are_counted(house: House) -> None:
    policy = Policy(limits=Limits(concurrency=1), budgets=(Budget(100_000, "day"),))
    call = house.call(policy, "chat", asking("chat", {"max_tokens": 10}))
    admission = house.gate.admit(call) or await house.gate.admit_shared(call)
    explained = await house.explained(policy)
    assert explained.denial is not None and explained.denial.code == "concurrency_limit_exceeded"
    assert explained.limits[0].left == 0 and explained.budgets
    assert explained.budgets[0].held.microusd == admission.most_microusd > 0
    house.gate.settle(admission, Outcome(200, Usage(10, 5), "reported", 0.1))
    explained = await house.explained(policy)
    assert explained.verdict == "allowed" and explained.budgets
    assert (explained.budgets[0].held.microusd, explained.budgets[0].spent.microusd) == (0, 60)


@pytest.mark.anyio
async def test_a_budget_that_is_nearly_spent_cuts_the_output_unless_the_caller_bounded_it(house: House) -> None:
    policy = Policy(budgets=(Budget(300, "day"),))
    cut = await house.explained(policy, model="a/big")
    assert cut.verdict == "allowed" and cut.budgets and cut.budgets[0].cuts_output
    assert cut.budgets[0].needed is not None and cut.budgets[0].needed.microusd > 300
    bounded = await house.explained(policy, model="a/big", max_tokens=100)
    assert bounded.denial is not None and bounded.denial.code == "budget_exceeded" and bounded.denial.status == 402
    assert await house.made(policy, "chat", {"model": "a/big"}) is None
    assert len(house.labs["a"].attempts) == 1


@pytest.mark.anyio
async def test_a_translation_that_is_refused_everywhere_refuses_the_call(house: House) -> None:
    server = {"type": "url", "url": "https://example.com", "name": "x"}
    explained = await house.explained(face=ANTHROPIC, max_tokens=9, mcp_servers=[server])
    assert explained.denial is not None and (explained.denial.status, explained.denial.param) == (400, "mcp_servers")
    translation = candidates(explained)["a/big"].translation
    assert translation is not None and translation.how == "translated" and translation.denial == explained.denial


@pytest.mark.anyio
async def test_fields_that_would_be_left_out_are_named(house: House) -> None:
    explained = await house.explained(face=ANTHROPIC, max_tokens=9, top_k=5)
    translation = candidates(explained)["a/big"].translation
    assert explained.verdict == "allowed" and translation is not None
    assert (translation.dialect, translation.left_out) == ("openai", ["top_k"])


@pytest.mark.anyio
async def test_a_gate_that_stops_or_cannot_record_refuses(house: House) -> None:
    house.gate.is_draining, house.may_record = True, False
    explained = await house.explained()
    assert [reason.code for reason in explained.reasons] == ["shutting_down", "store_unavailable"]


@pytest.mark.anyio
async def test_past_use_is_looked_up_for_who_was_not_seen_since_the_start(house: House, store: Store) -> None:
    policy = Policy(limits=Limits(rpm=2))
    before = house.state()
    assert [limit.left for limit in (await house.explained(policy)).limits] == [2]
    assert house.state() == before and not house.gate.limiter.knows("key-1")


small = st.none() | st.integers(1, 3)
policies = st.builds(
    Policy,
    scopes=st.sampled_from([frozenset({"chat", "complete", "embed"}), frozenset({"embed"}), frozenset({"chat"})]),
    limits=st.builds(Limits, rpm=small, tpm=st.none() | st.integers(1, 2_000), tpd=st.none() | st.integers(1, 5_000)),
    budgets=st.just(()) | st.tuples(st.builds(Budget, st.integers(1, 4_000), st.sampled_from(["day", "total"]))),
)
calls = st.tuples(
    st.sampled_from(["chat", "complete", "embed"]),
    st.fixed_dictionaries(
        {"model": st.sampled_from(["team", "narrow", "cheap", "fast", "a/secret", "vectors", "nothing"])},
        optional={"max_tokens": st.integers(1, 300)},
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=policies, made=st.lists(calls, min_size=1, max_size=6))
def test_what_is_explained_is_what_happens(
    migrated: Path, monkeypatch: pytest.MonkeyPatch, policy: Policy, made: list[tuple[Operation, dict[str, Any]]]
) -> None:
    monkeypatch.setattr("time.monotonic_ns", lambda: 10**18)  # else a limit may leak between the question and the call

    async def compare(folder: str) -> None:
        shutil.copy(migrated, f"{folder}/aldgate.db")
        store = open_url(f"sqlite:///{folder}/aldgate.db", "this-process")
        await store.open()
        try:
            house = House(store, Clock(1_790_000_000.0))
            for operation, fields in made:
                before = house.state()
                explained = await house.explained(policy, operation, **fields)
                assert house.state() == before
                refused = await house.made(policy, operation, fields)
                told = explained.denial and (explained.denial.code, explained.denial.message)
                assert told == (refused and (refused.code, refused.message)), (operation, fields)
        finally:
            await store.aclose()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(compare(folder))
