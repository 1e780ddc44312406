from pathlib import Path
from typing import Any

import msgspec
import pytest

from aldgate.config import ConfigError, Listener, Settings, load
from aldgate.config.fields import environment_names, leaves
from aldgate.config.seed_names import SEED_NAMES

ADMIN_KEY = "k9Xw2-Lq7Zt4_Rv8Nc1Bd5Hm3Js6Fg0Pa"

LAB = """
[providers.lab]
kind = "openai"
base_url = "http://127.0.0.1:9001/v1"
api_key = "env:LAB_KEY"
models = ["gpt-4.1"]
"""


def read(
    directory: Path, *, toml: str = "", dotenv: str = "", environment: dict[str, str] | None = None, **flags: str
) -> Settings:
    if toml:
        (directory / "aldgate.toml").write_text(toml)
    if dotenv:
        (directory / ".env").write_text(dotenv)
    dotted = {name.replace("__", "."): text for name, text in flags.items()}
    return load(flags=dotted, environment={"HOME": "/home/ada", **(environment or {})}, directory=directory)


def refused(directory: Path, **sources: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(directory, **sources)
    assert caught.value.hint
    return caught.value


def test_with_nothing_set_there_are_defaults(tmp_path: Path) -> None:
    settings = read(tmp_path)
    assert (settings.server.host, settings.server.port, settings.server.workers) == ("127.0.0.1", 8000, 1)
    assert settings.data == "/home/ada/.local/share/aldgate"
    assert settings.auth.admin_key is None
    assert settings.providers == settings.prices == settings.aliases == {}


def test_each_layer_beats_the_one_below(tmp_path: Path) -> None:
    sources: dict[str, Any] = {}
    for layer, value, expected in [
        ("toml", "[server]\nport = 1", 1),
        ("dotenv", "ALDGATE_SERVER_PORT=2", 2),
        ("environment", {"ALDGATE_SERVER_PORT": "3"}, 3),
        ("server__port", "4", 4),
    ]:
        sources[layer] = value
        assert read(tmp_path, **sources).server.port == expected


def test_layers_join_field_by_field(tmp_path: Path) -> None:
    settings = read(tmp_path, toml='[log]\nlevel = "ERROR"\ncalls = true', environment={"ALDGATE_LOG_FORMAT": "TEXT"})
    assert (settings.log.level, settings.log.calls, settings.log.format) == ("ERROR", True, "text")


def test_the_file_is_named_by_argument_then_environment_then_habit(tmp_path: Path) -> None:
    for number, name in enumerate(["aldgate.toml", "named.toml", "given.toml"], 1):
        (tmp_path / name).write_text(f"[server]\nport = {number}")
    assert read(tmp_path).server.port == 1
    named = {"ALDGATE_CONFIG": "named.toml"}
    assert read(tmp_path, environment=named).server.port == 2
    given = load(flags={}, environment=named, directory=tmp_path, file=tmp_path / "given.toml")
    assert given.server.port == 3


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    error = refused(tmp_path, environment={"ALDGATE_CONFIG": "gone.toml"})
    assert "gone.toml: No such file" in error.message


def test_every_setting_has_an_environment_name() -> None:
    assert environment_names()["ALDGATE_SERVER_MAX_BODY_BYTES"] == "server.max_body_bytes"
    assert environment_names()["ALDGATE_ADMIN_KEY"] == environment_names()["ALDGATE_AUTH_ADMIN_KEY"] == "auth.admin_key"
    assert environment_names()["ALDGATE_DATA"] == "data"
    assert set(environment_names().values()) == set(leaves())


def some_text(path: str, directory: Path) -> str:
    leaf = leaves()[path]
    if path in ("server.tls_cert", "server.tls_key", "upstream.ca_bundle", "upstream.client_cert"):
        (directory / "some.pem").touch()
        return str(directory / "some.pem")
    if path in ("auth.admin_key", "auth.admin_secret", "guardrails.webhook_secret", "budgets.alert_secret"):
        return ADMIN_KEY
    if path.startswith("auth.caller_key"):
        return "a-caller-key-0123456789"
    if path == "auth.caller_policies":
        return "{}"
    if path == "server.trusted_proxies":
        return "10.0.0.0/8, ::1"
    if path == "auth.public_url":
        return "https://gate.example.com"
    if path == "artifacts.inline_bytes":
        return "64"
    if path == "server.listen":
        return "0.0.0.0:9, :10/ops"
    value: Any = leaf.default
    if isinstance(value, bool):
        return "no" if value else "on"
    if isinstance(value, int | float):
        return str(value + 1)
    return {
        "images.backend": "mock",
        "images.backend_class": "a-class",
        "images.when_busy": "queue",
        "ledger.durability": "strict",
        "ledger.on_failure": "refuse",
        "log.level": "debug",
        "log.format": "text",
        "valkey.on_failure": "open",
        "valkey.open_limits": "rpm, concurrency",
        "valkey.closed_limits": "tpd",
        "budgets.alerts": "80",
        "budgets.alert_url": "https://example.com/alerts",
        "server.cors_origins": "https://a.example.com, http://b:3000",
        "auth.encryption_key": "a key that is long 0123456789012345678901234567890".replace(" ", "-"),
        "auth.open_registration": "never",
    }.get(path, "/some/text")


def test_every_environment_name_sets_its_setting(tmp_path: Path) -> None:
    given = {leaf.env: some_text(path, tmp_path) for path, leaf in leaves().items()}
    settings = read(tmp_path, environment=given)
    for path, leaf in leaves().items():
        value: Any = settings
        for name in path.split("."):
            value = getattr(value, name)
        assert value != leaf.default, path


def test_the_secret_of_webhooks_may_be_named_and_must_be_long(tmp_path: Path) -> None:
    named = read(tmp_path, environment={"ALDGATE_GUARDRAILS_WEBHOOK_SECRET": "env:SIGNING", "SIGNING": ADMIN_KEY})
    assert named.guardrails.webhook_secret is not None and named.guardrails.webhook_secret.reveal() == ADMIN_KEY
    with pytest.raises(ConfigError, match="too short"):
        read(tmp_path, environment={"ALDGATE_GUARDRAILS_WEBHOOK_SECRET": "x" * 23})


def test_every_seed_name_sets_its_setting(tmp_path: Path) -> None:
    for name, seed in SEED_NAMES.items():
        pair = {"GATEWAY_TLS_CERT_PATH", "GATEWAY_TLS_KEY_PATH"} if "TLS_" in name and "GATEWAY" in name else {name}
        ours = read(
            tmp_path, environment={leaves()[SEED_NAMES[n].path].env: some_text(SEED_NAMES[n].path, tmp_path) for n in pair}
        )
        theirs = read(tmp_path, environment={n: some_text(SEED_NAMES[n].path, tmp_path) for n in pair})
        assert msgspec.to_builtins(theirs.server) == msgspec.to_builtins(ours.server)
        assert (theirs.log, theirs.store, theirs.upstream) == (ours.log, ours.store, ours.upstream)
        assert theirs.images == ours.images
        assert theirs != read(tmp_path), seed.path


def test_our_name_beats_a_seed_name_wherever_it_is_set(tmp_path: Path) -> None:
    settings = read(tmp_path, dotenv="ALDGATE_SERVER_PORT=8000", environment={"API_PORT": "1301", "LLM_API_PORT": "8080"})
    assert settings.server.port == 8000


def test_a_flag_beats_seed_names_that_disagree(tmp_path: Path) -> None:
    assert read(tmp_path, environment={"API_PORT": "1301", "LLM_API_PORT": "8080"}, server__port="7").server.port == 7


def test_two_seed_names_that_disagree_stop_the_start(tmp_path: Path) -> None:
    error = refused(tmp_path, dotenv="LLM_API_PORT=8080", environment={"API_PORT": "1301"})
    assert "`API_PORT` and `LLM_API_PORT` both set `server.port` and disagree" in error.message
    assert "ALDGATE_SERVER_PORT" in error.hint


def test_two_seed_names_may_agree_in_their_own_spelling(tmp_path: Path) -> None:
    assert read(tmp_path, environment={"LOG_LEVEL": "debug", "LLM_API_LOG_LEVEL": "DEBUG"}).log.level == "DEBUG"


def test_both_names_of_the_admin_key_must_agree(tmp_path: Path) -> None:
    error = refused(tmp_path, environment={"ALDGATE_ADMIN_KEY": ADMIN_KEY, "ALDGATE_AUTH_ADMIN_KEY": ADMIN_KEY + "x"})
    assert "disagree" in error.message
    assert ADMIN_KEY not in error.message + error.hint


def test_no_limit_on_bodies_becomes_what_the_gate_holds_at_once(tmp_path: Path) -> None:
    settings = read(tmp_path, environment={"MAX_REQUEST_BYTES": "0"})
    assert settings.server.max_body_bytes == settings.server.max_inflight_bytes


def test_an_empty_value_counts_as_unset(tmp_path: Path) -> None:
    assert read(tmp_path, toml="[server]\nport = 9", environment={"ALDGATE_SERVER_PORT": "", "API_PORT": ""}).server.port == 9


@pytest.mark.parametrize(
    ("toml", "name", "near"),
    [
        ("[server]\nprot = 1", "server.prot", "`server.port`"),
        ("port = 1", "port", "`server.port`"),
        ("[sever]\nport = 1", "sever", "`server`"),
        ("[[server.listen]]\nport = 1\nface = 'ops'", "server.listen.face", "`server.listen.faces`"),
        ('[prices."m"]\ninputs = 1', 'prices."m".inputs', '`prices."m".input`'),
        ("[environment]\nA = 'b'", "environment", "`discovery.environment`"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path, toml: str, name: str, near: str) -> None:
    error = refused(tmp_path, toml=toml)
    assert f"aldgate.toml: there is no setting `{name}`" in error.message
    assert near in error.hint


def test_a_misspelt_environment_name_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, environment={"ALDGATE_SERVER_PROT": "1"})
    assert "`ALDGATE_SERVER_PROT`" in error.message
    assert "`ALDGATE_SERVER_PORT`" in error.hint


def test_names_of_ours_that_are_no_settings_are_left_alone(tmp_path: Path) -> None:
    read(tmp_path, environment={"ALDGATE_LAB_KEY": "x", "ALDGATE_PORT_8000_TCP": "tcp://10.0.0.1:8000", "ALDGATE_URL": "x"})


def test_an_unknown_flag_is_refused(tmp_path: Path) -> None:
    assert "`server.prot`" in refused(tmp_path, server__prot="1").message


@pytest.mark.parametrize(
    ("name", "text", "wants"),
    [
        ("ALDGATE_SERVER_PORT", "canary", "a whole number from 0 to 65,535"),
        ("ALDGATE_SERVER_PORT", "65536", "a whole number from 0 to 65,535"),
        ("ALDGATE_SERVER_PORT", "٣", "a whole number from 0 to 65,535"),
        ("ALDGATE_SERVER_HEAD_TIMEOUT_S", "nan", "a number above 0 to 604,800"),
        ("ALDGATE_SERVER_HEAD_TIMEOUT_S", "inf", "a number above 0 to 604,800"),
        ("ALDGATE_SERVER_WORKERS", "9" * 400, "a whole number from 1 to 256"),
        ("ALDGATE_LOG_CALLS", "maybe", "`true` or `false`"),
        ("ALDGATE_LOG_FORMAT", "xml", "one of `json`, `text`"),
        ("ALDGATE_SERVER_LISTEN", "127.0.0.1", "addresses like"),
        ("ALDGATE_SERVER_LISTEN", ":70000", "addresses like"),
        ("BACKEND_VERIFY_TLS", "canary", "`true` or `false`"),
    ],
)
def test_a_bad_value_is_named_but_not_shown(tmp_path: Path, name: str, text: str, wants: str) -> None:
    error = refused(tmp_path, environment={name: text})
    assert error.message.startswith(f"`{name}` is not {wants}")
    assert "canary" not in error.message + error.hint


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[server]\nport = '1'", "`server.port`: is not a whole number from 0 to 65,535"),
        ("[upstream]\nidle_timeout_s = -1", "`upstream.idle_timeout_s`: is not a number above 0"),
        ("[log]\nlevel = 'LOUD'", "`log.level`: is not one of `DEBUG`"),
        ("[auth]\nadmin_key = 7", "`auth.admin_key`: "),
        ("server = 1", "`server`: "),
        ("providers = { lab = 1 }", "`providers[...]`: "),
        ("[server]\nport =", "line 2"),
    ],
)
def test_a_bad_value_in_the_file_names_file_and_setting(tmp_path: Path, toml: str, message: str) -> None:
    assert f"{tmp_path / 'aldgate.toml'}: {message}" in refused(tmp_path, toml=toml).message or "line 2" in message


