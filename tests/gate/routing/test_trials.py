"""Failing over, through a running gate with several fake providers: what the caller sees, and what the ledger says."""

import asyncio
import json
from pathlib import Path

import pytest

from aldgate.core.breakers import FAILURES, FIRST_REST_S
from aldgate.testing.upstream import FAULTS, Step, faults
from tests.gate.fleet import CHAT, HELLO, TEAM, running_fleet

pytestmark = pytest.mark.anyio

ELSEWHERE = [
    "status_401",
    "status_402",
    "status_403",
    "status_429",
    "status_500",
    "status_502",
    "status_503",
    "status_504",
    "status_529",
    "quota_exhausted",
    "error_page",
    "error_empty",
    "error_200",
    "numeric_code",
    "not_json",
    "garbage",
    "die_mid_head",
    "die_mid_body",
    "wrong_content_type",
]


@pytest.mark.parametrize("name", ELSEWHERE)
async def test_each_failure_of_a_provider_is_another_ones_call(tmp_path: Path, name: str) -> None:
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].script(FAULTS[name]())
        reply = await fleet.chat()
        assert reply.status_code == 200, reply.text
        assert reply.headers["x-aldgate-model"] == "b/gpt-4.1" and reply.headers["x-aldgate-attempts"] == "2"
        first, second = await fleet.attempts()
        assert first[:2] == (1, "a/gpt-4.1") and first[2] >= 400 and first[4] == 0
        assert second == (2, "b/gpt-4.1", 200, None, 1)
        assert fleet.busy == 0


@pytest.mark.parametrize("name", ["error_first_in_stream", "empty_stream", "stream_asked_whole_given", "status_503"])
async def test_a_stream_that_fails_before_its_first_word_is_another_ones_call(tmp_path: Path, name: str) -> None:
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].script(FAULTS[name]())
        reply = await fleet.chat(stream=True)
        assert reply.status_code == 200 and reply.text.endswith("data: [DONE]\n\n")
        assert "error" not in reply.text
        assert fleet.asked() == {"a": 1, "b": 1, "c": 0}


@pytest.mark.parametrize("name", ["error_in_stream", "die_mid_stream"])
async def test_after_the_first_word_nobody_else_answers(tmp_path: Path, name: str) -> None:
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].script(FAULTS[name]())
        reply = await fleet.chat(stream=True)
        assert reply.status_code == 200 and '"error"' in reply.text
        assert fleet.asked() == {"a": 1, "b": 0, "c": 0}
        assert [row["is_final"] for row in await fleet.rows()] == [1]


@pytest.mark.parametrize("name", ["status_404", "status_409", "status_413", "status_422"])
async def test_what_a_provider_refuses_is_refused(tmp_path: Path, name: str) -> None:
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].script(FAULTS[name]())
        reply = await fleet.chat()
        assert 400 <= reply.status_code < 500
        assert fleet.asked() == {"a": 1, "b": 0, "c": 0}


async def test_a_prompt_too_long_goes_to_its_own_fallback(tmp_path: Path) -> None:
    config = TEAM + 'fallbacks = ["b/gpt-4.1"]\ncontext_fallbacks = ["c/gpt-4.1"]\n'
    async with running_fleet(tmp_path, config.replace(', "b/gpt-4.1"]', "]", 1)) as fleet:
        fleet["a"].script(FAULTS["status_400"]())
        reply = await fleet.chat()
        assert reply.headers["x-aldgate-model"] == "c/gpt-4.1"
        assert fleet.asked() == {"a": 1, "b": 0, "c": 1}


async def test_what_a_filter_refuses_goes_to_its_own_fallback(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, TEAM + 'filter_fallbacks = ["c/gpt-4.1"]\n') as fleet:
        fleet["a"].script(faults.status(400, error_code="content_filter"))
        assert (await fleet.chat()).headers["x-aldgate-model"] == "c/gpt-4.1"
        assert fleet.asked() == {"a": 1, "b": 0, "c": 1}


