import asyncio

import pytest

from aldgate.core.errors import ContextTooLong, UpstreamOverloaded
from aldgate.core.generation import Generation
from aldgate.testing.engines import FakeLlamaCpp
from tests.engines.runs import RecordedRun
from tests.engines.speaking import engine_at

KIND = "llama-cpp"


async def test_health_props_and_slots_make_its_state() -> None:
    async with engine_at(FakeLlamaCpp(), KIND) as (engine, fake):
        state = await engine.state()
        assert [(model.name, model.is_loaded) for model in state.models] == [("qwen3-8b-q4", True)]
        assert (state.version, state.is_busy) == ("b9000-abcdef", False)
        fake.hold()
        making = asyncio.create_task(engine.generate(Generation(operation="complete", prompt="x"), RecordedRun()))
        await fake.until_working()
        assert (await engine.state()).is_busy is True
        fake.release()
        await making
        fake.shows_slots = False
        assert (await engine.state()).is_busy is None
        fake.is_loading = True
        with pytest.raises(UpstreamOverloaded):
            await engine.state()


async def test_a_completion_is_told_while_it_is_written() -> None:
    async with engine_at(FakeLlamaCpp(), KIND) as (engine, fake):
        run = RecordedRun()
        asked = Generation(operation="complete", prompt="a b", seed=7, options={"max_tokens": 2, "temperature": 0.0})
        made = await engine.generate(asked, run)
        assert fake.body("/completion") == {
            "prompt": "a b",
            "stream": True,
            "return_progress": True,
            "n_predict": 2,
            "temperature": 0.0,
            "seed": 7,
        }
        assert [told.message for told in run.told] == ["3 of 3 tokens read", "Echo: ", "Echo: a ", "Echo: a "]
        assert made.text == "Echo: a "
        assert made.details == {"prompt_tokens": 3, "completion_tokens": 2, "finish_reason": "length"}


async def test_a_chat_has_messages() -> None:
    async with engine_at(FakeLlamaCpp(), KIND) as (engine, fake):
        schema = {"type": "object"}
        options = {"system": "Be brief.", "json_schema": schema}
        made = await engine.generate(Generation(operation="chat", prompt="Hi", options=options), RecordedRun())
        body = fake.body("/v1/chat/completions")
        assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
        assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        assert made.text == "Echo: Hi"
        assert made.details == {"prompt_tokens": 3, "completion_tokens": 2, "finish_reason": "stop"}


async def test_a_prompt_that_is_too_long_for_it_may_fit_elsewhere() -> None:
    async with engine_at(FakeLlamaCpp(), KIND) as (engine, _):
        with pytest.raises(ContextTooLong):
            await engine.generate(Generation(operation="complete", prompt="x" * 100), RecordedRun())