def test_the_file_keeps_providers_as_they_are(tmp_path: Path) -> None:
    settings = read(tmp_path, toml=LAB)
    assert settings.providers == {
        "lab": {"kind": "openai", "base_url": "http://127.0.0.1:9001/v1", "api_key": "env:LAB_KEY", "models": ["gpt-4.1"]}
    }
    assert type(read(tmp_path, toml="[engines.x]\nweight = 0.5").engines["x"]["weight"]) is float


def test_the_environment_is_kept_for_references_process_over_dotenv(tmp_path: Path) -> None:
    settings = read(tmp_path, dotenv="LAB_KEY=canary-file\nOTHER=o", environment={"LAB_KEY": "canary-process"})
    assert (settings.environment["LAB_KEY"], settings.environment["OTHER"]) == ("canary-process", "o")
    with pytest.raises(TypeError):
        settings.environment["LAB_KEY"] = "x"  # pyright: ignore[reportIndexIssue]
    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "data"),
    [
        ({}, "/home/ada/.local/share/aldgate"),
        ({"XDG_DATA_HOME": "/data"}, "/data/aldgate"),
        ({"XDG_DATA_HOME": "relative"}, "/home/ada/.local/share/aldgate"),
        ({"ALDGATE_DATA": "~/here"}, "/home/ada/here"),
        ({"ALDGATE_DATA": "/there", "XDG_DATA_HOME": "/data"}, "/there"),
    ],
)
def test_where_data_lies(tmp_path: Path, environment: dict[str, str], data: str) -> None:
    assert read(tmp_path, environment=environment).data == data