async def test_the_fallback_comes_after_all_of_the_route(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, TEAM + 'fallbacks = ["c/gpt-4.1"]\n') as fleet:
        fleet["a"].script(FAULTS["status_500"]())
        fleet["b"].script(FAULTS["status_429"]())
        reply = await fleet.chat()
        assert reply.headers["x-aldgate-model"] == "c/gpt-4.1" and reply.headers["x-aldgate-attempts"] == "3"
        used = await fleet.used()
        assert (used["calls"], used["errors"]) == (1, 0)


async def test_the_last_error_is_the_most_useful_one_and_names_all(tmp_path: Path) -> None:
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].script(faults.status(429, retry_after_s=7))
        fleet["b"].script(FAULTS["status_401"]())
        reply = await fleet.chat()
        error = reply.json()["error"]
        assert (reply.status_code, error["code"], reply.headers["retry-after"]) == (429, "upstream_rate_limited", "7")
        assert reply.headers["x-aldgate-attempts"] == "2"
        assert "`a/gpt-4.1` (upstream_rate_limited, status 429); `b/gpt-4.1` (upstream_auth, status 401)" in error["message"]
        assert "sk-" not in error["message"].replace("sk-up***key", "")
        assert await fleet.attempts() == [
            (1, "a/gpt-4.1", 429, "upstream_rate_limited", 1),
            (2, "b/gpt-4.1", 502, "upstream_auth", 0),
        ]
        used = await fleet.used()
        assert (used["calls"], used["errors"], used["cost_microusd"]) == (1, 1, 0)


async def test_libraries_do_not_repeat_what_was_repeated_already(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, TEAM.replace("retries = 0", "retries = 2")) as fleet:
        for name in "ab":
            fleet[name].default = FAULTS["status_500"]()
        reply = await fleet.chat()
        assert (reply.status_code, reply.headers["x-should-retry"], reply.headers["x-aldgate-attempts"]) == (502, "false", "4")
        assert fleet.asked() == {"a": 1, "b": 3, "c": 0}
        assert len(fleet.hands.pauses) == 2 and fleet.hands.pauses[0] < fleet.hands.pauses[1]


async def test_retry_after_is_waited_out_where_the_deadline_allows(tmp_path: Path) -> None:
    config = '[routes.team]\ndeployments = ["a/gpt-4.1"]\ndeadline_s = 20\n'
    async with running_fleet(tmp_path, config) as fleet:
        fleet["a"].script(faults.status(503, retry_after_s=5))
        assert (await fleet.chat()).status_code == 200
        assert fleet.hands.pauses == [5.0]
        fleet["a"].script(faults.status(503, retry_after_s=25))
        reply = await fleet.chat()
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "25")
        assert fleet.hands.pauses == [5.0]


async def test_the_deadline_ends_a_silent_attempt(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, TEAM + "deadline_s = 0.05\n") as fleet:
        fleet["a"].script(FAULTS["hang_before_head"]())
        fleet.gate.app.gate.live.clock = asyncio.get_running_loop().time
        reply = await fleet.chat()
        assert (reply.status_code, reply.json()["error"]["code"]) == (504, "upstream_timeout")
        assert fleet.asked() == {"a": 1, "b": 0, "c": 0}
        async with asyncio.timeout(5):
            await fleet["a"].saw_close()


