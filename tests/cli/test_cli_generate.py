"""`aldgate generate`: a thing made by a real gate, and what is asked of one."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.loopback_gate import KEY, Aldgate, LoopbackGate
from tests.cli.serving import COMMAND, PATIENCE_S, Serving, surroundings
from tests.cli.test_cli_jobs import DONE, HALF_WAY, job

PNG = b"\x89PNG\r\n"
TWO = {"artifacts": [{**DONE["result"]["artifacts"][0], "url": f"/v1/artifacts/art-{n}"} for n in (1, 2)], "text": None}


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    home = tmp_path_factory.mktemp("serving")
    with Serving(home, "--port", "0", "--data", str(home / "data")) as gate:
        yield gate


@pytest.fixture
def made(gate: LoopbackGate) -> LoopbackGate:
    """A gate that makes a picture at once."""
    gate.reply("POST", "/v1/jobs", DONE, status=202)
    gate.reply("GET", "/v1/artifacts/art-1?x=1", PNG)
    return gate


def test_each_kind_is_made_and_saved(serving: Serving) -> None:
    wanted = {
        "image": ("fox.webp", b"RIFF", ("--size", "64x48", "--seed", "7", "--engine", "builtin", "--model", "svg")),
        "video": ("fox.mp4", b"", ("--size", "64x64", "--duration", "0.5")),
        "audio": ("hum.wav", b"RIFF", ("--duration", "0.5")),
        "music": ("song.wav", b"RIFF", ("--duration", "0.5")),
        "speech": ("said.wav", b"RIFF", ("--voice", "en-gb", "--speed", "1.5")),
        "mesh": ("fox.glb", b"glTF", ()),
    }
    home = serving._home
    for what, (name, head, more) in wanted.items():
        result = serving.aldgate("generate", what, "a fox", "-o", name, *more)
        assert (result.code, result.out) == (0, f"{name}\n"), result.err
        assert (home / name).read_bytes().startswith(head) and (home / name).stat().st_size > 100


def test_several_are_numbered_and_nothing_is_written_over(serving: Serving) -> None:
    arguments = ("generate", "image", "a hen", "-n", "2", "-o", "hen.png", "--size", "32x32")
    first = serving.aldgate(*arguments)
    assert first.out == "hen-1.png\nhen-2.png\n", first.err
    again = serving.aldgate(*arguments)
    assert again.code == 1 and "hen-1.png is there already" in again.err
    forced = serving.aldgate(*arguments, "--force", "--json")
    assert forced.json["files"] == ["hen-1.png", "hen-2.png"] and forced.json["state"] == "succeeded"
    assert not list(serving._home.glob(".*.part"))


def test_an_input_is_uploaded(serving: Serving) -> None:
    assert serving.aldgate("generate", "image", "a cow", "-o", "cow.png", "--size", "32x32").code == 0
    varied = serving.aldgate(
        "generate", "image", "a cow", "--input", "image=cow.png", "--strength", "0.5", "-o", "cow2.png", "--json"
    )
    assert varied.code == 0, varied.err
    parent = varied.json["result"]["artifacts"][0]["id"]
    again = serving.aldgate("generate", "image", "a cow", "--input", parent, "-o", "cow3.png")
    assert again.code == 0, again.err


def test_without_waiting_it_is_the_jobs_id(serving: Serving) -> None:
    begun = serving.aldgate("generate", "image", "a goat", "--no-wait", "--size", "32x32")
    assert begun.out.startswith("job-")
    watched = serving.aldgate("jobs", "watch", begun.out.strip())
    assert watched.code == 0 and "image/png" in watched.out
    assert begun.out.strip() in serving.aldgate("jobs", "list", "--state", "succeeded").out


def test_text_comes_from_any_model(serving: Serving) -> None:
    said = serving.aldgate("generate", "text", "hello there", "--model", "builtin/echo")
    assert (said.code, said.out) == (0, "hello there\n"), said.err
    assert serving.aldgate("generate", "text", "hello", "--model", "builtin/echo", "-o", "said.txt").out == "said.txt\n"
    assert (serving._home / "said.txt").read_text() == "hello"


def test_what_fails_says_why_and_writes_nothing(serving: Serving) -> None:
    result = serving.aldgate("generate", "image", "x", "-o", "never.png", "--option", "unknown=1")
    assert result.code == 1 and "failed" in result.err and not (serving._home / "never.png").exists()
    nobody = serving.aldgate("generate", "image", "x", "--model", "nobody/x")
    assert nobody.code == 1 and "No engine is meant" in nobody.err


def test_an_interrupt_stops_the_job(serving: Serving) -> None:
    environment = surroundings(serving._home, ALDGATE_URL=serving.urls[0], ALDGATE_ADMIN_KEY=serving.admin_key or "")
    arguments = ("generate", "image", "slow", "--option", "pace_ms=60000", "--engine", "builtin")
    run = subprocess.Popen([*COMMAND, *arguments], cwd=serving._home, env=environment, stderr=subprocess.PIPE, text=True)
    assert run.stderr is not None
    while "running" not in (line := run.stderr.readline()):
        assert line, "it ended by itself"
    run.send_signal(signal.SIGINT)
    _, rest = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 130 and "is being stopped" in rest
    (ended,) = serving.aldgate("jobs", "list", "--limit", "1", "--json").json["data"]
    watched = serving.aldgate("jobs", "watch", ended["id"])
    assert watched.code == 1 and "was cancelled" in watched.err


def test_what_is_asked_for_is_what_was_said(aldgate: Aldgate, made: LoopbackGate) -> None:
    numbers = ("--seed", "3", "--steps", "9", "--guidance", "7.5", "--size", "64x32", "--duration", "2", "--speed", "2")
    words = ("--negative", "cats", "--lyrics", "la", "--voice", "bob", "--language", "pt-BR", "--strength", "0.25")
    own = ("--option", "cfg=true", "--option", "name=x", "--engine", "comfyui", "--model", "sdxl")
    assert aldgate("generate", "image", "a fox", "-o", "fox.jpg", *numbers, *words, *own).code == 0
    assert made.requests[0].body == {
        "operation": "image",
        "model": "comfyui/sdxl",
        "prompt": "a fox",
        "negative_prompt": "cats",
        "lyrics": "la",
        "seed": 3,
        "width": 64,
        "height": 32,
        "steps": 9,
        "guidance": 7.5,
        "strength": 0.25,
        "duration_s": 2.0,
        "voice": "bob",
        "speed": 2.0,
        "language": "pt-BR",
        "format": "jpeg",
        "options": {"cfg": True, "name": "x"},
    }


def test_a_file_that_is_something_else_is_told_of(aldgate: Aldgate, made: LoopbackGate, home: Path) -> None:
    result = aldgate("generate", "image", "a fox", "-o", "fox.jpg")
    assert "fox.jpg is image/png" in result.err and (home / "fox.jpg").read_bytes() == PNG


def test_standard_output_gets_the_bytes_alone(aldgate: Aldgate, made: LoopbackGate, home: Path) -> None:
    environment = surroundings(home, ALDGATE_URL=made.url, ALDGATE_ADMIN_KEY=KEY)
    arguments = ("generate", "image", "a fox", "-o", "-")
    run = subprocess.run([*COMMAND, *arguments], cwd=home, env=environment, capture_output=True, timeout=PATIENCE_S)
    assert (run.returncode, run.stdout) == (0, PNG)
    assert aldgate("generate", "image", "a fox", "-n", "2", "-o", "-").code == 2


def test_where_nothing_is_said_the_file_is_called_after_the_job(aldgate: Aldgate, made: LoopbackGate, home: Path) -> None:
    assert aldgate("generate", "image", "a fox").out == "job-1.png\n"
    (home / "pictures").mkdir()
    assert aldgate("generate", "image", "a fox", "-o", "pictures").out == "pictures/job-1.png\n"


def test_more_than_was_asked_for_is_saved_all(aldgate: Aldgate, gate: LoopbackGate, home: Path) -> None:
    gate.reply("POST", "/v1/jobs", {**DONE, "result": TWO}, status=202)
    gate.reply("GET", "/v1/artifacts/art-1", PNG)
    gate.reply("GET", "/v1/artifacts/art-2", b"second")
    assert aldgate("generate", "image", "a fox", "-o", "f.png").out == "f-1.png\nf-2.png\n"
    assert (home / "f-2.png").read_bytes() == b"second"


def test_words_of_a_job_are_printed_or_saved(aldgate: Aldgate, gate: LoopbackGate, home: Path) -> None:
    answer: dict[str, Any] = {"artifacts": [], "text": "hello"}
    gate.reply("POST", "/v1/jobs", job("succeeded", operation="chat", result=answer), status=202)
    assert aldgate("generate", "text", "say hello", "--engine", "ollama").out == "hello\n"
    assert gate.requests[-1].body == {"operation": "chat", "model": "ollama", "prompt": "say hello"}
    assert aldgate("generate", "text", "say hello", "--engine", "ollama", "-o", "x.txt").out == "x.txt\n"
    assert (home / "x.txt").read_text() == "hello"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--size", "big"), "write it like 1024x768"),
        (("--option", "steps"), "is not like name=value"),
        (("-n", "11"), "less than or equal to 10"),
        (("-o", "nowhere/fox.png"), "there is no folder nowhere"),
        (("--input", "nothing.png"), "nothing.png cannot be read"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    aldgate: Aldgate, made: LoopbackGate, arguments: tuple[str, ...], said: str
) -> None:
    result = aldgate("generate", "image", "a fox", *arguments)
    assert result.code in (1, 2) and said in result.err and made.requests == []


def test_a_download_that_breaks_off_leaves_nothing(aldgate: Aldgate, gate: LoopbackGate, home: Path) -> None:
    gate.reply("POST", "/v1/jobs", DONE, status=202)
    gate.reply("GET", "/v1/artifacts/art-1?x=1", json.dumps({"error": {"message": "gone"}}).encode(), status=404)
    assert aldgate("generate", "image", "a fox", "-o", "fox.png").code == 1
    assert list(home.glob("*.png")) == list(home.glob(".*.part")) == []


def test_the_bar_goes_on_until_it_is_done(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/v1/jobs", job("queued"), status=202)
    for each in (HALF_WAY, DONE):
        gate.reply("GET", "/v1/jobs/job-1?wait=1", each)
    gate.reply("GET", "/v1/artifacts/art-1?x=1", PNG)
    assert aldgate("generate", "image", "a fox", "-o", "fox.png").code == 0
    assert gate.requests[0].authorization == f"Bearer {KEY}"