def test_a_home_directory_that_nobody_knows(tmp_path: Path) -> None:
    error = refused(tmp_path, environment={"ALDGATE_DATA": "~no-such-user/data"})
    assert error.message == "`~no-such-user/data`: the home directory is not known"
    assert "--data" in error.hint


def test_relative_paths_are_made_absolute(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    settings = read(tmp_path, toml="data = 'd'\n[upstream]\nclient_cert = 'cert.pem,key.pem'")
    assert settings.data == str(tmp_path / "d")
    assert settings.upstream.client_cert == f"{tmp_path / 'cert.pem'},{tmp_path / 'key.pem'}"


def test_without_listeners_there_is_the_one_address(tmp_path: Path) -> None:
    assert read(tmp_path, server__port="7").server.listeners == (Listener(port=7),)


def test_a_listener_takes_what_it_leaves_out_from_the_server(tmp_path: Path) -> None:
    for name in ("c", "k"):
        (tmp_path / name).touch()
    toml = """
    server = { host = "::1", tls_cert = "c", tls_key = "k", listen = [
        { port = 8800 },
        { host = "127.0.0.1", port = 8801, tls_cert = "", tls_key = "", faces = "ops" },
    ] }"""
    first, second = read(tmp_path, toml=toml).server.listeners
    assert first == Listener(host="::1", port=8800, tls_cert=str(tmp_path / "c"), tls_key=str(tmp_path / "k"))
    assert second == Listener(port=8801, faces="ops")


def test_listeners_can_be_written_as_text(tmp_path: Path) -> None:
    text = "8000, [::1]:8080, 0.0.0.0:8801/ops"
    settings = read(tmp_path, environment={"ALDGATE_SERVER_LISTEN": text, "ALDGATE_SERVER_HOST": "localhost"})
    assert settings.server.listen == (
        Listener(host="localhost", port=8000),
        Listener(host="::1", port=8080),
        Listener(host="0.0.0.0", port=8801, faces="ops"),
    )


def test_an_address_from_above_replaces_listeners_from_below(tmp_path: Path) -> None:
    settings = read(tmp_path, toml="[[server.listen]]\nport = 1\n[[server.listen]]\nport = 2", server__port="3")
    assert settings.server.listeners == (Listener(port=3),)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ALDGATE_SERVER_LISTEN": "1,1"}, "127.0.0.1:1 is to be bound twice"),
        ({"ALDGATE_SERVER_TLS_CERT": "c.pem"}, "`tls_cert` is set, `tls_key` is not"),
        ({"ALDGATE_UPSTREAM_CA_BUNDLE": "gone.pem"}, "`upstream.ca_bundle`: there is no file"),
        ({"ALDGATE_SERVER_MAX_INFLIGHT_BYTES": "5"}, "`server.max_body_bytes` is over `server.max_inflight_bytes`"),
    ],
)
def test_settings_must_fit_together(tmp_path: Path, environment: dict[str, str], message: str) -> None:
    assert message in refused(tmp_path, environment=environment).message