async def test_who_leaves_between_two_attempts_owes_nothing_for_the_second(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, '[routes.team]\ndeployments = ["a/gpt-4.1"]\n') as fleet:
        waiting = asyncio.Event()

        async def pause(_: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        fleet.gate.app.gate.live.pause = pause
        fleet["a"].script(FAULTS["status_503"]())
        call = asyncio.create_task(fleet.chat())
        await waiting.wait()
        call.cancel()
        async with asyncio.timeout(5):
            while fleet.gate.app.gate.under_way:
                await asyncio.sleep(0)
        assert [row["cost_microusd"] for row in await fleet.rows()] == [0, 0]
        assert [row[0::3] for row in await fleet.attempts()] == [(1, "upstream_overloaded"), (2, "client_gone")]


async def test_a_plain_model_is_asked_again_only_where_configured(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, "[routing]\nretries = 1\n", names="a") as fleet:
        fleet["a"].script(FAULTS["status_503"]())
        reply = await fleet.chat(model="gpt-4.1")
        assert reply.status_code == 200 and reply.headers["x-aldgate-attempts"] == "2"
        fleet["a"].script(FAULTS["status_503"](), FAULTS["status_503"]())
        assert (await fleet.chat(model="gpt-4.1")).headers["x-should-retry"] == "false"
        assert fleet.asked() == {"a": 4}


async def test_a_breaker_opens_probes_once_and_closes(tmp_path: Path) -> None:
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].default = FAULTS["status_500"]()
        for _ in range(FAILURES):
            assert (await fleet.chat()).headers["x-aldgate-attempts"] == "2"
        for _ in range(3):
            assert "x-aldgate-attempts" not in (await fleet.chat()).headers
        assert fleet.asked() == {"a": FAILURES, "b": FAILURES + 3, "c": 0}
        metrics = (await fleet.gate.http.get("/metrics")).text
        assert 'aldgate_breaker_open{model="a/gpt-4.1"} 1.0' in metrics
        assert f'aldgate_attempts_failed_total{{code="upstream_error",provider="a"}} {FAILURES}.0' in metrics

        fleet.hands.at += FIRST_REST_S
        await fleet.chat()  # the probe fails, and it rests twice as long
        fleet.hands.at += FIRST_REST_S
        await fleet.chat()
        assert fleet.asked()["a"] == FAILURES + 1

        fleet.hands.at += FIRST_REST_S
        fleet["a"].default = None
        assert (await fleet.chat()).headers["x-aldgate-model"] == "a/gpt-4.1"
        assert 'aldgate_breaker_open{model="a/gpt-4.1"}' not in (await fleet.gate.http.get("/metrics")).text


async def test_streams_that_break_off_open_a_breaker_too(tmp_path: Path) -> None:
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].default = FAULTS["die_mid_stream"]()
        for _ in range(FAILURES):
            assert '"error"' in (await fleet.chat(stream=True)).text
        assert (await fleet.chat(stream=True)).headers["x-aldgate-model"] == "b/gpt-4.1"


async def test_a_route_and_its_aliases_are_listed(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, TEAM + '[aliases]\nours = "team"\n') as fleet:
        listed = {model["id"]: model["owned_by"] for model in (await fleet.gate.http.get("/v1/models")).json()["data"]}
        assert listed["team"] == listed["ours"] == "a"
        fleet["a"].script(FAULTS["status_503"]())
        assert (await fleet.chat(model="ours")).headers["x-aldgate-model"] == "b/gpt-4.1"


async def test_one_probe_at_a_time(tmp_path: Path) -> None:
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].default = FAULTS["status_500"]()
        for _ in range(FAILURES):
            await fleet.chat()
        fleet["a"].default = FAULTS["hang_before_head"]()
        fleet.hands.at += FIRST_REST_S
        probe = asyncio.create_task(fleet.chat())
        await fleet["a"].saw_requests(FAILURES + 1)
        assert (await fleet.chat()).headers["x-aldgate-model"] == "b/gpt-4.1"
        assert fleet.asked()["a"] == FAILURES + 1
        probe.cancel()
        async with asyncio.timeout(5):
            await fleet["a"].saw_close()


async def test_a_refused_credential_rests_with_all_that_it_serves(tmp_path: Path) -> None:
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].script(FAULTS["status_401"]())
        await fleet.chat()
        await fleet.chat()
        assert fleet.asked() == {"a": 1, "b": 2, "c": 0}
        assert 'aldgate_cooldown_seconds{provider="a"} 60.0' in (await fleet.gate.http.get("/metrics")).text
        fleet.hands.at += 60
        assert (await fleet.chat()).headers["x-aldgate-model"] == "a/gpt-4.1"


MODELS = ("gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano")
TWICE = '[routes.team]\ndeployments = ["a/gpt-4.1", "a/gpt-4.1-mini", "b/gpt-4.1"]\nretries = 0\n'


@pytest.mark.parametrize("name", ["status_401", "status_402", "status_403", "status_429"])
async def test_another_providers_deployment_comes_before_one_of_the_same_credential(tmp_path: Path, name: str) -> None:
    async with running_fleet(tmp_path, TWICE, models=MODELS) as fleet:
        fleet["a"].script(FAULTS[name]())
        assert (await fleet.chat()).headers["x-aldgate-model"] == "b/gpt-4.1"
        assert (await fleet.chat()).headers["x-aldgate-model"] == "b/gpt-4.1"
        assert fleet.asked() == {"a": 1, "b": 2, "c": 0}


