import os
import subprocess
import sys
from pathlib import Path

import pytest

import aldgate
from tests.cli.loopback_gate import KEY, Aldgate, LoopbackGate

SOURCE = {"PYTHONPATH": str(Path(aldgate.__file__).parents[1])}
HEAVY = {"sqlalchemy", "fastapi", "starlette", "uvicorn", "alembic", "msgspec", "genai_prices", "prometheus_client"}


def modules_after(directory: Path, environment: dict[str, str], *arguments: str) -> tuple[int, set[str]]:
    """The exit code of a command run in a fresh process, and the modules that were loaded at its end."""
    code = (
        "import sys\nfrom aldgate.cli.main import run\n"
        f"code = run({list(arguments)!r})\nsys.stdout.flush()\nprint('\\n', *sys.modules)\nsys.exit(code)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=directory,
        env={**os.environ, **SOURCE, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.returncode, set(finished.stdout.splitlines()[-1].split())


def test_help_loads_nothing_heavy(home: Path) -> None:
    for arguments in (["--help"], ["keys", "create", "--help"], ["serve", "--help"], ["config", "show", "--help"]):
        code, loaded = modules_after(home, {}, *arguments)
        assert code == 0
        assert not loaded & (HEAVY | {"rich", "http.client", "pydantic"}), arguments


@pytest.mark.parametrize("arguments", [["keys", "list"], ["models", "list"], ["keys", "create", "app", "--rpm", "3"]])
def test_client_commands_load_nothing_of_the_server(home: Path, gate: LoopbackGate, arguments: list[str]) -> None:
    gate.reply("GET", "/admin/keys", {"keys": []})
    gate.reply("GET", "/v1/models", {"data": []})
    gate.reply("POST", "/admin/keys", {"id": "1", "name": "app", "key": "k"}, status=201)
    code, loaded = modules_after(home, {"ALDGATE_URL": gate.url, "ALDGATE_ADMIN_KEY": KEY}, *arguments)
    assert code == 0
    assert not loaded & HEAVY


def test_serve_loads_nothing_heavy_before_the_settings_are_good(home: Path) -> None:
    code, loaded = modules_after(home, {"ALDGATE_SERVER_PORT": "x"}, "serve")
    assert code == 1
    assert not loaded & (HEAVY - {"msgspec"})


def test_the_command_runs_as_a_process(home: Path, gate: LoopbackGate) -> None:
    gate.reply("POST", "/admin/keys", {"id": "1", "name": "app", "key": "ald-1"}, status=201)
    environment = {**os.environ, **SOURCE, "ALDGATE_URL": gate.url, "ALDGATE_ADMIN_KEY": KEY}
    command = [sys.executable, "-m", "aldgate.cli.main", "keys", "create", "app"]
    finished = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=True)
    assert finished.stdout == "ald-1\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["keys", "create", "app"], ["keys", "create", "app", "--json"], ["keys", "list"]])
def test_a_full_disk_is_an_error_with_a_hint(home: Path, gate: LoopbackGate, arguments: list[str]) -> None:
    gate.reply("POST", "/admin/keys", {"id": "1", "name": "app", "key": "ald-1"}, status=201)
    gate.reply("GET", "/admin/keys", {"keys": []})
    environment = {**os.environ, **SOURCE, "ALDGATE_URL": gate.url, "ALDGATE_ADMIN_KEY": KEY}
    command = [sys.executable, "-m", "aldgate.cli.main", *arguments]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        finished = subprocess.run(command, cwd=home, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert finished.returncode != 0
    assert finished.stderr.startswith("error: standard output cannot be written: No space left on device\nhint: ")
    assert "Traceback" not in finished.stderr


def test_without_a_command_there_is_help(aldgate: Aldgate) -> None:
    bare, asked = aldgate(), aldgate("--help")
    assert bare.code == asked.code == 0
    assert bare.out == asked.out
    for name in ("serve", "keys", "models", "usage", "config", "chat", "version"):
        assert f"  {name} " in bare.out


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["nope"], "aldgate"),
        (["--nope"], "aldgate"),
        (["keys"], "aldgate keys"),
        (["keys", "nope"], "aldgate keys"),
        (["keys", "create"], "aldgate keys create"),
        (["keys", "revoke", "a", "b"], "aldgate keys revoke"),
    ],
)
def test_wrong_usage_is_2_and_says_where_help_is(aldgate: Aldgate, arguments: list[str], command: str) -> None:
    result = aldgate(*arguments)
    assert (result.code, result.out) == (2, "")
    first, second = result.err.splitlines()
    assert first.startswith("error: ")
    assert second == f"hint: `{command} --help` shows how it is used"


def test_colour_is_left_out_when_it_is_not_wanted(aldgate: Aldgate, gate: LoopbackGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    gate.reply("GET", "/v1/models", {"data": [{"id": "m"}]})
    out = aldgate("models", "list").out
    assert "\x1b[3" not in out and "\x1b[9" not in out
