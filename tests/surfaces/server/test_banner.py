from pathlib import Path

from aldgate.config.loader import load
from aldgate.core.catalogue import build_catalogue
from aldgate.surfaces.server.banner import banner

EMPTY, _ = build_catalogue([], {})


def shown(tmp_path: Path, fresh: str | None = None, environment: dict[str, str] | None = None, listen: str = ":1") -> str:
    settings = load(flags={"data": str(tmp_path), "server.listen": listen}, environment=environment or {}, directory=tmp_path)
    urls = [f"http://127.0.0.1:{listener.port}" for listener in settings.server.listeners]
    return banner(settings, urls, fresh, EMPTY)


def test_a_fresh_key_is_shown_and_ready_to_paste(tmp_path: Path) -> None:
    text = shown(tmp_path, fresh="agk-admin-x")
    assert "admin key      agk-admin-x" in text and '-H "Authorization: Bearer agk-admin-x"' in text
    assert str(tmp_path) in text


def test_later_starts_name_the_variable_that_holds_a_key(tmp_path: Path) -> None:
    assert "with a key in $ALDGATE_API_KEY" in shown(tmp_path)
    assert "admin key" not in shown(tmp_path)
    preset = {"ALDGATE_ADMIN_KEY": "correct-horse-battery-staple-0123456789"}
    assert "with a key in $ALDGATE_ADMIN_KEY" in shown(tmp_path, environment=preset)


def test_an_address_that_takes_no_calls_says_so(tmp_path: Path) -> None:
    lines = shown(tmp_path, listen=":1/ops,:2").splitlines()
    assert "  listening on   http://127.0.0.1:1 (health and metrics only)" in lines
    assert "  listening on   http://127.0.0.1:2" in lines


def test_the_call_goes_to_an_address_that_takes_calls(tmp_path: Path) -> None:
    assert "curl http://127.0.0.1:2/v1/chat/completions" in shown(tmp_path, listen=":1/ops,:2")
    assert "Try it" not in shown(tmp_path, listen=":1/ops")
