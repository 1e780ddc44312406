"""The builtin models make what is asked for, the same bytes each time; what cannot be is refused before anything begins."""

import asyncio
import io
import os
import threading
import wave
from collections.abc import AsyncIterable, Mapping
from pathlib import Path
from typing import Any

import av
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest, ModelNotFound, NotSupported
from aldgate.core.generation import Generated, Generation, Input, Progress
from aldgate.engines.builtin.media.bounds import chance, seed_of
from aldgate.engines.builtin.media.drawing import drawing
from aldgate.engines.builtin.media.engine import BuiltinMedia
from aldgate.engines.builtin.media.sound import SOUNDS, SoundFile
from aldgate.engines.section import BUILDERS, Surroundings

pytestmark = pytest.mark.anyio
SURROUNDINGS = Surroundings(Path("/nowhere"), dict(os.environ))


class Kept:
    """A `Run` that keeps everything."""

    def __init__(self) -> None:
        self.reference = "the-reference"
        self.handles: list[str] = []
        self.said: list[Progress] = []
        self.files: list[tuple[bytes, str, str, Mapping[str, Any]]] = []
        self.heard = asyncio.Event()

    async def submitting(self, handle: str) -> None:
        self.handles.append(handle)

    def progress(self, progress: Progress) -> None:
        self.said.append(progress)
        self.heard.set()

    async def save(self, data: bytes | AsyncIterable[bytes], *, mime: str, name: str = "", facts: Mapping[str, Any] = {}) -> None:
        self.files.append((data if isinstance(data, bytes) else b"".join([piece async for piece in data]), mime, name, facts))


@pytest.fixture
async def engine():
    made = BUILDERS.load("builtin")("builtin", {}, SURROUNDINGS)
    yield made
    await made.aclose()


async def made(engine: BuiltinMedia, **asked: Any) -> tuple[list[bytes], Generated, Kept]:
    run = Kept()
    result = await engine.generate(Generation(**asked), run)
    assert run.handles == [run.reference]
    fractions = [said.fraction for said in run.said if said.fraction is not None]
    assert fractions == sorted(fractions) and fractions[-1:] in ([1.0], [])
    return [data for data, *_ in run.files], result, run


def png(width: int, height: int, colour: tuple[int, ...], mode: str = "RGB") -> bytes:
    sink = io.BytesIO()
    Image.new(mode, (width, height), colour).save(sink, "PNG")
    return sink.getvalue()


async def test_it_has_every_operation_without_more_than_is_installed(engine: BuiltinMedia) -> None:
    assert engine.operations >= {"image", "video", "music", "audio", "speech", "mesh"}
    state = await engine.state()
    assert {"svg", "clip", "tone", "espeak", "mesh"} <= {model.name for model in state.models} and state.is_busy is False
    await engine.unload()
    assert await engine.adopt("x", Generation(operation="image"), Kept()) is None
    await engine.stop("nobody")


@pytest.mark.parametrize(
    ("asked", "mime"),
    [
        ({"operation": "image", "format": "svg"}, "image/svg+xml"),
        ({"operation": "image", "format": "webp", "width": 64, "height": 48}, "image/webp"),
        ({"operation": "video", "duration_s": 0.5, "width": 64, "height": 48}, "video/mp4"),
        ({"operation": "video", "format": "webm", "duration_s": 0.5, "width": 64, "height": 48}, "video/webm"),
        ({"operation": "music", "duration_s": 1.5, "format": "mp3"}, "audio/mpeg"),
        ({"operation": "audio", "duration_s": 0.5, "format": "flac"}, "audio/flac"),
        ({"operation": "speech", "format": "opus"}, "audio/ogg"),
        ({"operation": "mesh", "format": "glb"}, "model/gltf-binary"),
    ],
)
async def test_the_same_request_gives_the_same_bytes(engine: BuiltinMedia, asked: dict[str, Any], mime: str) -> None:
    once, _, run = await made(engine, prompt="one", **asked)
    again, _, _ = await made(engine, prompt="one", **asked)
    other, _, _ = await made(engine, prompt="two", **asked)
    assert once == again != other
    assert [kind for _, kind, _, _ in run.files] == [mime]