@pytest.mark.parametrize(("name", "attempts"), [("status_429", 2), ("status_403", 2), ("status_401", 1)])
async def test_where_nobody_else_is_left_another_model_of_a_limited_credential_is_asked(
    tmp_path: Path, name: str, attempts: int
) -> None:
    async with running_fleet(tmp_path, TWICE.replace("b/gpt-4.1", "a/gpt-4.1-nano"), models=MODELS) as fleet:
        fleet["a"].script(FAULTS[name]())
        reply = await fleet.chat()
        assert fleet.asked()["a"] == attempts
        assert (reply.status_code == 200) is (attempts == 2)
        assert (await fleet.chat()).status_code == 200, "who rests is asked all the same"


async def test_two_limits_met_in_a_row_are_the_credentials_own(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, TWICE.replace("b/gpt-4.1", "a/gpt-4.1-nano"), models=MODELS) as fleet:
        fleet["a"].script(FAULTS["status_429"](), FAULTS["status_429"]())
        reply = await fleet.chat()
        assert (reply.status_code, reply.headers["x-aldgate-attempts"]) == (429, "2")


async def test_a_prompt_too_long_for_the_cheapest_goes_to_the_next_that_reads_more(tmp_path: Path) -> None:
    windows = {"a": 1_000, "b": 800, "c": 50_000}
    config = "".join(f'[models."{name}/gpt-4.1"]\ncontext_window = {size}\n' for name, size in windows.items())
    async with running_fleet(tmp_path, config) as fleet:
        fleet["a"].script(FAULTS["status_400"]())
        reply = await fleet.chat(model="cheapest")
        assert (reply.status_code, reply.headers["x-aldgate-model"]) == (200, "c/gpt-4.1"), reply.text
        assert fleet.asked() == {"a": 1, "b": 0, "c": 1}
        fleet["a"].script(FAULTS["status_400"]())
        fleet["c"].script(FAULTS["status_400"]())
        reply = await fleet.chat(model="auto")
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "context_length_exceeded")


async def test_who_asks_to_be_left_alone_is_asked_only_when_nobody_else_is_left(tmp_path: Path) -> None:
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].script(faults.status(429, retry_after_s=30))
        await fleet.chat()
        assert (await fleet.chat()).headers["x-aldgate-model"] == "b/gpt-4.1"
        fleet["b"].script(faults.status(429, retry_after_s=60))
        assert (await fleet.chat()).status_code == 429
        assert (await fleet.chat()).headers["x-aldgate-model"] == "a/gpt-4.1"


async def test_a_deployments_own_limits_hold_whoever_asks(tmp_path: Path) -> None:
    config = '[routes.team]\ndeployments = [{model = "a/gpt-4.1", rpm = 1}, {model = "b/gpt-4.1", rpm = 1}]\n'
    async with running_fleet(tmp_path, config) as fleet:
        served = [(await fleet.chat()).headers["x-aldgate-model"] for _ in range(2)]
        assert served == ["a/gpt-4.1", "b/gpt-4.1"]
        for model in ("team", "a/gpt-4.1"):
            reply = await fleet.chat(model=model)
            assert (reply.status_code, reply.headers["retry-after"]) == (429, "60")
        assert fleet.asked() == {"a": 1, "b": 1, "c": 0}
        assert (await fleet.used())["cost_microusd"] == sum(row["cost_microusd"] for row in await fleet.rows())
        fleet.hands.at += 60
        assert (await fleet.chat()).status_code == 200
        assert fleet.busy == 0


