"""What goes to ACE-Step, and what is made of its answers."""

from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from aldgate.core.errors import UpstreamError
from aldgate.core.generation import Generation, Input
from aldgate.engines.ace_step import AceStep, build
from aldgate.engines.section import Surroundings
from aldgate.testing.engines import FakeAceStep
from tests.engines.runs import RecordedRun


def engine(fake: FakeAceStep, **table: Any) -> AceStep:
    return build("mine", {"base_url": fake.url, "poll_s": 0.02, **table}, Surroundings(Path(), {"KEY": "k"}))


async def test_a_seed_counts_only_where_none_is_drawn() -> None:
    async with FakeAceStep() as fake, aclosing(engine(fake, api_key="env:KEY")) as mine:
        run = RecordedRun()
        asked = Generation(operation="music", prompt="x", seed=7, language="pt-BR", options={"bpm": 90})
        made = await mine.generate(asked, run)
        [task] = fake.given
        assert (task["seed"], task["use_random_seed"], task["batch_size"]) == (7, False, 1)
        assert (task["vocal_language"], task["audio_format"], task["bpm"]) == ("pt", "mp3", 90)
        assert not {"audio_duration", "inference_steps", "model"} & set(task)
        assert (made.seed, run.files[0].name, run.files[0].facts) == (7, "0.mp3", {"seed": "7"})
        assert made.details["bpm"] == 120
        assert {each.headers["Authorization"] for each in fake.asked} == {"Bearer k"}


@pytest.mark.parametrize(("options", "field"), [({}, "reference_audio"), ({"task_type": "cover"}, "src_audio")])
async def test_sound_is_sent_along(options: dict[str, str], field: str) -> None:
    async with FakeAceStep() as fake, aclosing(engine(fake)) as mine:
        given = Input("audio", "audio/wav", b"RIFF")
        await mine.generate(Generation(operation="music", prompt="x", inputs=(given,), options=options), RecordedRun())
        assert fake.given[0][field] == b"RIFF"
        assert fake.given[0]["use_random_seed"] == "false"


async def test_it_has_stopped_when_it_works_on_nothing() -> None:
    async with FakeAceStep() as fake, aclosing(engine(fake)) as mine:
        unknown = RecordedRun().reference
        await mine.stop(unknown)
        fake.tasks["somebody-elses"] = (0, 0.5)
        assert (await mine.state()).is_busy
        with pytest.raises(UpstreamError):
            await mine.stop(unknown)


async def test_models_that_the_table_does_not_name_are_not_told() -> None:
    async with FakeAceStep() as fake, aclosing(engine(fake, models=["acestep-v15-base"])) as mine:
        assert [model.name for model in (await mine.state()).models] == ["acestep-v15-base"]
