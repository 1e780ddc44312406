from pathlib import Path

import pytest

from aldgate.config.loader import load
from aldgate.config.stray import stray_names, warnings


def strays(tmp_path: Path, **environment: str) -> list[tuple[str, str | None]]:
    return stray_names(load(flags={}, environment=environment, directory=tmp_path))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ALDGATE_PORT", "ALDGATE_SERVER_PORT"),
        ("ALDGATE_HOST", "ALDGATE_SERVER_HOST"),
        ("ALDGATE_ADMINKEY", "ALDGATE_ADMIN_KEY"),
        ("ALDGATE_VERIFY_TLS", "ALDGATE_UPSTREAM_VERIFY_TLS"),
        ("ALDGATE_COLOUR", None),
    ],
)
def test_a_name_that_sets_nothing_is_told_with_the_nearest(tmp_path: Path, name: str, near: str | None) -> None:
    assert strays(tmp_path, **{name: "1"}) == [(name, near)]


def test_names_that_are_for_somebody_are_not(tmp_path: Path) -> None:
    (tmp_path / "aldgate.toml").write_text("[providers.lab]\nbase_url = 'http://127.0.0.1:1/v1'\napi_key = 'env:ALDGATE_LAB_KEY'")
    key = "correct-horse-battery-staple-0123456789"
    ours = {"ALDGATE_URL": "http://x", "ALDGATE_API_KEY": "x", "ALDGATE_SERVER_PORT": "1", "ALDGATE_CONFIG": ""}
    referred = {"ALDGATE_LAB_KEY": "x", "ALDGATE_ADMIN_KEY": "env:ALDGATE_THE_KEY", "ALDGATE_THE_KEY": key}
    assert strays(tmp_path, **ours, **referred, PORT="1", LOG_ALDGATE_X="1") == []


def test_what_kubernetes_tells_of_a_service_is_not_meant_for_us(tmp_path: Path) -> None:
    address = {"ALDGATE_SERVICE_HOST": "10.0.0.1", "ALDGATE_SERVICE_PORT": "80", "ALDGATE_PORT": "tcp://10.0.0.1:80"}
    port = {"ALDGATE_PORT_80_TCP": "tcp://10.0.0.1:80", "ALDGATE_PORT_80_TCP_ADDR": "10.0.0.1"}
    other = {"ALDGATE_DB_SERVICE_HOST": "10.0.0.2", "ALDGATE_DB_PORT": "tcp://10.0.0.2:5432"}
    assert strays(tmp_path, **address, **port, **other) == []


def test_the_warning_is_a_sentence_without_the_value(tmp_path: Path) -> None:
    settings = load(flags={}, environment={"ALDGATE_PORT": "hunter2", "ALDGATE_COLOUR": "hunter2"}, directory=tmp_path)
    assert list(warnings(settings)) == [
        "`ALDGATE_COLOUR` in the environment sets nothing; no setting is called so",
        "`ALDGATE_PORT` in the environment sets nothing; did you mean `ALDGATE_SERVER_PORT`?",
    ]
