import json
import tomllib
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from aldgate.cli.toml import toml_lines
from tests.cli.loopback_gate import KEY, Aldgate, LoopbackGate

CANARY = "canary-k9Xw2-Lq7Zt4_Rv8Nc1Bd5Hm3Js6"
FILE = f"""
store = "postgresql://u:{CANARY}@h/d"
[[server.listen]]
port = 8801
faces = "ops"
[providers.lab]
kind = "openai"
base_url = "http://127.0.0.1:9001/v1"
api_key = "{CANARY}"
models = ["gpt-4.1"]
[providers."a b".extra]
token = "env:LAB_KEY"
weight = 0.5
"quoted \\"name\\"" = true
[prices."lab/gpt-4.1"]
input = 2.50
"""


def test_show_prints_toml_without_secrets(aldgate: Aldgate, home: Path) -> None:
    (home / "aldgate.toml").write_text(FILE)
    result = aldgate("config", "show")
    assert result.code == 0
    assert CANARY not in result.out and KEY not in result.out
    tree = tomllib.loads(result.out)
    assert tree["providers"]["lab"] == {
        "kind": "openai",
        "base_url": "http://127.0.0.1:9001/v1",
        "api_key": "***",
        "models": ["gpt-4.1"],
    }
    assert tree["providers"]["a b"]["extra"] == {"token": "env:LAB_KEY", "weight": 0.5, 'quoted "name"': True}
    assert tree["server"]["listen"][0]["port"] == 8801
    assert tree["auth"]["admin_key"] == "***"
    assert "environment" not in tree


def test_show_as_json(aldgate: Aldgate, home: Path) -> None:
    (home / "other.toml").write_text(FILE)
    shown = aldgate("config", "show", "--config", "other.toml", "--json").json
    (price,) = shown["prices"].items()
    assert price[0] == "lab/gpt-4.1" and {name: value for name, value in price[1].items() if value not in (None, {})} == {
        "input": "2.50"
    }
    assert CANARY not in json.dumps(shown)


