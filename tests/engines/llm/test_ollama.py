import pytest

from aldgate.core.errors import ModelNotFound, UpstreamBroken, UpstreamError
from aldgate.core.generation import Generation, Progress
from aldgate.testing.engines import FakeOllama
from tests.engines.runs import RecordedRun
from tests.engines.speaking import engine_at

KIND = "ollama"


async def test_what_is_installed_and_what_is_loaded_are_told() -> None:
    async with engine_at(FakeOllama(), KIND) as (engine, fake):
        fake.loaded = ["qwen3:8b"]
        state = await engine.state()
        assert state.version == "0.33.0"
        assert [(model.name, model.is_loaded, model.size_mb) for model in state.models] == [
            ("qwen3:8b", True, 6 * 1024),
            ("nomic-embed-text:latest", False, 256),
        ]
        assert [bool(model.operations) for model in state.models] == [True, False]


async def test_what_is_asked_is_sent_in_ollama_s_words() -> None:
    async with engine_at(FakeOllama(), KIND, num_ctx=8192, keep_alive="1m") as (engine, fake):
        options = {"max_tokens": 2, "temperature": 0.5, "top_k": 3, "stop": ["."], "system": "Be brief."}
        made = await engine.generate(Generation(operation="chat", prompt="Hi", seed=7, options=options), RecordedRun())
        assert fake.body("/api/generate") == {
            "model": "qwen3:8b",
            "prompt": "Hi",
            "stream": True,
            "system": "Be brief.",
            "keep_alive": "1m",
            "options": {"num_predict": 2, "num_ctx": 8192, "temperature": 0.5, "top_k": 3, "stop": ["."], "seed": 7},
        }
        assert made.text == "Echo: Hi"
        assert made.details == {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "finish_reason": "length",
            "model": "qwen3:8b",
            "load_ns": 9,
        }


async def test_progress_tells_the_text_so_far() -> None:
    async with engine_at(FakeOllama(), KIND) as (engine, _):
        run = RecordedRun()
        await engine.generate(Generation(operation="complete", prompt="a b", options={"max_tokens": 4}), run)
        assert [(told.message, told.fraction) for told in run.told] == [
            ("Echo: ", 0.25),
            ("Echo: a ", 0.5),
            ("Echo: a b", 0.75),
            ("Echo: a b", 1.0),
        ]


async def test_a_model_may_be_named_without_its_usual_tag() -> None:
    async with engine_at(FakeOllama(), KIND) as (engine, fake):
        await engine.generate(Generation(operation="complete", prompt="x", model="nomic-embed-text"), RecordedRun())
        assert fake.works == 1


async def test_a_pull_never_goes_back_and_is_done_when_it_says_so() -> None:
    async with engine_at(FakeOllama(), KIND) as (engine, fake):
        told: list[Progress] = []
        await engine.pull("phi4:latest", told.append)
        fractions = [progress.fraction or 0.0 for progress in told]
        assert fractions == sorted(fractions)
        assert (fractions[0], fractions[-1]) == (0.0, 1.0)
        assert told[-1].message == "success"
        assert "phi4:latest" in fake.installed


@pytest.mark.parametrize(("fault", "error"), [("pull_fails", UpstreamError), ("pull_stops", UpstreamBroken)])
async def test_a_pull_that_does_not_say_success_has_failed(fault: str, error: type[UpstreamError]) -> None:
    async with engine_at(FakeOllama(), KIND) as (engine, fake):
        fake.fault = fault
        with pytest.raises(error):
            await engine.pull("phi4:latest", [].append)
        assert "phi4:latest" not in fake.installed


async def test_models_are_unloaded_and_deleted_by_name() -> None:
    async with engine_at(FakeOllama(), KIND) as (engine, fake):
        fake.loaded = list(fake.installed)
        await engine.unload("qwen3:8b")
        assert fake.loaded == ["nomic-embed-text:latest"]
        await engine.delete("qwen3:8b")
        assert list(fake.installed) == ["nomic-embed-text:latest"]
        with pytest.raises(ModelNotFound):
            await engine.unload("qwen3:8b")
        with pytest.raises(ModelNotFound):
            await engine.delete("qwen3:8b")