async def test_pictures_have_the_size_and_number_that_was_asked_for(engine: BuiltinMedia) -> None:
    files, result, run = await made(
        engine, operation="image", model="svg", prompt="a sea", count=2, width=120, height=80, steps=3, seed=7, format="png"
    )
    assert [Image.open(io.BytesIO(data)).size for data in files] == [(120, 80)] * 2 and files[0] != files[1]
    assert [facts["seed"] for *_, facts in run.files] == [7, 8] and result.seed == 7
    previews = [said.preview for said in run.said if said.preview]
    assert len(previews) == 4 and Image.open(io.BytesIO(previews[0].data)).size == (120, 80)
    assert [said.step for said in run.said] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("mask", [png(8, 8, (0, 0, 0, 0), "RGBA"), png(8, 8, (255,), "L")])
async def test_a_mask_decides_what_changes(engine: BuiltinMedia, mask: bytes) -> None:
    red = Input("image", "image/png", png(64, 64, (255, 0, 0)))
    kept = Input("mask", "image/png", png(8, 8, (0, 0, 0, 255), "RGBA"))
    untouched, _, _ = await made(engine, operation="image", inputs=(red, kept))
    assert Image.open(io.BytesIO(untouched[0])).getcolors() == [(64 * 64, (255, 0, 0))]
    tinted, _, _ = await made(engine, operation="image", inputs=(red,))
    changed, _, _ = await made(engine, operation="image", inputs=(red, Input("mask", "image/png", mask)))
    assert changed == tinted != untouched


async def test_a_clip_is_as_long_as_asked(engine: BuiltinMedia) -> None:
    files, result, _ = await made(
        engine, operation="video", duration_s=1.5, width=64, height=48, options={"fps": 10}, prompt="waves"
    )
    assert result.duration_s == 1.5
    with av.open(io.BytesIO(files[0])) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (64, 48, 10)
        assert len(list(container.decode(video=0))) == 15 and container.duration == 1_500_000


@pytest.mark.parametrize("format", sorted(set(SOUNDS) - {"pcm"}))
async def test_sounds_are_as_long_as_asked(engine: BuiltinMedia, format: str) -> None:
    files, _, _ = await made(engine, operation="music", duration_s=1.25, format=format)
    with av.open(io.BytesIO(files[0])) as container:
        heard = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert heard == pytest.approx(1.25, abs=0.1)


async def test_speech_is_spoken_by_the_voice_and_at_the_speed(engine: BuiltinMedia) -> None:
    voices = {voice.language for voice in await engine.voices()}
    assert {"en-gb", "de", "pt-br"} <= voices
    text = "The quick brown fox jumps over the lazy dog."
    usual, told, _ = await made(engine, operation="speech", prompt=text, format="wav")
    fast, _, _ = await made(engine, operation="speech", prompt=text, format="wav", speed=2.0)
    nova, _, run = await made(engine, operation="speech", prompt=text, format="wav", voice="nova")
    with wave.open(io.BytesIO(usual[0])) as sound, wave.open(io.BytesIO(fast[0])) as faster:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(told.duration_s)
        assert sound.getnframes() > 1.5 * faster.getnframes() > 10_000
    assert nova != usual and run.files[0][3]["voice"] == "en-us+f4"
    pcm, _, _ = await made(engine, operation="speech", prompt=text, format="pcm")
    assert len(pcm[0]) / 2 / 24_000 == pytest.approx(told.duration_s, abs=0.01)


