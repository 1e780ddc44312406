import sys
from pathlib import Path
from types import ModuleType

import pytest

from aldgate.config import Listener, Settings
from tests.cli.loopback_gate import KEY, Aldgate


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What the gate was started with. The gate itself stays out: here it is about what it is given."""
    calls: list[Settings] = []
    module = ModuleType("aldgate.app")
    module.serve = calls.append  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "aldgate.app", module)
    return calls


def test_serve_passes_the_settings_on(aldgate: Aldgate, served: list[Settings], home: Path) -> None:
    (home / "my.toml").write_text("[server]\nport = 1\n[log]\ncalls = true")
    assert aldgate("serve", "--config", "my.toml", "--host", "::1", "--port", "0", "--data", "d").code == 0
    (settings,) = served
    assert settings.server.listeners == (Listener(host="::1", port=0),)
    assert (settings.data, settings.log.calls) == (str(home / "d"), True)
    assert settings.auth.admin_key is not None and settings.auth.admin_key.reveal() == KEY


def test_port_may_be_repeated(aldgate: Aldgate, served: list[Settings]) -> None:
    aldgate("serve", "--host", "0.0.0.0", "--port", "8000", "--port", "1301")
    assert served[0].server.listeners == (Listener(host="0.0.0.0", port=8000), Listener(host="0.0.0.0", port=1301))


@pytest.mark.parametrize("count", ["2", "64"])
def test_more_workers_are_refused(aldgate: Aldgate, served: list[Settings], count: str) -> None:
    result = aldgate("serve", "--workers", count)
    assert (result.code, served) == (1, [])
    assert result.err.startswith("error: more than one worker needs PostgreSQL and Valkey\nhint: ")


@pytest.mark.parametrize("key", ["short", "change-me-in-production", "x" * 64])
def test_a_weak_admin_key_is_refused(aldgate: Aldgate, served: list[Settings], monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("ALDGATE_ADMIN_KEY", key)
    result = aldgate("serve")
    assert (result.code, served) == (1, [])
    assert "admin key" in result.err and "\nhint: make one: " in result.err
    assert key not in result.err


def test_seed_names_that_disagree_are_both_named(
    aldgate: Aldgate, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_PORT", "1301")
    monkeypatch.setenv("LLM_API_PORT", "8080")
    result = aldgate("serve")
    assert (result.code, served) == (1, [])
    assert "`API_PORT` and `LLM_API_PORT`" in result.err


def test_a_port_out_of_range_is_wrong_usage(aldgate: Aldgate, served: list[Settings]) -> None:
    result = aldgate("serve", "--port", "70000")
    assert (result.code, served) == (2, [])
    assert "hint: `aldgate serve --help` shows how it is used" in result.err


@pytest.mark.parametrize(("flags", "works"), [((), True), (("--no-worker",), False)])
def test_jobs_may_be_left_to_others(aldgate: Aldgate, served: list[Settings], flags: tuple[str, ...], works: bool) -> None:
    assert aldgate("serve", *flags).code == 0
    assert served[0].jobs.worker is works
