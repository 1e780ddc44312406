"""What is Wan2GP's own; what every engine does is in the contract suite."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest, UpstreamError, UpstreamOverloaded, UpstreamTimeout, UpstreamUnreachable
from aldgate.core.generation import Generation, Input
from aldgate.engines.group import Group
from aldgate.engines.programs.engine import ProgramEngine
from aldgate.engines.programs.process import group_in
from aldgate.engines.section import Surroundings
from aldgate.engines.wan2gp import build
from aldgate.testing.engines import FakeWan2GP
from aldgate.testing.engines.pictures import png
from tests.engines.runs import RecordedRun

ASKED = Generation(operation="video", prompt="a fox runs")


def wan2gp(fake: FakeWan2GP, data: Path, **table: Any) -> ProgramEngine:
    given = {"command": fake.command, "models": ["t2v_1.3B", "i2v"], **table}
    return build("mine", given, Surroundings(data=data, environment={"PATH": os.defpath, "OPENAI_API_KEY": "hush"}))


def group_of(data: Path, run: RecordedRun) -> Group:
    """Of the process of an attempt under way."""
    group = group_in(data / "engines" / "mine" / run.reference)
    assert group is not None
    return group


def settings(fake: FakeWan2GP) -> dict[str, Any]:
    return json.loads((fake.folder / "settings").read_text())


async def test_settings_say_what_was_asked(tmp_path: Path) -> None:
    fake = FakeWan2GP(tmp_path)
    engine = wan2gp(fake, tmp_path, settings={"guidance_scale": 5, "tea_cache_setting": 2})
    run = RecordedRun()
    inputs = (Input(role="image", mime="image/png", data=png()),)
    asked = Generation(
        operation="video",
        model="i2v",
        prompt="a fox runs",
        seed=3,
        width=832,
        height=480,
        steps=20,
        duration_s=5,
        count=2,
        options={"force_fps": "24"},
        inputs=inputs,
    )
    await engine.generate(asked, run)
    sent = settings(fake)
    expected = {"model_type": "i2v", "prompt": "a fox runs", "seed": 3, "resolution": "832x480", "num_inference_steps": 20}
    expected |= {"video_length": "5s", "repeat_generation": 2, "force_fps": "24", "image_prompt_type": "S"}
    expected |= {"guidance_scale": 5, "tea_cache_setting": 2}
    assert sent.items() >= expected.items()
    assert sent["image_start"].endswith("input-0.png")
    assert [file.name for file in run.files] == ["video_1.mp4", "video_2.mp4"]
    assert run.fractions == [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0]
    assert run.told[0].message == "Denoising"
    assert list((tmp_path / "engines" / "mine").iterdir()) == [], "nothing is left lying about"


async def test_a_worker_that_took_over_ends_the_process(tmp_path: Path) -> None:
    fake = FakeWan2GP(tmp_path)
    fake.hold()
    engine, other = wan2gp(fake, tmp_path), wan2gp(fake, tmp_path)
    run = RecordedRun()
    making = asyncio.create_task(engine.generate(ASKED, run))
    await fake.until_working()
    group = group_of(tmp_path, run)
    assert group.is_alive
    await other.stop(run.handles[0])
    assert not group.is_alive
    with pytest.raises(UpstreamError) as raised:
        await making
    assert raised.value.upstream_code == "interrupted"
    assert len(fake.stopped) == 1


async def test_one_that_does_not_heed_is_killed(tmp_path: Path) -> None:
    script = "import signal, time\nfor each in (2, 15): signal.signal(each, signal.SIG_IGN)\nprint('[1/2] x', flush=True)\n"
    (tmp_path / "deaf.py").write_text(script + "while True: time.sleep(1)\n")
    fake = FakeWan2GP(tmp_path)
    engine = wan2gp(fake, tmp_path, command=[sys.executable, str(tmp_path / "deaf.py")], stop_s=0.2)
    run = RecordedRun()
    making = asyncio.create_task(engine.generate(ASKED, run))
    async with asyncio.timeout(10):
        while not run.told:
            await asyncio.sleep(0)
    group = group_of(tmp_path, run)
    making.cancel()
    await asyncio.wait([making])
    assert not group.is_alive
    await engine.stop(run.handles[0])


async def test_work_that_takes_too_long_is_interrupted(tmp_path: Path) -> None:
    fake = FakeWan2GP(tmp_path)
    fake.hold()
    engine = wan2gp(fake, tmp_path, run_timeout_s=0.5)
    run = RecordedRun()
    making = asyncio.create_task(engine.generate(ASKED, run))
    await fake.until_working()
    group = group_of(tmp_path, run)
    with pytest.raises(UpstreamTimeout):
        await making
    assert not group.is_alive


async def test_it_sees_no_keys_of_the_gate(tmp_path: Path) -> None:
    (tmp_path / "show.py").write_text("import os, sys\nprint(sorted(os.environ))\nsys.exit(1)\n")
    engine = wan2gp(FakeWan2GP(tmp_path), tmp_path, command=[sys.executable, str(tmp_path / "show.py")], env={"MINE": "1"})
    with pytest.raises(UpstreamError, match="MINE") as raised:
        await engine.generate(ASKED, RecordedRun())
    assert "OPENAI" not in raised.value.message


async def test_what_is_not_installed_is_unreachable(tmp_path: Path) -> None:
    fake = FakeWan2GP(tmp_path)
    with pytest.raises(UpstreamUnreachable, match="not installed"):
        await wan2gp(fake, tmp_path, working_dir="/nowhere").state()
    with pytest.raises(UpstreamUnreachable, match="cannot be started"):
        await wan2gp(fake, tmp_path, working_dir="/nowhere").generate(ASKED, RecordedRun())
    for table in ({"models": []}, {"models": ["a"], "command": []}):
        with pytest.raises(ConfigError):
            build("mine", table, Surroundings(data=tmp_path, environment={}))


async def test_out_of_memory_has_its_code(tmp_path: Path) -> None:
    fake = FakeWan2GP(tmp_path)
    fake.fault = "out_of_memory"
    with pytest.raises(UpstreamOverloaded) as raised:
        await wan2gp(fake, tmp_path).generate(ASKED, RecordedRun())
    assert raised.value.upstream_code == "out_of_memory"


@pytest.mark.parametrize(
    "asked",
    [
        Generation(operation="video", width=10),
        Generation(operation="video", strength=1.0),
        Generation(operation="video", format="webm"),
        Generation(operation="video", options={"image_start": "/etc/passwd"}),
    ],
)
async def test_what_it_cannot_do_is_refused_before(asked: Generation, tmp_path: Path) -> None:
    fake = FakeWan2GP(tmp_path)
    with pytest.raises(InvalidRequest):
        await wan2gp(fake, tmp_path).generate(asked, RecordedRun())
    assert fake.loads == 0
