import pytest

from aldgate.core.errors import NotSupported, UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamOverloaded, UpstreamRejected
from aldgate.core.generation import Generation, Input, Segment
from aldgate.testing.engines import FakeTranscription
from aldgate.testing.engines.openai_transcription import SEGMENTS, SRT, TEXT, VTT
from tests.engines.runs import RecordedRun
from tests.engines.speaking import engine_at

KIND = "openai-transcription"
HEARD = tuple(Segment(*each) for each in SEGMENTS)


def recording(mime: str = "audio/mpeg", name: str = "", **asked: object) -> Generation:
    given = (Input("audio", mime, b"ID3 and so on", name),)
    return Generation(operation="transcribe", inputs=given, **asked)  # pyright: ignore[reportArgumentType]


async def test_everything_asked_is_in_the_form() -> None:
    async with engine_at(FakeTranscription(), KIND) as (engine, fake):
        options = {"temperature": 0.5, "timestamp_granularities": ["word"]}
        await engine.generate(recording(prompt="names", language="de-AT", options=options), RecordedRun())
        assert fake.forms == [
            {
                "model": "whisper-1",
                "response_format": "verbose_json",
                "prompt": "names",
                "language": "de",
                "temperature": "0.5",
                "timestamp_granularities[]": "word",
                "file": "audio.mp3",
            }
        ]


@pytest.mark.parametrize(
    ("wanted", "segments", "files"),
    [
        (None, HEARD, []),
        ("verbose_json", HEARD, []),
        ("json", (), []),
        ("text", (), []),
        ("srt", HEARD, [(SRT.encode(), "application/x-subrip", "transcript.srt")]),
        ("vtt", HEARD, [(VTT.encode(), "text/vtt", "transcript.vtt")]),
    ],
)
async def test_every_format_says_the_same(
    wanted: str | None, segments: tuple[Segment, ...], files: list[tuple[bytes, str, str]]
) -> None:
    async with engine_at(FakeTranscription(), KIND) as (engine, _):
        run = RecordedRun()
        made = await engine.generate(recording(format=wanted), run)
        assert (made.text, made.segments) == (TEXT, segments)
        assert [(file.data, file.mime, file.name) for file in run.files] == files


async def test_it_says_language_and_length_where_the_server_does() -> None:
    async with engine_at(FakeTranscription(), KIND) as (engine, _):
        made = await engine.generate(recording(), RecordedRun())
        assert (made.language, made.duration_s) == ("english", 3.25)


async def test_a_translation_goes_to_its_own_path() -> None:
    async with engine_at(FakeTranscription(), KIND) as (engine, fake):
        await engine.generate(recording(language="fr", options={"task": "translate"}), RecordedRun())
        assert fake.asked[-1].path == "/v1/audio/translations"
        assert "language" not in fake.forms[0]


@pytest.mark.parametrize("plain", [False, True])
async def test_what_is_heard_is_told_while_it_is_heard(plain: bool) -> None:
    async with engine_at(FakeTranscription(), KIND, streams=True) as (engine, fake):
        fake.plain_events = plain
        run = RecordedRun()
        made = await engine.generate(recording(), run)
        assert made.text == TEXT
        assert ["Hello there.", TEXT] == [told.message for told in run.told][1:3]
        assert all(later.message.startswith(told.message) for told, later in zip(run.told[1:], run.told[2:], strict=False))


@pytest.mark.parametrize(("fault", "error"), [("stops_half_way", UpstreamBroken), ("fails_half_way", UpstreamOverloaded)])
async def test_a_stream_that_does_not_end_well_is_no_transcription(fault: str, error: type[UpstreamError]) -> None:
    async with engine_at(FakeTranscription(), KIND) as (engine, fake):
        fake.fault = fault
        with pytest.raises(error):
            await engine.generate(recording(options={"stream": True}), RecordedRun())


async def test_captions_that_are_none_are_not_kept() -> None:
    async with engine_at(FakeTranscription(), KIND) as (engine, fake):
        fake.fault = "wrong_captions"
        run = RecordedRun()
        with pytest.raises(UpstreamInvalid):
            await engine.generate(recording(format="srt"), run)
        assert run.files == []


async def test_the_table_decides_on_model_and_formats() -> None:
    async with engine_at(FakeTranscription(), KIND, models=["big"], formats=["json"]) as (engine, fake):
        with pytest.raises(UpstreamRejected, match="model_not_found"):
            await engine.generate(recording(name="talk.webm"), RecordedRun())
        assert fake.forms[0] == {"model": "big", "response_format": "json", "file": "talk.webm"}
        with pytest.raises(NotSupported):
            await engine.unload()