async def test_a_hedge_answers_and_the_slow_one_is_let_go(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, TEAM + "hedge_after_ms = 20\n") as fleet:
        fleet["a"].script(FAULTS["hang_before_head"]())
        reply = await fleet.chat()
        assert (reply.status_code, reply.headers["x-aldgate-model"]) == (200, "b/gpt-4.1")
        async with asyncio.timeout(5):
            await fleet["a"].saw_close()
        lost, won = await fleet.rows()
        assert (lost["error_code"], lost["is_final"], lost["usage_source"]) == ("hedge_lost", 0, "counted")
        assert lost["cost_microusd"] == 2 * lost["input_tokens"] > 0
        assert (won["attempt"], won["is_final"], won["model"]) == (2, 1, "b/gpt-4.1")
        assert fleet.busy == 0


async def test_a_hedge_is_not_needed_where_the_first_is_quick(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, TEAM + "hedge_after_ms = 10000\n") as fleet:
        assert (await fleet.chat()).headers["x-aldgate-model"] == "a/gpt-4.1"
        fleet["a"].script(FAULTS["status_500"]())
        assert (await fleet.chat()).headers["x-aldgate-model"] == "b/gpt-4.1"
        assert fleet.asked() == {"a": 2, "b": 1, "c": 0}


async def test_a_hedge_goes_with_the_caller(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, TEAM + "hedge_after_ms = 20\n") as fleet:
        for name in "ab":
            fleet[name].script(FAULTS["hang_before_head"]())
        call = asyncio.create_task(fleet.chat())
        await fleet["b"].saw_requests()
        call.cancel()
        async with asyncio.timeout(5):
            for name in "ab":
                await fleet[name].saw_close()
            while fleet.gate.app.gate.under_way:
                await asyncio.sleep(0)
        assert fleet.busy == 0


async def test_a_conversation_stays_where_it_began(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, TEAM.replace("retries = 0", 'strategy = "weighted"')) as fleet:
        fleet.hands.drawn = 0.9
        first = await fleet.chat(messages=HELLO["messages"])
        fleet.hands.drawn = 0.1
        turns = [*HELLO["messages"], {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and then?"}]
        second = await fleet.chat(messages=turns)
        other = await fleet.chat(messages=[{"role": "user", "content": "another matter"}])
        served = [reply.headers["x-aldgate-model"] for reply in (first, second, other)]
        assert served == ["b/gpt-4.1", "b/gpt-4.1", "a/gpt-4.1"]
        fleet["b"].script(FAULTS["status_503"]())
        assert (await fleet.chat(messages=turns)).headers["x-aldgate-model"] == "a/gpt-4.1"


async def test_money_held_covers_every_candidate_and_all_attempts_are_paid(tmp_path: Path) -> None:
    async with running_fleet(tmp_path, TEAM + "hedge_after_ms = 20\n") as fleet:
        key = await fleet.gate.key(budget="1.00/day")
        fleet["a"].script(FAULTS["hang_before_head"]())
        assert (await fleet.chat(key)).status_code == 200
        rows = await fleet.rows()
        assert len(rows) == 2 and all(row["cost_microusd"] > 0 for row in rows)
        assert fleet.gate.app.gate.slices.held == 0
        used = await fleet.used(key)
        assert used["cost_microusd"] == sum(row["cost_microusd"] for row in rows)


@pytest.mark.parametrize("alias", ["default", "fast", "cheapest", "fastest", "auto"])
async def test_some_names_need_no_configuration(tmp_path: Path, alias: str) -> None:
    async with running_fleet(tmp_path, "") as fleet:
        fleet.hands.drawn = 0.0
        reply = await fleet.chat(model=alias)
        assert (reply.status_code, reply.headers["x-aldgate-model"]) == (200, "a/gpt-4.1")
        assert alias not in {model["id"] for model in (await fleet.gate.http.get("/v1/models")).json()["data"]}
        assert (await fleet.gate.http.get(f"/v1/models/{alias}")).json()["id"] == alias


def step(name: str) -> Step:
    return FAULTS[name]()


async def test_the_ledger_has_every_attempt_of_a_streamed_call_too(tmp_path: Path) -> None:
    async with running_fleet(tmp_path) as fleet:
        fleet["a"].script(step("error_first_in_stream"))
        body = json.dumps(HELLO | {"stream": True})
        async with fleet.gate.http.stream("POST", CHAT, content=body, headers={"content-type": "application/json"}) as reply:
            await reply.aread()
        assert [row[0::4] for row in await fleet.attempts()] == [(1, 0), (2, 1)]
