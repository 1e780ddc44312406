import io
import wave

import pytest

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest, NotSupported, UpstreamBroken, UpstreamRejected, UpstreamTimeout
from aldgate.core.generation import Generation
from aldgate.testing.engines import FakeSpeech
from aldgate.testing.engines.noises import RATE, sound
from tests.engines.runs import RecordedRun
from tests.engines.speaking import built, engine_at

KIND = "openai-speech"


def words(**asked: object) -> Generation:
    return Generation(operation="speech", **{"prompt": "Hello", **asked})  # pyright: ignore[reportArgumentType]


async def test_what_is_asked_is_sent_in_openai_s_words() -> None:
    async with engine_at(FakeSpeech(), KIND) as (engine, fake):
        await engine.generate(words(speed=1.25, format="opus", options={"lang_code": "b"}), RecordedRun())
        assert fake.body("/v1/audio/speech") == {
            "model": "kokoro",
            "input": "Hello",
            "voice": "af_heart",
            "speed": 1.25,
            "response_format": "opus",
            "lang_code": "b",
        }


@pytest.mark.parametrize(
    ("kind", "mime", "name"),
    [
        ("mp3", "audio/mpeg", "speech.mp3"),
        ("opus", "audio/ogg", "speech.opus"),
        ("aac", "audio/aac", "speech.aac"),
        ("flac", "audio/flac", "speech.flac"),
        ("pcm", "audio/pcm", "speech.pcm"),
    ],
)
async def test_sound_is_passed_on_as_it_comes(kind: str, mime: str, name: str) -> None:
    async with engine_at(FakeSpeech(), KIND) as (engine, _):
        run = RecordedRun()
        await engine.generate(words(format=kind), run)
        assert [(file.data, file.mime, file.name) for file in run.files] == [(sound(kind), mime, name)]


async def test_a_wav_that_was_streamed_gets_the_length_that_it_has() -> None:
    async with engine_at(FakeSpeech(), KIND) as (engine, _):
        run = RecordedRun()
        made = await engine.generate(words(format="wav"), run)
        with wave.open(io.BytesIO(run.files[0].data)) as read:
            assert read.getnframes() == RATE // 10
        assert made.duration_s == run.files[0].facts["duration_s"] == pytest.approx(0.1)


async def test_a_file_is_what_it_is_and_not_what_was_asked_for() -> None:
    async with engine_at(FakeSpeech(), KIND) as (engine, fake):
        fake.ignores_format = "flac"
        run = RecordedRun()
        await engine.generate(words(format="mp3"), run)
        assert (run.files[0].mime, run.files[0].name) == ("audio/flac", "speech.flac")


@pytest.mark.parametrize(
    ("listed", "voices"),
    [
        ([{"id": "a", "name": "A"}, {"name": "b"}], ("a", "b")),
        (["a", "b"], ("a", "b")),
        (None, ()),
    ],
)
async def test_voices_are_listed_as_objects_as_names_or_not_at_all(listed: list[object] | None, voices: tuple[str, ...]) -> None:
    async with engine_at(FakeSpeech(), KIND) as (engine, fake):
        fake.voices = listed
        assert await engine.voices() == voices
        await engine.generate(words(), RecordedRun())
        assert fake.body("/v1/audio/speech").get("voice") == next(iter(voices), None)


async def test_the_table_names_model_voice_and_key() -> None:
    fake = FakeSpeech()
    async with fake:
        table = {"base_url": fake.url, "models": ["tts-1"], "voice": "nova", "api_key": "env:KEY"}
        engine = built(KIND, table, environment={"KEY": "secret"})
        await engine.generate(words(), RecordedRun())
        await engine.aclose()
        sent = fake.asked[-1]
        assert sent.headers["Authorization"] == "Bearer secret"
        assert fake.body("/v1/audio/speech") == {"model": "tts-1", "input": "Hello", "voice": "nova"}
        assert len(fake.asked) == 1


async def test_a_model_that_is_not_there_is_the_caller_s_to_mend() -> None:
    async with engine_at(FakeSpeech(), KIND) as (engine, fake):
        with pytest.raises(UpstreamRejected, match="invalid_model"):
            await engine.generate(words(model="parrot"), RecordedRun())
        assert fake.works == 0


async def test_work_that_is_silent_for_too_long_is_given_up() -> None:
    async with engine_at(FakeSpeech(), KIND, run_timeout_s=0.2) as (engine, fake):
        fake.hold()
        with pytest.raises(UpstreamTimeout):
            await engine.generate(words(), RecordedRun())


async def test_it_is_waited_out_where_it_goes_on_without_a_connection() -> None:
    engine = built(KIND, {"ends_with_connection": False})
    assert engine.recovery == "wait"
    with pytest.raises(NotSupported):
        await engine.unload()


async def test_a_text_may_be_too_long_for_it() -> None:
    with pytest.raises(InvalidRequest, match="takes 3"):
        await built(KIND, {"most_characters": 3}).generate(words(), RecordedRun())


@pytest.mark.parametrize("url", ["localhost:1", "http://me:secret@host", "ftp://host"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        built(KIND, {"base_url": url})


async def test_a_stream_that_breaks_off_is_not_kept_as_whole() -> None:
    async with engine_at(FakeSpeech(), KIND) as (engine, fake):
        fake.fault = "truncated"
        run = RecordedRun()
        with pytest.raises(UpstreamBroken):
            await engine.generate(words(format="mp3"), run)
        assert run.files == []
