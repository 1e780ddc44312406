"""What HeartMuLa's library and the server around it are asked."""

from contextlib import aclosing
from pathlib import Path

from aldgate.core.generation import Generation
from aldgate.engines.heartmula import build
from aldgate.engines.section import Surroundings
from aldgate.testing.engines import FakeHeartMula, FakePrograms
from tests.engines.runs import RecordedRun

SONG = Generation(operation="music", prompt="pop, happy , ", lyrics="[Verse]\nla", duration_s=20, options={"top_k": 40})


async def test_the_library_gets_tags_without_spaces(tmp_path: Path) -> None:
    async with FakePrograms(tmp_path) as fake:
        table = {**fake.table("heartmula"), "weights": "/models"}
        await build("mine", table, Surroundings(tmp_path, {})).generate(SONG, RecordedRun())
        [given] = fake.given
        assert given == repr({"lyrics": "[Verse]\nla", "tags": "pop,happy", "topk": 40, "max_audio_length_ms": 20000})


async def test_the_server_gets_what_it_knows() -> None:
    async with FakeHeartMula() as fake, aclosing(build("mine", {"base_url": fake.url}, Surroundings(Path(), {}))) as mine:
        await mine.generate(SONG, RecordedRun())
        told = {"prompt": "pop, happy , ", "tags": "pop,happy", "lyrics": "[Verse]\nla", "duration": 20, "top_k": 40}
        assert fake.given == [told]
