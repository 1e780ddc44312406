import io
import wave

import pytest

from aldgate.core.errors import ModelNotFound, NotSupported, UpstreamError, UpstreamInvalid, UpstreamOverloaded
from aldgate.core.generation import Generation
from aldgate.testing.engines import FakeAllTalk
from aldgate.testing.engines.noises import RATE
from tests.engines.runs import RecordedRun
from tests.engines.speaking import engine_at

KIND = "alltalk"


def words(prompt: str = "Hello", **asked: object) -> Generation:
    return Generation(operation="speech", prompt=prompt, **asked)  # pyright: ignore[reportArgumentType]


async def test_it_is_asked_by_form() -> None:
    async with engine_at(FakeAllTalk(), KIND) as (engine, fake):
        asked = words(voice="male_01.wav", language="pt-BR", speed=1.5, options={"pitch": 3, "temperature": 0.5})
        await engine.generate(asked, RecordedRun("0" * 8 + "-0000-4000-8000-" + "0" * 12))
        assert fake.forms == [
            {
                "text_input": "Hello",
                "character_voice_gen": "male_01.wav",
                "language": "pt",
                "speed": "1.5",
                "pitch": "3",
                "temperature": "0.5",
                "output_file_name": "aldgate_00000000000040008000000000000000_0",
                "output_file_timestamp": "false",
                "autoplay": "false",
            }
        ]


async def test_what_the_loaded_model_cannot_is_left_out() -> None:
    async with engine_at(FakeAllTalk(), KIND) as (engine, fake):
        fake.is_pitch_capable = False
        await engine.generate(words(options={"pitch": 3}), RecordedRun())
        assert "pitch" not in fake.forms[0]


async def test_a_long_text_is_spoken_in_parts_and_joined() -> None:
    async with engine_at(FakeAllTalk(), KIND, most_characters=14) as (engine, fake):
        run = RecordedRun()
        made = await engine.generate(words("One is here. Two is there. Three."), run)
        assert [form["text_input"] for form in fake.forms] == ["One is here.", "Two is there.", "Three."]
        assert run.fractions == sorted(run.fractions)
        with wave.open(io.BytesIO(run.files[0].data)) as read:
            assert read.getnframes() == 3 * RATE // 10
        assert made.duration_s == pytest.approx(0.3)
        assert len(run.files) == 1


@pytest.mark.parametrize(("kind", "mime", "count"), [("mp3", "audio/mpeg", 1), ("flac", "audio/flac", 2)])
async def test_parts_that_cannot_be_joined_are_kept_one_by_one(kind: str, mime: str, count: int) -> None:
    async with engine_at(FakeAllTalk(), KIND, most_characters=8) as (engine, fake):
        fake.kind = kind
        run = RecordedRun()
        await engine.generate(words("First. Second."), run)
        assert run.mimes == [mime] * count


async def test_another_model_is_loaded_first() -> None:
    async with engine_at(FakeAllTalk(), KIND) as (engine, fake):
        await engine.generate(words(model="piper - en_US"), RecordedRun())
        assert fake.model == "piper - en_US"
        assert [(model.name, model.is_loaded) for model in (await engine.state()).models] == [
            ("xtts - xttsv2_2.0.3", False),
            ("piper - en_US", True),
        ]


@pytest.mark.parametrize(("fault", "error"), [("load_fails", UpstreamError), ("changing", UpstreamOverloaded)])
async def test_a_model_that_is_not_loaded_is_not_spoken_with(fault: str, error: type[UpstreamError]) -> None:
    async with engine_at(FakeAllTalk(), KIND) as (engine, fake):
        fake.fault = fault
        with pytest.raises(error):
            await engine.generate(words(model="piper - en_US"), RecordedRun())
        assert fake.forms == []


async def test_memory_is_given_back_by_loading_the_resting_model() -> None:
    async with engine_at(FakeAllTalk(), KIND, resting_model="piper - en_US") as (engine, fake):
        await engine.unload("another model")
        assert fake.unloads == 0
        assert [model.name for model in (await engine.state()).models if model.is_loaded] == ["xtts - xttsv2_2.0.3"]
        await engine.unload()
        await engine.unload()
        assert (fake.model, fake.unloads) == ("piper - en_US", 1)
        assert not any(model.is_loaded for model in (await engine.state()).models)
    async with engine_at(FakeAllTalk(), KIND) as (engine, _):
        with pytest.raises(NotSupported):
            await engine.unload()
    async with engine_at(FakeAllTalk(), KIND, resting_model="gone") as (engine, _):
        with pytest.raises(ModelNotFound):
            await engine.unload()


async def test_voices_and_state_are_told_without_loading() -> None:
    async with engine_at(FakeAllTalk(), KIND) as (engine, fake):
        assert await engine.voices() == ("female_01.wav", "male_01.wav")
        fake.model = ""
        state = await engine.state()
        assert not any(model.is_loaded for model in state.models)
        fake.fault = "no_voices"
        assert await engine.voices() == ()
        fake.fault = "garbage"
        with pytest.raises(UpstreamInvalid, match="version 2"):
            await engine.state()


async def test_stop_reaches_the_server() -> None:
    async with engine_at(FakeAllTalk(), KIND) as (engine, fake):
        await engine.stop("anything")
        assert (fake.asked[-1].method, fake.asked[-1].path) == ("PUT", "/api/stop-generation")