@pytest.mark.parametrize("format", ["glb", "obj", "ply", "stl"])
async def test_meshes_load_and_are_closed(engine: BuiltinMedia, format: str) -> None:
    files, result, _ = await made(engine, operation="mesh", format=format, options={"detail": 12})
    mesh = trimesh.load(io.BytesIO(files[0]), file_type=format, force="mesh")
    assert len(mesh.faces) == result.details["faces"] and mesh.is_watertight and mesh.volume > 0


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"operation": "image", "width": 15}, "width"),
        ({"operation": "image", "height": 2_049}, "height"),
        ({"operation": "image", "count": 11}, "count"),
        ({"operation": "image", "steps": 0}, "steps"),
        ({"operation": "image", "seed": -1}, "seed"),
        ({"operation": "image", "format": "tiff"}, "format"),
        ({"operation": "image", "options": {"colour": 1}}, "colour"),
        ({"operation": "image", "options": {"pace_ms": "slow"}}, "pace_ms"),
        ({"operation": "image", "options": {"pace_ms": float("nan")}}, "pace_ms"),
        ({"operation": "image", "inputs": (Input("image", "image/png", b"nothing"),)}, "image"),
        ({"operation": "image", "inputs": (Input("mask", "image/png", png(4, 4, (0,), "L")),)}, "image"),
        ({"operation": "image", "format": "svg", "inputs": (Input("image", "image/png", png(4, 4, (0,), "L")),)}, "format"),
        ({"operation": "video", "width": 33}, "width"),
        ({"operation": "video", "duration_s": 61}, "duration_s"),
        ({"operation": "video", "duration_s": 60, "width": 1_920, "height": 1_080}, "duration_s"),
        ({"operation": "video", "options": {"fps": True}}, "fps"),
        ({"operation": "music", "duration_s": 301}, "duration_s"),
        ({"operation": "audio", "duration_s": float("inf")}, "duration_s"),
        ({"operation": "speech", "prompt": " "}, "prompt"),
        ({"operation": "speech", "prompt": "a" * 20_001}, "prompt"),
        ({"operation": "speech", "prompt": "a", "speed": 5}, "speed"),
        ({"operation": "mesh", "options": {"detail": 300}}, "detail"),
    ],
)
async def test_what_cannot_be_is_refused_before_it_begins(engine: BuiltinMedia, asked: dict[str, Any], param: str) -> None:
    run = Kept()
    with pytest.raises(InvalidRequest) as refusal:
        await engine.generate(Generation(**asked), run)
    assert refusal.value.param == param and run.handles == [] and run.files == []


async def test_voices_that_are_found_by_their_language(engine: BuiltinMedia) -> None:
    for voice in ("en-gb", "fr-fr"):
        _, _, run = await made(engine, operation="speech", prompt="hello", format="wav", voice=voice)
        assert run.files[0][3]["voice"] == voice


async def test_a_voice_that_nobody_has(engine: BuiltinMedia) -> None:
    with pytest.raises(InvalidRequest, match="no voice `tlhingan`"):
        await engine.generate(Generation(operation="speech", prompt="nuqneH", voice="tlhIngan"), Kept())


async def test_a_damaged_picture_is_the_callers_fault(engine: BuiltinMedia) -> None:
    cut = Input("image", "image/png", png(200, 200, (9, 9, 9))[:-40])
    with pytest.raises(InvalidRequest, match="damaged"):
        await engine.generate(Generation(operation="image", inputs=(cut,)), Kept())


async def test_models_that_are_not_there(engine: BuiltinMedia) -> None:
    with pytest.raises(ModelNotFound):
        await engine.generate(Generation(operation="image", model="clip"), Kept())
    few = BUILDERS.load("builtin")("few", {"models": ["tone"]}, SURROUNDINGS)
    assert few.operations == {"music", "audio"}
    with pytest.raises(ModelNotFound):
        await few.generate(Generation(operation="mesh"), Kept())
    await few.aclose()
    with pytest.raises(ConfigError):
        BUILDERS.load("builtin")("bad", {"pace": 3}, SURROUNDINGS)


