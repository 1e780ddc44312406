"""The command line against a real gate: what a person who only has a shell sees."""

import json
import re
import shutil
import signal
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.cli.serving import Serving, aldgate_in
from tests.databases import KIND

ADMIN_KEY = "k9Xw2-Lq7Zt4_Rv8Nc1Bd5Hm3Js6Fg0Pa"
SECRET = r"agk-[A-Za-z0-9_-]{43}"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A gate that was started for the first time, with nothing configured."""
    with Serving(tmp_path_factory.mktemp("first"), "--port", "0") as serving:
        yield serving


@pytest.fixture(scope="module")
def key(first: Serving) -> str:
    return first.aldgate("keys", "create", "somebody").out.strip()


def test_the_banner_says_what_there_is(first: Serving) -> None:
    assert re.match(r"Aldgate \d+\.\d+\.\d+\n", first.banner)
    (url,) = first.urls
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    place = {"sqlite": r"/\S+/\.local/share/aldgate", "postgresql": "postgresql"}[KIND]
    assert re.search(rf"^  data in        {place}$", first.banner, re.MULTILINE)
    assert first.models == ["builtin/echo", "builtin/embed", "builtin/rerank", "builtin/moderate"]
    assert first.admin_key is not None and re.fullmatch(r"agk-admin-[A-Za-z0-9_-]{43}", first.admin_key)
    assert "(shown this once: keep it)" in first.banner
    assert first.admin_key not in first.log


@needs_curl
def test_the_line_can_be_pasted(first: Serving) -> None:
    pasted = first.paste()
    assert pasted.returncode == 0, pasted.stderr
    assert json.loads(pasted.stdout)["choices"][0]["message"]["content"] == "Hello, gate!"


def test_keys_are_made_listed_rotated_and_revoked(first: Serving) -> None:
    limits = ["--rpm", "60", "--tpd", "1000", "--concurrency", "5", "--budget", "10.00/month", "--expires", "30d"]
    made = first.aldgate("keys", "create", "app", *limits, "--json").json
    assert re.fullmatch(SECRET, made["key"]) and made["key"].startswith(made["prefix"])
    assert made["limits"] == {"rpm": 60, "tpm": None, "tpd": 1000, "concurrency": 5}
    assert made["budget"] == {"usd": "10.00", "microusd": 10_000_000, "period": "month"}
    assert made["active"] and made["expires_at"]

    listed = first.aldgate("keys", "list")
    (line,) = [line for line in listed.out.splitlines() if made["id"] in line]
    assert "app" in line and "active" in line and "rpm=60" in line and "$10.00/month" in line
    assert made["key"] not in listed.out

    rotated = first.aldgate("keys", "rotate", made["id"], "--overlap", "1h", "--json").json
    assert (rotated["id"], rotated["key"] != made["key"]) == (made["id"], True)
    for secret in (made["key"], rotated["key"]):
        assert first.aldgate("chat", "hi", "--model", "builtin/echo", key=secret).out == "hi\n"

    assert first.aldgate("keys", "revoke", made["id"]).err == f"Key revoked: {made['id']}\n"
    refused = first.aldgate("chat", "hi", "--model", "builtin/echo", key=rotated["key"])
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("error: This API key was revoked.\nhint: ")
    assert first.aldgate("keys", "revoke", "key-nobody").err.startswith("error: There is no key `key-nobody`.\nhint: ")


def test_a_new_key_stands_alone_on_standard_output(first: Serving) -> None:
    made = first.aldgate("keys", "create", "scripted", "--scope", "chat")
    assert re.fullmatch(SECRET + "\n", made.out)
    assert "Key `scripted` has the id key-" in made.err
    refused = first.aldgate("models", "list", key=made.out.strip())
    assert (refused.code, refused.err.splitlines()[0]) == (1, "error: This API key may not list models.")


def test_a_caller_may_not_administer(first: Serving, key: str) -> None:
    refused = first.aldgate("keys", "list", key=key)
    assert (refused.code, refused.err.splitlines()[0]) == (1, "error: This needs an admin key.")


def test_models(first: Serving, key: str) -> None:
    lines = first.aldgate("models", "list", key=key).out.splitlines()
    assert [line.split() for line in lines[1:5]] == [
        [f"builtin/{name}", "builtin"] for name in ("echo", "embed", "rerank", "moderate")
    ]
    assert [model["id"] for model in first.aldgate("models", "list", "--json", key=key).json["data"]][:4] == first.models


def test_chat_and_its_usage(first: Serving) -> None:
    key = first.aldgate("keys", "create", "talker").out.strip()
    assert first.aldgate("chat", "one two three", key=key).err == "model: builtin/echo\n"
    assert first.aldgate("chat", "--model", "builtin/echo", key=key, stdin="from a pipe\n").out == "from a pipe\n\n"
    (row,) = first.aldgate("usage", "--json", key=key).json["data"]
    assert (row["key"], row["model"], row["calls"], row["errors"]) == ("talker", "builtin/echo", 2, 0)
    assert (row["prompt_tokens"], row["completion_tokens"], row["cost_microusd"]) == (6, 6, 0)
    table = first.aldgate("usage", "--by", "model", key=key).out.splitlines()
    assert table[1].split() == ["builtin/echo", "2", "0", "6", "6", "0", "$0.00"]


def test_without_a_gate_there_is_a_hint(tmp_path: Path) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        result = aldgate_in(tmp_path, "models", "list", ALDGATE_URL=url, ALDGATE_API_KEY="agk-any")
    assert (result.code, result.err.splitlines()[0]) == (1, f"error: no gate answers at {url}")
    assert result.err.splitlines()[1].startswith("hint: start one with `aldgate serve`")


def test_the_admin_key_is_shown_once(tmp_path: Path) -> None:
    with Serving(tmp_path, "--port", "0", "--data", "kept") as first:
        admin_key = first.admin_key
        assert admin_key is not None
        assert first.stop(signal.SIGINT) == 0
    assert KIND != "sqlite" or (tmp_path / "kept" / "aldgate.db").is_file()
    with Serving(tmp_path, "--port", "0", "--data", "kept") as second:
        assert second.admin_key is None and "agk-admin-" not in second.banner
        assert "Bearer $ALDGATE_API_KEY" in second.curl
        assert second.aldgate("keys", "list", ALDGATE_ADMIN_KEY=admin_key).code == 0
        if shutil.which("curl"):
            assert "Hello, gate!" in second.paste(ALDGATE_API_KEY=admin_key).stdout


def test_a_first_start_that_fails_loses_no_admin_key(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        failed = aldgate_in(tmp_path, "serve", "--port", port)
    assert (failed.code, failed.out) == (1, "")
    assert f"error: cannot listen on 127.0.0.1:{port}: " in failed.err and "\nhint: " in failed.err
    with Serving(tmp_path, "--port", "0") as serving:
        assert serving.admin_key is not None
        assert serving.aldgate("keys", "list").code == 0


def test_an_admin_key_of_ones_own(tmp_path: Path) -> None:
    with Serving(tmp_path, "--port", "0", ALDGATE_ADMIN_KEY=ADMIN_KEY) as serving:
        assert serving.admin_key is None and ADMIN_KEY not in serving.banner + serving.log
        assert serving.aldgate("keys", "list", ALDGATE_ADMIN_KEY=ADMIN_KEY).code == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--workers", "2"], {}, "error: more than one worker needs PostgreSQL and Valkey"),
        ([], {"ALDGATE_ADMIN_KEY": "short"}, "error: the admin key has 5 characters; it needs 32 or more"),
        (["--config", "nowhere.toml"], {}, "error: "),
    ],
    ids=["workers", "weak admin key", "no such file"],
)
def test_what_does_not_start(tmp_path: Path, arguments: list[str], environment: dict[str, str], message: str) -> None:
    result = aldgate_in(tmp_path, "serve", "--port", "0", *arguments, **environment)
    assert (result.code, result.out) == (1, "")
    error, hint = result.err.splitlines()
    assert error.startswith(message) and re.match(r"hint: \w+", hint)


def test_two_listeners(tmp_path: Path) -> None:
    with Serving(tmp_path, "--port", "0", "--port", "0") as serving:
        assert len(set(serving.urls)) == 2
        for url in serving.urls:
            assert serving.aldgate("models", "list", "--url", url).code == 0


@needs_curl
def test_tls_by_the_names_of_the_local_ai_gateway(tmp_path: Path) -> None:
    authority, bundle = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    files = {"GATEWAY_TLS_CERT_PATH": "cert.pem", "GATEWAY_TLS_KEY_PATH": str(tmp_path / "key.pem")}
    with Serving(tmp_path, "--port", "0", **files) as serving:
        assert serving.urls[0].startswith("https://127.0.0.1:")
        pasted = serving.paste()
        assert pasted.returncode == 0 and "Hello, gate!" in pasted.stdout
        assert serving.aldgate("chat", "hi", SSL_CERT_FILE=str(bundle)).out == "hi\n"
        stranger = serving.aldgate("chat", "hi")
        assert stranger.code == 1 and "CERTIFICATE_VERIFY_FAILED" in stranger.err


def test_a_dotenv_file_serves_both_sides(tmp_path: Path) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
    (tmp_path / ".env").write_text(
        f"# here\nexport ALDGATE_ADMIN_KEY='{ADMIN_KEY}'\nALDGATE_SERVER_PORT={port}\nALDGATE_URL=http://127.0.0.1:{port}\n"
    )
    with Serving(tmp_path) as serving:
        assert (serving.urls, serving.admin_key) == ([f"http://127.0.0.1:{port}"], None)
        assert re.fullmatch(SECRET + "\n", aldgate_in(tmp_path, "keys", "create", "app").out)
        assert aldgate_in(tmp_path, "chat", "hi", "--model", "builtin/echo").out == "hi\n"
        shown = aldgate_in(tmp_path, "config", "show")
        settings = tomllib.loads(shown.out)
        assert (settings["server"]["port"], settings["auth"]["admin_key"]) == (port, "***")
        assert ADMIN_KEY not in shown.out
        assert aldgate_in(tmp_path, "config", "check").out.startswith(f"ok: no file; 0 providers; listens on 127.0.0.1:{port}")
