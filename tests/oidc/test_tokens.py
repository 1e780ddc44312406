"""Tokens of a real issuer on loopback: who is believed, and for how long."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trustme
from joserfc.jwk import Key, OctKey, generate_key

from aldgate.core.errors import ExpiredKey, GatewayError, IssuerUnavailable, UnknownKey
from aldgate.oidc import keyset
from aldgate.oidc.jwt import MAX_TOKEN_BYTES
from aldgate.testing.issuer import FakeIssuer, signed
from aldgate.testing.upstream import Valve, faults
from tests.oidc.asking import Clock, believing, held, saying

pytestmark = pytest.mark.anyio

JWKS = "/jwks"


def never() -> int:
    return int(time.time()) + 300


def unsigned(header: dict[str, Any], payload: dict[str, Any]) -> bytes:
    parts = (json.dumps(part).encode() for part in (header, payload))
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)


@pytest.mark.parametrize(
    "algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
)
async def test_every_signature_there_is_can_be_taken(algorithm: Any) -> None:
    async with FakeIssuer(algorithm) as issuer, believing(issuer, algorithms=(algorithm,)) as tokens:
        claims = await tokens.principal_claims(issuer.token(sub="ann").encode())
        assert claims is not None and claims.subject == "ann"


async def test_a_token_says_who_somebody_is(issuer: FakeIssuer) -> None:
    token = issuer.token(
        sub="ann", email="ann@example.com", email_verified=True, name="Ann", client_id="shop", team="ml", organisation="acme",
        realm={"roles": ["admins", "other"]}, exp=(ends := never()),
    )  # fmt: skip
    from aldgate.core.claims import ClaimNames

    async with believing(issuer, claims=ClaimNames(roles="realm.roles"), roles={"admins": "admin"}) as tokens:
        claims = await tokens.principal_claims(token.encode())
    assert claims is not None
    assert (claims.issuer, claims.issuer_name, claims.subject, claims.name) == (issuer.url, "corp", "ann", "Ann")
    assert (claims.email, claims.is_email_verified, claims.roles) == ("ann@example.com", True, {"admin"})
    assert (claims.client, claims.team, claims.organisation, claims.expires_at) == ("shop", "ml", "acme", float(ends))


async def test_a_warm_token_asks_nobody(issuer: FakeIssuer) -> None:
    secret = issuer.token().encode()
    async with believing(issuer) as tokens:
        assert tokens.known(secret) is None
        first = await tokens.principal_claims(secret)
        issuer.refuse()
        assert tokens.known(secret) is first is not None
        coroutine = tokens.principal_claims(secret)
        with pytest.raises(StopIteration) as ended:  # it never waits
            coroutine.send(None)
        assert ended.value.value is first
    assert issuer.asked == {"/.well-known/openid-configuration": 1, JWKS: 1}


@pytest.mark.parametrize(
    "secret",
    [
        b"",
        b"agk-" + b"x" * 40,
        b"a.b.c",
        b"e.y.J",
        b"eyJ.eyJ.sig",
        b"e" * 100_000,
        b"e\xff.\xff.",
        b"eyJhbGciOiJSUzI1NiJ9.W10.AA",
    ],
)
async def test_what_is_no_token_is_left_to_others(issuer: FakeIssuer, secret: bytes) -> None:
    async with believing(issuer) as tokens:
        assert tokens.known(secret) is None
        assert await tokens.principal_claims(secret) is None
    assert not issuer.asked


async def test_other_issuers_are_left_to_others_and_never_asked(issuer: FakeIssuer) -> None:
    async with FakeIssuer() as other, believing(issuer) as tokens:
        for iss in (other.url, issuer.url + "/", issuer.url.upper(), "", None, 7, [issuer.url]):
            assert await tokens.principal_claims(other.token(iss=iss).encode()) is None
        assert not other.asked
    assert not issuer.asked


async def test_an_issuer_for_logins_alone_vouches_for_no_call(issuer: FakeIssuer) -> None:
    async with believing(issuer, audience=(), client_id="console") as tokens:
        assert await tokens.principal_claims(issuer.token(aud="console").encode()) is None


async def refused(issuer: FakeIssuer, secret: str | bytes, **more: Any) -> GatewayError:
    async with believing(issuer, **more) as tokens:
        with pytest.raises((UnknownKey, ExpiredKey)) as raised:
            await tokens.principal_claims(secret.encode() if isinstance(secret, str) else secret)
        return raised.value


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS256", "hs256", "RS384", "", None, ["RS256"], 1])
async def test_a_token_does_not_choose_its_algorithm(issuer: FakeIssuer, alg: Any) -> None:
    _, key = issuer.keys[-1]
    secret = unsigned({"alg": alg, "kid": key.kid}, {"iss": issuer.url, "sub": "ann", "aud": "aldgate", "exp": never()})
    for signature in (b"", b"AA"):
        assert "signed" in (await refused(issuer, secret + b"." + signature)).message
    assert not issuer.asked


@pytest.mark.parametrize("form", ["pem", "der", "n"])
async def test_a_public_key_is_no_hmac_secret(issuer: FakeIssuer, form: str) -> None:
    key = issuer.rotate("RS256")
    assert not isinstance(key, OctKey)
    public = {"pem": key.as_pem(), "der": key.as_der(), "n": str(key.as_dict(private=False)["n"]).encode()}[form]
    for alg in ("HS256", "RS256"):
        told = unsigned({"alg": alg, "kid": key.kid}, {"iss": issuer.url, "sub": "ann", "aud": "aldgate", "exp": never()})
        proof = base64.urlsafe_b64encode(hmac.digest(public, told, sha256)).rstrip(b"=")
        assert isinstance(await refused(issuer, told + b"." + proof), UnknownKey)


async def test_a_published_secret_checks_nothing(issuer: FakeIssuer) -> None:
    shared: Key = generate_key("oct", 256, {"kid": "shared"})
    issuer.faults[JWKS] = saying({"keys": [shared.as_dict(private=True)]})
    forged = issuer.sign({}, key=("HS256", shared))
    assert isinstance(await refused(issuer, forged), UnknownKey)
    assert isinstance(await refused(issuer, issuer.sign({}, key=("HS256", shared), alg="RS256")), UnknownKey)


@pytest.mark.parametrize("header", ["jwk", "jku", "x5u", "x5c"])
async def test_a_token_brings_no_key_of_its_own(issuer: FakeIssuer, header: str) -> None:
    async with FakeIssuer() as evil:
        algorithm, key = evil.keys[-1]
        brought = {"jwk": key.as_dict(private=False), "jku": f"{evil.url}/jwks", "x5u": f"{evil.url}/jwks", "x5c": ["MII="]}[
            header
        ]
        for kid in (issuer.keys[-1][1].kid, key.kid, None):
            forged = issuer.sign({}, key=(algorithm, key), kid=kid, **{header: brought})
            assert isinstance(await refused(issuer, forged), UnknownKey)
        assert not evil.asked
        genuine = issuer.sign({}, **{header: brought})
        async with believing(issuer) as tokens:
            assert await tokens.principal_claims(genuine.encode())  # such headers are not refused, only not believed
        assert not evil.asked


@pytest.mark.parametrize(
    "kid",
    ["../../../etc/passwd", "/dev/null", "' OR 1=1 --", "http://127.0.0.1:1/key", "x\r\nhost: y", "k" * 256, "", 7, ["a"], {}],
)  # fmt: skip
async def test_a_key_name_is_only_compared(issuer: FakeIssuer, kid: Any) -> None:
    assert isinstance(await refused(issuer, issuer.sign({}, kid=kid)), UnknownKey)
    assert {request.path for request in issuer.requests} <= {"/.well-known/openid-configuration", JWKS}


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": None}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": "9999999999"}, "exp"),
        ({"exp": 1e300}, "exp"),
        ({"exp": 0}, "expired"),
        ({"nbf": "soon"}, "nbf"),
        ({"aud": None}, "aud"),
        ({"aud": "aldgate2"}, "aud"),
        ({"aud": "ALDGATE"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": {"aldgate": 1}}, "aud"),
        ({"aud": [["aldgate"]]}, "aud"),
        ({"sub": None}, "speaks for"),
        ({"sub": ""}, "speaks for"),
        ({"sub": 7}, "speaks for"),
        ({"sub": "a\nb"}, "speaks for"),
        ({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, "type"),
    ],
)
async def test_a_token_must_be_good_now_and_for_this_gate(issuer: FakeIssuer, claims: dict[str, Any], message: str) -> None:
    assert message in (await refused(issuer, issuer.token(**claims))).message


@pytest.mark.parametrize(("claim", "seconds", "message"), [("exp", -31, "expired"), ("nbf", 60, "nbf"), ("iat", 60, "iat")])
async def test_a_token_is_of_its_time(issuer: FakeIssuer, claim: str, seconds: float, message: str) -> None:
    assert message in (await refused(issuer, issuer.token(**{claim: time.time() + seconds}))).message


@pytest.mark.parametrize("seconds", [{"exp": -5}, {"nbf": 20, "iat": 20}])
async def test_clocks_may_differ(issuer: FakeIssuer, seconds: dict[str, float]) -> None:
    async with believing(issuer) as tokens:
        claims = {claim: time.time() + ahead for claim, ahead in seconds.items()}
        assert await tokens.principal_claims(issuer.token(**claims).encode())


async def test_a_token_may_be_for_several(issuer: FakeIssuer) -> None:
    async with believing(issuer) as tokens:
        assert await tokens.principal_claims(issuer.token(aud=["other", "aldgate"]).encode())


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"typ": "logout+jwt"}, {"typ": "dpop+jwt"}, {"typ": 1}]
)
async def test_headers_that_would_have_to_be_understood(issuer: FakeIssuer, header: dict[str, Any]) -> None:
    assert isinstance(await refused(issuer, issuer.sign({}, **header)), UnknownKey)


async def test_types_of_access_tokens(issuer: FakeIssuer) -> None:
    async with believing(issuer) as tokens:
        for kind in ("JWT", "at+jwt", "application/at+jwt", "AT+JWT", None):
            assert await tokens.principal_claims(issuer.sign({}, typ=kind).encode())


async def test_required_claims(issuer: FakeIssuer) -> None:
    required = {"hd": "example.com", "groups": ["staff", "ops"], "mfa": True}
    good = {"hd": "example.com", "groups": ["x", "ops"], "mfa": True}
    async with believing(issuer, required=required) as tokens:
        assert await tokens.principal_claims(issuer.token(**good).encode())
        for bad in ({"hd": "example.org"}, {"hd": None}, {"groups": "opsx"}, {"groups": []}, {"mfa": 1}, {"mfa": "true"}):
            with pytest.raises(UnknownKey, match=next(iter(bad))):
                await tokens.principal_claims(issuer.token(**(good | bad)).encode())


async def test_a_change_of_any_part_is_seen(issuer: FakeIssuer) -> None:
    good = issuer.token(roles=[])
    header, _, signature = good.split(".")
    other = issuer.token(roles=["admins"]).split(".")[1]
    tampered = [f"{header}.{other}.{signature}", good[:-8] + "AAAAAAAA", f"{header}.{good.split('.')[1]}."]
    for secret in tampered:
        assert isinstance(await refused(issuer, secret), UnknownKey)


async def test_an_oversized_token_is_not_parsed(issuer: FakeIssuer) -> None:
    assert "bytes" in (await refused(issuer, issuer.token(pad="x" * MAX_TOKEN_BYTES))).message
    deep = b'{"iss":"' + issuer.url.encode() + b'","x":' + b"[" * 8000 + b"]" * 8000 + b"}"
    secret = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (b'{"alg":"RS256"}', deep[:9000], b"x"))
    async with believing(issuer) as tokens:
        assert await tokens.principal_claims(secret) is None
    assert not issuer.asked


async def test_a_token_ends_when_it_says(issuer: FakeIssuer, clock: Clock) -> None:
    secret = issuer.token().encode()
    async with believing(issuer, clock) as tokens:
        await tokens.principal_claims(secret)
        clock.ahead = 325
        assert tokens.known(secret)
        clock.ahead = 331
        with pytest.raises(ExpiredKey):
            tokens.known(secret)
        with pytest.raises(ExpiredKey):
            await tokens.principal_claims(secret)


async def test_two_tokens_with_one_beginning_are_two(issuer: FakeIssuer) -> None:
    first, second = issuer.token(sub="ann"), issuer.token(sub="bob")
    assert first[:60] == second[:60]
    async with believing(issuer) as tokens:
        ann, bob = [await tokens.principal_claims(token.encode()) for token in (first, second)]
        assert ann and bob and (ann.subject, bob.subject) == ("ann", "bob")
        assert tokens.known(first.encode()) is ann and tokens.known(second.encode()) is bob


async def test_the_cache_has_a_bound(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aldgate.oidc.tokens.CACHE_SIZE", 2)
    secrets = [issuer.token(sub=f"user-{number}").encode() for number in range(3)]
    async with believing(issuer) as tokens:
        for secret in secrets:
            await tokens.principal_claims(secret)
        assert [tokens.known(secret) is not None for secret in secrets] == [False, True, True]


# --- keys: rotation, bounds, and an issuer that is unwell ---


async def test_a_new_key_is_fetched_once_for_all_who_ask(issuer: FakeIssuer, clock: Clock) -> None:
    async with believing(issuer, clock) as tokens:
        await tokens.principal_claims(issuer.token().encode())
        issuer.rotate()
        clock.ahead = keyset.PAUSE_S + 1
        fresh = [issuer.token(sub=f"user-{number}").encode() for number in range(20)]
        found = await asyncio.gather(*(tokens.principal_claims(secret) for secret in fresh))
        assert all(found) and issuer.asked[JWKS] == 2


async def test_the_first_callers_share_a_fetch(issuer: FakeIssuer) -> None:
    async with believing(issuer) as tokens:
        secrets = [issuer.token(sub=f"user-{number}").encode() for number in range(20)]
        assert all(await asyncio.gather(*(tokens.principal_claims(secret) for secret in secrets)))
        assert issuer.asked[JWKS] == 1


async def test_invented_key_names_do_not_hammer_the_issuer(issuer: FakeIssuer, clock: Clock) -> None:
    async with believing(issuer, clock) as tokens:
        await tokens.principal_claims(issuer.token().encode())
        for pause in range(3):
            clock.ahead = pause * (keyset.PAUSE_S + 1)
            for number in range(50):
                with pytest.raises(UnknownKey):
                    await tokens.principal_claims(issuer.sign({}, kid=f"{pause}-{number}").encode())
        assert issuer.asked[JWKS] == 3


async def test_a_withdrawn_key_proves_nothing_more_once_keys_are_old(issuer: FakeIssuer, clock: Clock) -> None:
    issuer.cache_control = "public, max-age=400"
    secret = issuer.token(exp=int(time.time()) + 90_000).encode()
    async with believing(issuer, clock) as tokens:
        await tokens.principal_claims(secret)
        issuer.rotate()
        clock.ahead = 399
        assert tokens.known(secret)
        clock.ahead = 401
        assert tokens.known(secret) is None
        assert await tokens.principal_claims(secret)  # on the old keys, while the new ones are fetched
        assert await tokens.principal_claims(issuer.token(exp=int(time.time()) + 90_000).encode())  # waits for it
        clock.ahead += keyset.PAUSE_S + 1
        assert tokens.known(secret) is None
        with pytest.raises(UnknownKey):
            await tokens.principal_claims(secret)


@pytest.mark.parametrize(
    ("cache", "kept_s"),
    [
        ("no-store", 300),
        ("max-age=1", 300),
        ("max-age=900", 900),
        ('max-age="900"', 900),
        ("", 3600),
        ("max-age=99999999999", 86_400),
    ],
)
async def test_how_long_keys_are_kept_has_bounds(issuer: FakeIssuer, clock: Clock, cache: str, kept_s: int) -> None:
    issuer.cache_control = cache
    secret = issuer.token(exp=int(time.time()) + 200_000).encode()
    async with believing(issuer, clock) as tokens:
        await tokens.principal_claims(secret)
        clock.ahead = kept_s - 1
        assert tokens.known(secret)
        clock.ahead = kept_s + 1
        assert tokens.known(secret) is None


GARBAGE = [
    faults.status(500),
    faults.status(404),
    faults.garbage(),
    faults.not_json(),
    faults.error_page(),
    faults.redirect(),
    faults.endless_body(),
    faults.die_mid_body(),
    saying([]),
    saying({"keys": {}}),
    saying({"keys": [{}] * 101}),
    saying({"no": "keys"}),
    saying(b"\xff\xfe"),
    saying(b'{"keys":[' * 5000),
]


@pytest.mark.parametrize("path", [JWKS, "/.well-known/openid-configuration"])
@pytest.mark.parametrize("step", GARBAGE, ids=lambda step: step.name)
async def test_an_issuer_that_gives_no_keys_is_no_401(issuer: FakeIssuer, clock: Clock, step: Any, path: str) -> None:
    issuer.faults[path] = step
    secret = issuer.token().encode()
    async with believing(issuer, clock) as tokens:
        for _ in range(3):
            with pytest.raises(IssuerUnavailable) as raised:
                await tokens.principal_claims(secret)
            assert raised.value.retry_after_s and raised.value.status == 503
        assert issuer.asked[path] == 1
        issuer.faults.clear()
        clock.ahead = keyset.PAUSE_S + 1
        assert await tokens.principal_claims(secret)


async def test_known_keys_outlive_an_issuer_that_is_away(issuer: FakeIssuer, clock: Clock) -> None:
    async with believing(issuer, clock) as tokens:
        await tokens.principal_claims(issuer.token().encode())
        issuer.faults[JWKS] = faults.not_json()
        clock.ahead = 4000
        late = issuer.token(exp=int(time.time()) + 200_000).encode()
        assert await tokens.principal_claims(late)
        clock.ahead = 3600 + keyset.STALE_S + 5
        assert tokens.known(late) is None
        with pytest.raises(IssuerUnavailable):
            await tokens.principal_claims(late)


async def test_a_slow_issuer_is_waited_for_by_all_together_and_who_leaves_ends_nothing(issuer: FakeIssuer) -> None:
    valve = Valve()
    issuer.faults[JWKS] = held(valve)
    async with believing(issuer) as tokens:
        secret = issuer.token().encode()
        waiting = [asyncio.create_task(tokens.principal_claims(secret)) for _ in range(5)]
        await issuer.saw_requests(2)
        waiting[0].cancel()
        valve.open()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(ends[0], asyncio.CancelledError)
    assert all(isinstance(end, IssuerUnavailable) for end in ends[1:])
    assert issuer.asked[JWKS] == 1


async def test_an_issuer_that_does_not_answer_is_given_up(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aldgate.oidc.documents.TIMEOUT_S", 0.05)
    issuer.faults[JWKS] = faults.hang_after_head()
    async with believing(issuer) as tokens:
        with pytest.raises(IssuerUnavailable):
            await tokens.principal_claims(issuer.token().encode())


async def test_discovery_for_another_is_not_believed(issuer: FakeIssuer) -> None:
    for lie in ({"issuer": "https://evil.example"}, {"issuer": issuer.url + "/"}, {"jwks_uri": "http://192.0.2.1/jwks"},
                {"jwks_uri": "file:///etc/passwd"}, {"jwks_uri": "https://a:b@127.0.0.1/"}, {"jwks_uri": 7}):  # fmt: skip
        issuer.discovery = lie
        async with believing(issuer) as tokens:
            with pytest.raises(IssuerUnavailable):
                await tokens.principal_claims(issuer.token().encode())


async def test_keys_may_be_where_the_configuration_says(issuer: FakeIssuer) -> None:
    async with believing(issuer, jwks_url=issuer.url + "/jwks?p=policy") as tokens:
        assert await tokens.principal_claims(issuer.token().encode())
    assert [request.path for request in issuer.requests] == ["/jwks?p=policy"]


async def test_a_set_with_useless_keys_in_it_serves_with_the_others(issuer: FakeIssuer) -> None:
    good = issuer.rotate("RS256").as_dict(private=False)
    point = {"x": "AA", "y": "AA"}
    others = ({"kty": "oct", "k": "AAAA"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"kty": "EC", "crv": "P-256", **point})
    curves = ({"kty": "EC", "crv": "secp256k1", **point}, {"kty": "OKP", "crv": "X25519", "x": "AA"})
    twisted = ({"kid": 7}, {"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": 1}, {"n": 7}, {"n": "!" * 400})
    bad = [1, {}, *others, *curves, {"kty": "OKP", "crv": "Ed25519", "x": "AA"}, *({**good, **twist} for twist in twisted)]
    issuer.faults[JWKS] = saying({"keys": [*bad, good]})
    async with believing(issuer) as tokens:
        assert await tokens.principal_claims(issuer.token().encode())
        assert await tokens.principal_claims(issuer.sign({}, kid=None).encode())  # the only one that fits


async def test_a_nameless_token_is_not_tried_with_every_key(issuer: FakeIssuer) -> None:
    issuer.rotate(keeps=True)
    assert isinstance(await refused(issuer, issuer.sign({}, kid=None)), UnknownKey)


async def test_a_key_is_for_one_algorithm(issuer: FakeIssuer) -> None:
    key = issuer.rotate("RS256")
    issuer.faults[JWKS] = saying({"keys": [{**key.as_dict(private=False), "alg": "RS256"}]})
    token = issuer.sign({}, key=("PS256", key))
    assert isinstance(await refused(issuer, token, algorithms=("RS256", "PS256")), UnknownKey)
    async with believing(issuer) as tokens:
        assert await tokens.principal_claims(issuer.token().encode())


async def test_keys_too_short_or_too_long_prove_nothing(issuer: FakeIssuer) -> None:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
    from joserfc.jwk import RSAKey

    long = RSAKey.import_key(RSAPublicNumbers(65537, (1 << 9000) + 1).public_key()).as_dict()
    issuer.faults[JWKS] = saying({"keys": [{**long, "kid": "long"}]})
    assert isinstance(await refused(issuer, issuer.sign({}, kid="long")), UnknownKey)


async def test_https_with_an_authority_of_its_own(tmp_path: Path, clock: Clock) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = __import__("ssl").create_default_context(__import__("ssl").Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with FakeIssuer(ssl=context) as issuer:
        assert issuer.url.startswith("https://")
        secret = issuer.token().encode()
        async with believing(issuer) as tokens:
            with pytest.raises(IssuerUnavailable):
                await tokens.principal_claims(secret)
        async with believing(issuer, trust=str(tmp_path / "ca.pem")) as tokens:
            assert await tokens.principal_claims(secret)
        async with believing(issuer, ca_bundle=str(tmp_path / "ca.pem")) as tokens:
            assert await tokens.principal_claims(secret)


async def test_duplicate_members_cannot_hide_an_issuer(issuer: FakeIssuer) -> None:
    algorithm, key = issuer.keys[-1]
    payload = f'{{"iss":"{issuer.url}","iss":"https://evil.example","sub":"a","aud":"aldgate","exp":{never()}}}'.encode()
    secret = signed({"alg": algorithm, "kid": key.kid}, payload, key, algorithm)
    async with believing(issuer) as tokens:
        assert await tokens.principal_claims(secret.encode()) is None