def test_any_number_of_listeners_may_take_a_free_port(tmp_path: Path) -> None:
    assert len(read(tmp_path, environment={"ALDGATE_SERVER_LISTEN": "0,0"}).server.listeners) == 2


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("short", "has 5 characters; it needs 32"),
        ("change-me-in-production", "comes from an example"),
        ("please-CHANGE_ME-before-you-go-live-0123456789", "comes from an example"),
        ("ab" * 32, "repeats a few characters"),
        (ADMIN_KEY + " x", "a space"),
        (ADMIN_KEY + "é", "no header can carry"),
    ],
)
def test_a_weak_admin_key_is_refused_and_never_shown(tmp_path: Path, key: str, message: str) -> None:
    error = refused(tmp_path, environment={"ALDGATE_ADMIN_KEY": key})
    assert message in error.message
    assert key not in error.message + error.hint


def test_the_admin_key_may_be_itself_or_a_reference(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(ADMIN_KEY + "\n")
    for text in (ADMIN_KEY, "env:MY_KEY", f"file:{tmp_path / 'key'}"):
        key = read(tmp_path, toml=f'[auth]\nadmin_key = "{text}"', environment={"MY_KEY": ADMIN_KEY}).auth.admin_key
        assert key is not None
        assert key.reveal() == ADMIN_KEY


def test_a_reference_that_leads_nowhere_matters_only_if_it_counts(tmp_path: Path) -> None:
    toml = '[auth]\nadmin_key = "env:GONE"'
    assert "`GONE` is not set" in refused(tmp_path, toml=toml).message
    assert read(tmp_path, toml=toml, environment={"ALDGATE_ADMIN_KEY": ADMIN_KEY}).auth.admin_key is not None


def test_the_settings_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        read(tmp_path).server.port = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_a_backend_of_pictures_is_an_engine(tmp_path: Path) -> None:
    theirs = {
        "IMAGES_BACKEND": "http_openai_images",
        "IMAGES_BACKEND_CLASS": "gpu_heavy",
        "IMAGES_HTTP_BASE_URL": "http://ada2:7860",
        "IMAGES_OPENAI_MODEL": "sd-xl-base-1.0",
        "IMAGES_HTTP_TIMEOUT_SEC": "90",
        "UI_IMAGE_DIR": "pictures",
    }
    settings = read(tmp_path, environment=theirs, toml='[engines.other]\nkind = "comfyui"\n')
    assert list(settings.engines) == ["gpu_heavy", "other"]
    table = settings.engines["gpu_heavy"]
    assert (table["kind"], table["base_url"], table["models"]) == ("openai-images", "http://ada2:7860", ["sd-xl-base-1.0"])
    assert table["run_timeout_s"] == 90 and table["sends"]["guidance"] == "guidance_scale"
    assert settings.images.ui_dir == str(tmp_path / "pictures")
    assert read(tmp_path, environment={"IMAGES_BACKEND": "http_a1111"}).engines["gpu_heavy"]["kind"] == "a1111"
    own = '[engines.gpu_heavy]\nkind = "invokeai"\n'
    assert read(tmp_path, environment=theirs, toml=own).engines["gpu_heavy"] == {"kind": "invokeai"}
    assert "gpu_heavy" not in read(tmp_path, environment={"IMAGES_BACKEND": "mock"}, toml="[engines]").engines
    assert "images.backend" in refused(tmp_path, environment={"IMAGES_BACKEND": "nonsense"}).hint