def test_show_says_what_is_not_set(aldgate: Aldgate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALDGATE_ADMIN_KEY")
    assert "# auth.admin_key is not set" in aldgate("config", "show").out


def test_check_says_what_would_be_used(aldgate: Aldgate, home: Path) -> None:
    assert aldgate("config", "check").out == "ok: no file; 0 providers; listens on 127.0.0.1:8000\n"
    (home / "aldgate.toml").write_text("[providers.groq]\n[[server.listen]]\nport = 8801")
    assert aldgate("config", "check").out == f"ok: {home / 'aldgate.toml'}; 1 providers; listens on 127.0.0.1:8801\n"


def test_check_warns_of_names_that_set_nothing(aldgate: Aldgate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALDGATE_PORT", "1")
    result = aldgate("config", "check")
    assert result.code == 0 and result.out.startswith("ok: ")
    assert result.err == "warning: `ALDGATE_PORT` in the environment sets nothing; did you mean `ALDGATE_SERVER_PORT`?\n"


def test_check_refuses_with_a_hint(aldgate: Aldgate, home: Path) -> None:
    (home / "bad.toml").write_text("[server]\nprot = 1")
    result = aldgate("config", "check", "--config", "bad.toml")
    assert (result.code, result.out) == (1, "")
    assert result.err.endswith("bad.toml: there is no setting `server.prot`\nhint: did you mean `server.port`?\n")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[server]\nworkers = 2", "error: more than one worker needs PostgreSQL and Valkey\nhint: set `store` ("),
        ("[providers.lab]\nkind = 'opnai'", "error: [providers.lab]: no kind is called `opnai`\nhint: there are anthropic, "),
        (
            "[providers.lab]\nmodel = ['m']",
            "error: [providers.lab]: Object contains unknown field `model`\nhint: it may have kind",
        ),
        (f"[providers.lab]\napi_key = '{CANARY}'", "error: [providers.lab]: `api_key`: a secret stands where a reference"),
        (
            "[engines.echo]\npace = 1",
            "error: [engines.echo]: Object contains unknown field `pace`\nhint: it may have first_byte_ms",
        ),
        ("[engines.whisper]", "error: [engines.whisper]: there is no such engine\nhint: its `kind` is one of a1111"),
        ("store = 'mysql://u@h/d'", "error: `store`: no database is called `mysql`; there are postgresql, sqlite\nhint: write "),
        ("store = 'sqlite:///:memory:'", "error: `store`: `sqlite:///%3Amemory%3A` names no file"),
        (f"store = '{CANARY}'", "error: `store`: this is no database URL\nhint: write `sqlite:"),
    ],
)
def test_check_refuses_what_the_start_would(aldgate: Aldgate, home: Path, table: str, said: str) -> None:
    (home / "aldgate.toml").write_text(table)
    result = aldgate("config", "check")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(said) and CANARY not in result.err


CERTIFICATE_HINT = "hint: look at `tls_cert` and `tls_key`: a PEM chain, and the key that belongs to it"


def test_check_refuses_certificates_that_the_start_would(aldgate: Aldgate, home: Path) -> None:
    authority = trustme.CA()
    ours, other = authority.issue_cert("127.0.0.1"), authority.issue_cert("127.0.0.1")
    key = load_pem_private_key(ours.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x" * 8))
    (home / "cert.pem").write_bytes(ours.cert_chain_pems[0].bytes())
    (home / "aldgate.toml").write_text("[server]\ntls_cert = 'cert.pem'\ntls_key = 'key.pem'")

    (home / "key.pem").write_bytes(ours.private_key_pem.bytes())
    assert aldgate("config", "check").code == 0
    for held, said in ((other.private_key_pem.bytes(), "key values mismatch"), (locked, "under a pass phrase"), (b"junk", "")):
        (home / "key.pem").write_bytes(held)
        result = aldgate("config", "check")
        assert (result.code, result.out) == (1, "")
        assert (
            result.err.startswith("error: cannot use the certificate `") and said in result.err and CERTIFICATE_HINT in result.err
        )


def test_no_pass_phrase_is_asked_for_a_client_certificate(aldgate: Aldgate, home: Path) -> None:
    ours = trustme.CA().issue_cert("127.0.0.1")
    key = load_pem_private_key(ours.private_key_pem.bytes(), None)
    (home / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x" * 8)))
    (home / "cert.pem").write_bytes(ours.cert_chain_pems[0].bytes())
    (home / "aldgate.toml").write_text("[providers.x]\nbase_url = 'https://127.0.0.1:1/v1'\nclient_cert = 'cert.pem,key.pem'")
    result = aldgate("config", "check")
    assert result.code == 1 and "error: [providers.x]: its key is under a pass phrase" in result.err


@pytest.mark.parametrize("name", ["ca_bundle", "client_cert"])
def test_check_reads_the_tls_files_though_no_provider_does_yet(aldgate: Aldgate, home: Path, name: str) -> None:
    ours = trustme.CA().issue_cert("127.0.0.1")
    (home / "aldgate.toml").write_text(f"[upstream]\n{name} = 'pair.pem'")
    (home / "pair.pem").write_bytes(ours.private_key_and_cert_chain_pem.bytes())
    assert aldgate("config", "check").code == 0
    (home / "pair.pem").write_text("not PEM")
    result = aldgate("config", "check")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"error: `upstream.{name}`: cannot use ") and "hint: it is a PEM file" in result.err


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_what_is_shown_reads_back(tree: dict[str, object]) -> None:
    assert tomllib.loads("\n".join(toml_lines(tree))) == tree


def test_reload_says_what_is_in_force_and_what_is_not(aldgate: Aldgate, gate: LoopbackGate) -> None:
    answer = {"applied": ["providers.lab"], "needs_restart": ["server.port"], "problems": ["alias `x`: gone"]}
    gate.reply("POST", "/admin/reload", answer)
    result = aldgate("config", "reload")
    assert (result.code, result.out) == (0, "in force: providers.lab\n")
    assert result.err == "needs a restart: server.port\nalias `x`: gone\n"
    assert aldgate("config", "reload", "--json").json == answer


def test_reload_says_why_it_was_not_done(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/admin/reload", {"detail": "aldgate.toml: bad (do this)", "code": "invalid_configuration"}, status=400)
    result = aldgate("config", "reload")
    assert result.code == 1 and result.err.startswith("error: aldgate.toml: bad (do this)\nhint: ")


def test_reload_may_find_nothing_new(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/admin/reload", {"applied": [], "needs_restart": [], "problems": []})
    assert aldgate("config", "reload").out == "nothing has changed\n"


def test_an_alias_that_names_itself_is_refused(aldgate: Aldgate, home: Path) -> None:
    (home / "aldgate.toml").write_text('[aliases]\nfast = "lab/a"\nsmart = "smart"\n')
    result = aldgate("config", "check")
    assert result.code != 0 and "`aliases.smart` names itself" in result.err