async def test_what_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aldgate.engines.builtin.media.engine.is_there", lambda name: name != "trimesh")
    lacking = BUILDERS.load("builtin")("lacking", {}, SURROUNDINGS)
    assert "mesh" not in lacking.operations
    with pytest.raises(NotSupported, match="trimesh"):
        await lacking.generate(Generation(operation="mesh"), Kept())
    await lacking.aclose()


@pytest.mark.parametrize("asked", [{"operation": "image", "steps": 150}, {"operation": "video", "duration_s": 60}])
async def test_a_cancelled_job_stops_with_its_step(engine: BuiltinMedia, asked: dict[str, Any]) -> None:
    run = Kept()
    work = asyncio.create_task(engine.generate(Generation(width=32, height=32, **asked), run))
    await run.heard.wait()
    work.cancel()
    await engine.stop(run.reference)
    with pytest.raises(asyncio.CancelledError):
        await work
    said = len(run.said)
    assert (await engine.state()).is_busy is False and run.files == []
    files, _, _ = await made(engine, operation="image", width=32, height=32)
    assert len(files) == 1 and len(run.said) == said


async def test_speech_that_is_cancelled_closes_its_file_when_the_encoder_has_ended(
    engine: BuiltinMedia, monkeypatch: pytest.MonkeyPatch
) -> None:
    encodes, go_on = threading.Event(), threading.Event()
    happened: list[str] = []
    feed, close = SoundFile.feed, SoundFile.close

    def slow(file: SoundFile, samples: bytes) -> bytes:
        encodes.set()
        go_on.wait(10)
        happened.append("fed")
        return feed(file, samples)

    def closed(file: SoundFile) -> None:
        happened.append("closed")
        close(file)

    monkeypatch.setattr(SoundFile, "feed", slow)
    monkeypatch.setattr(SoundFile, "close", closed)
    work = asyncio.create_task(engine.generate(Generation(operation="speech", prompt="one two", format="mp3"), Kept()))
    await asyncio.to_thread(encodes.wait, 10)
    work.cancel()
    await asyncio.wait([work], timeout=0.05)
    assert happened == []
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert happened == ["fed", "closed"]


async def test_a_pace_makes_it_wait_at_each_step(engine: BuiltinMedia) -> None:
    run = Kept()
    slow = asyncio.create_task(
        engine.generate(Generation(operation="image", width=16, height=16, options={"pace_ms": 60_000}), run)
    )
    await run.heard.wait()
    assert (await engine.state()).is_busy is True
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert len(run.said) == 1


@given(st.text(), st.integers(0, 2**63 - 1), st.integers(16, 2_048), st.integers(16, 2_048), st.floats(0, 1))
def test_every_drawing_is_well_formed(prompt: str, seed: int, width: int, height: int, share: float) -> None:
    from xml.etree import ElementTree

    root = ElementTree.fromstring(drawing(prompt, seed, width, height, share=share))
    assert (root.get("width"), root.get("height")) == (str(width), str(height))


@given(
    st.lists(st.binary(max_size=5_000).map(lambda data: data[: len(data) & ~1]), max_size=6),
    st.sampled_from(["wav", "pcm", "flac"]),
)
def test_how_samples_come_does_not_show(pieces: list[bytes], format: str) -> None:
    whole, cut = SoundFile(format, 24_000), SoundFile(format, 24_000)
    joined = b"".join(pieces)
    at_once = whole.feed(joined) + whole.end()
    assert b"".join([*(cut.feed(piece) for piece in pieces), cut.end()]) == at_once
    whole.close()
    cut.close()
    assert whole.samples == cut.samples == len(joined) // 2


def test_seeds_follow_from_prompts() -> None:
    asked = Generation(operation="image", prompt="a")
    assert (
        seed_of(asked) == seed_of(Generation(operation="image", prompt="a")) != seed_of(Generation(operation="image", prompt="b"))
    )
    assert chance("a", 1).random() == chance("a", 1).random() != chance("a1").random()
