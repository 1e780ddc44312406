"""What goes over the wire, as each version wants it. What every engine does is in `tests/engines/test_contract.py`."""

from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest, UpstreamAuth, UpstreamError, UpstreamInvalid, UpstreamTimeout
from aldgate.core.generation import Generation
from aldgate.engines.audiocraft import PRESET as AUDIOCRAFT
from aldgate.engines.gradio.engine import GradioEngine, build
from aldgate.engines.section import BUILDERS, Surroundings
from aldgate.testing.engines import FakeGradio
from aldgate.testing.engines.gradio import TUNE
from tests.engines.contract.music import GRADIO_TABLE, SONG
from tests.engines.runs import RecordedRun

AROUND = Surroundings(Path(), {"PASSWORD": "secret", "WRONG": "wrong"})
ARGUMENTS = {"prompt": "Prompt", "duration_s": 1, "audio": 2, "seed": 3, "model": "Model"}


def engine(fake: FakeGradio, **table: Any) -> GradioEngine:
    return build("mine", {**GRADIO_TABLE, "arguments": ARGUMENTS, "base_url": fake.url, **table}, AROUND)


@pytest.mark.parametrize("version", ["4.44.1", "5.50.0", "6.31.0"])
async def test_what_the_function_gets(version: str) -> None:
    async with FakeGradio(version) as fake, aclosing(engine(fake)) as mine:
        run = RecordedRun()
        made = await mine.generate(SONG, run)
        [[prompt, seconds, melody, state, seed, model]] = fake.calls
        assert (prompt, seconds, state, seed, model) == ("a song", 10, None, "7", "large")
        assert melody["meta"] == {"_type": "gradio.FileData"}
        assert fake.uploads[melody["path"]] == SONG.inputs[0].data
        assert (made.seed, run.files[0].data, run.files[0].facts) == (7, TUNE, {"seed": 7})
        assert fake.asked[-1].path.startswith("/gradio_api/file=" if version[0] in "56" else "/file=")


async def test_gradio_3_gets_files_whole() -> None:
    async with FakeGradio("3.50.2") as fake, aclosing(engine(fake)) as mine:
        run = RecordedRun()
        await mine.generate(SONG, run)
        assert fake.calls[0][2]["data"].startswith("data:audio/wav;base64,") and fake.calls[0][2]["is_file"] is False
        assert run.files[0].data == TUNE


async def test_a_seed_is_drawn_and_told() -> None:
    async with FakeGradio() as fake, aclosing(engine(fake)) as mine:
        made = await mine.generate(Generation(operation="music", prompt="x"), RecordedRun())
        assert fake.calls[0][4] == str(made.seed) != "-1"
        assert fake.calls[0][1:3] == [10, None]


async def test_wishes_of_a_request_are_no_fields_that_it_must_take() -> None:
    async with FakeGradio() as fake, aclosing(engine(fake)) as mine:
        for hints in ({}, {"quality": "hd"}):
            await mine.generate(Generation(operation="music", prompt="x", hints=hints), RecordedRun())
        assert len(fake.calls) == 2
    with pytest.raises(ConfigError):
        build("mine", {**GRADIO_TABLE, "arguments": {"hints": 0}}, AROUND)


async def test_constants_and_options() -> None:
    async with FakeGradio() as fake, aclosing(engine(fake, constants={"1": 20}, options=["duration", "model"])) as mine:
        await mine.generate(Generation(operation="music", prompt="x", options={"model": "small"}), RecordedRun())
        assert (fake.calls[0][1], fake.calls[0][5]) == (20, "small")
        for options in ({"model": {"path": "/etc/passwd"}}, {"melody": "/etc/passwd"}, {"model": "huge"}):
            with pytest.raises(InvalidRequest):
                await mine.generate(Generation(operation="music", prompt="x", options=options), RecordedRun())


async def test_a_parameter_that_is_not_there() -> None:
    async with FakeGradio() as fake, aclosing(engine(fake, constants={"tempo": 3})) as mine:
        with pytest.raises(UpstreamInvalid, match="text, duration, melody, seed, model"):
            await mine.generate(SONG, RecordedRun())
        assert fake.works == 0


async def test_it_logs_in_and_again_when_the_app_was_restarted() -> None:
    table = {"username": "ann", "api_key": "env:PASSWORD"}
    async with FakeGradio(login=("ann", "secret")) as fake, aclosing(engine(fake, **table)) as mine:
        await mine.generate(SONG, RecordedRun())
        fake._token = ""
        await mine.generate(SONG, RecordedRun())
        assert [each.path for each in fake.asked].count("/login") == 2
        assert not any("secret" in each.headers.get("Authorization", "") for each in fake.asked)
    async with FakeGradio(login=("ann", "secret")) as fake, aclosing(engine(fake, **{**table, "api_key": "env:WRONG"})) as mine:
        with pytest.raises(UpstreamAuth, match="`ann`"):
            await mine.state()


async def test_silence_is_a_fault() -> None:
    async with FakeGradio() as fake, aclosing(engine(fake, request_timeout_s=0.3)) as mine:
        fake.fault = "silent"
        with pytest.raises(UpstreamTimeout):
            await mine.generate(SONG, RecordedRun())


async def test_what_cannot_be_known_to_have_stopped_is_not_said_to_have() -> None:
    async with FakeGradio() as fake, aclosing(engine(fake, recovery="wait")) as mine:
        with pytest.raises(UpstreamError, match="Nobody can know"):
            await mine.stop(RecordedRun().reference)


async def test_an_app_below_a_path() -> None:
    async with FakeGradio("4.44.1") as fake:
        async with aclosing(engine(fake, base_url=fake.url + "/app")) as mine:
            with pytest.raises(UpstreamError):
                await mine.state()
        assert fake.asked[-1].path == "/app/config"


@pytest.mark.parametrize(
    "table",
    [
        {"operations": []},
        {"endpoint": ""},
        {"arguments": {"tempo": "x"}},
        {"arguments": {"prompt": -1}},
        {"colour": "red"},
        {"username": "ann"},
        {"base_url": "ftp://x"},
    ],
)
def test_a_table_that_cannot_be_used(table: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        build("mine", {**GRADIO_TABLE, **table}, AROUND)


@pytest.mark.parametrize("kind", ["audiocraft", "stable-audio"])
def test_a_preset_needs_no_table(kind: str) -> None:
    made = BUILDERS.load(kind)("mine", {}, AROUND)
    assert (made.kind, "music" in made.operations, made.recovery) == (kind, True, "cancel")


def test_audiocraft_takes_positions() -> None:
    assert all(isinstance(place, int) for place in AUDIOCRAFT["arguments"].values())
